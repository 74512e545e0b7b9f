"""A job array of Slurm: the shards of one scan, and the bytes of a scan by one process."""

import os
from pathlib import Path

import pytest

from tests.slurm import needs_slurm, run, slurm, wait_for  # noqa: F401 - the fixture
from unmask.cli import app

pytestmark = [*needs_slurm, pytest.mark.slow]

ARRAY = Path(__file__).parents[2] / "deploy" / "slurm" / "array.sh"


@pytest.mark.parametrize("shards", [2, pytest.param(8, marks=pytest.mark.kills)])
def test_an_array_of_shards(slurm, short_clips, tmp_path, shards):  # noqa: F811 - the fixture
    from typer.testing import CliRunner

    videos = tmp_path / "videos"
    videos.mkdir()
    for number in range(shards + 1):
        (videos / f"{number}.mp4").symlink_to(list(short_clips.values())[number % 2])
    (videos / "broken.mp4").write_bytes(b"no video")
    options = ["--follow-links", "--frames", "2", "-q"]
    for args in (
        ["scan", str(videos), *options, "--json", str(tmp_path / "plain.jsonl")],
        ["manifest", str(videos), "--follow-links", "--out", str(tmp_path / "clips.parquet")],
    ):
        done = CliRunner().invoke(app, args)
        assert done.exit_code in (0, 3), done.output
    command = [f"--array=1-{shards}", "--parsable", f"--output={tmp_path / 'job-%a.log'}", str(ARRAY)]
    slurm["UNMASK"] = str(tmp_path / "unmask")
    (tmp_path / "unmask").write_text(f'#!/bin/sh\nexec {os.sys.executable} -m unmask "$@"\n')
    (tmp_path / "unmask").chmod(0o755)
    job = run(slurm, "sbatch", *command, str(tmp_path / "clips.parquet"), str(tmp_path / "run"), *options[1:]).strip()

    def states():
        told = run(slurm, "scontrol", "show", "job", job)
        return [word.partition("=")[2] for word in told.split() if word.startswith("JobState=")]

    wait_for(lambda: set(states()) <= {"COMPLETED", "FAILED"}, "end of the array")
    logs = "".join(path.read_text() for path in sorted(tmp_path.glob("job-*.log")))
    assert states() == ["COMPLETED"] * shards, logs
    assert len(list((tmp_path / "run" / "commits").iterdir())) == shards
    done = CliRunner().invoke(app, ["merge", str(tmp_path / "run"), "--json", str(tmp_path / "array.jsonl")])
    assert done.exit_code == 3, done.output
    assert (tmp_path / "array.jsonl").read_bytes() == (tmp_path / "plain.jsonl").read_bytes()
