"""scripts/whole_clips.py counts labels by degradation and set; what it kept is not scanned again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.media_factory import write_film

SCRIPT = Path(__file__).parents[2] / "scripts" / "whole_clips.py"


def test_labels_are_counted_by_degradation_and_set(portrait, blended, tmp_path):
    data = tmp_path / "data"
    for folder in ("devset", "devset2", "videos"):
        (data / folder).mkdir(parents=True)
    for name, image_HW3 in (("000", portrait), ("Deepfakes_000_001", blended)):
        write_film(image_HW3, data / "devset" / f"{name}.mp4", frames=8)
    rows = "000.mp4,real,original\nDeepfakes_000_001.mp4,fake,Deepfakes\n"
    (data / "devset" / "labels_videos.csv").write_text("file,label,method\n" + rows)
    (data / "devset2" / "labels_videos.csv").write_text("file,label,method,person\n")
    command = [sys.executable, SCRIPT, "bundled", "--data", data, "--work", tmp_path / "work"]
    command += ["--degrade", "messenger 33"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    rows = [line.split() for line in done.stdout.splitlines()[2:]]
    assert [" ".join(row[:-6]) for row in rows] == [
        f"{degradation} {name}"
        for degradation in ("as it is", "messenger 33")
        for name in ("devset", "devset2", "videos", "all")
    ]
    for row in rows:
        real, _, decided, fakes, called_fake, decided_fakes = map(int, row[-6:])
        assert (real, fakes) == ((0, 0) if {"devset2", "videos"} & set(row) else (1, 1))
        assert decided <= real
        assert called_fake <= decided_fakes <= fakes
    (found,) = (tmp_path / "work").glob("faces-*.jsonl")
    assert len(found.read_text().splitlines()) == 4 * 8
    kept = {path: path.read_bytes() for path in (tmp_path / "work").glob("*.jsonl")}
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert again.stdout == done.stdout
    assert kept == {path: path.read_bytes() for path in (tmp_path / "work").glob("*.jsonl")}
