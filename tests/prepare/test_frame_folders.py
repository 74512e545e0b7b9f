"""Folders of pictures as clips: prepared, explored and judged as files are."""

import json
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.prepared import prepare
from unmask.datasets import Index, read_index
from unmask.evaluation.predictions import scan_index
from unmask.explore.exploration import Exploration, ExploreSettings
from unmask.explore.gallery import fakes_beside_originals
from unmask.explore.suspicions import find_suspicions
from unmask.media import open_video, read_frames
from unmask.prepare import clip_steps
from unmask.prepare.clip_steps import Settings
from unmask.prepare.layout import read_folds
from unmask.prepare.manifest import FileStamp


@pytest.fixture
def frames(group, tmp_path) -> Index:
    """Three frames of an authentic clip of two people and of a fake, as DeepfakeBench lays DFDC out."""
    entries = {"group.mp4": {"label": "REAL"}, "smaller.mp4": {"label": "FAKE", "original": "group.mp4"}}
    part = tmp_path / "dfdc_train_part_3"
    for clip in group.clips:
        if f"{clip.id}.mp4" not in entries:
            continue
        folder = part / "frames" / clip.id
        folder.mkdir(parents=True)
        with open_video(group.path_of(clip)) as video:
            for frame in read_frames(video, np.array([0, 4, 8])):
                cv2.imwrite(str(folder / f"{frame.index:03d}.png"), frame.image_HW3[..., ::-1])
    (part / "metadata.json").write_text(json.dumps(entries))
    return read_index(tmp_path)


def test_they_are_prepared(frames, tmp_path, monkeypatch):
    assert [clip.path for clip in frames.clips] == [f"dfdc_train_part_3/frames/{name}" for name in ("group", "smaller")]
    out = tmp_path / "out"
    records, outcome = prepare(frames, out, settings=Settings(every=2))
    assert {record.status for record in records.values()} == {"ok"}
    rows = list(read_folds(out / "folds.csv"))
    assert [(row.video, row.frame, row.face, row.label) for row in rows] == [
        ("group", 0, 0, 0), ("group", 0, 1, 0), ("group", 2, 0, 0), ("group", 2, 1, 0),
        ("smaller", 0, 0, 0), ("smaller", 0, 1, 1), ("smaller", 2, 0, 0), ("smaller", 2, 1, 1),
    ]  # fmt: skip
    assert outcome.unchanged == 2
    with monkeypatch.context() as patch:
        patch.setattr(clip_steps, "open_clip", None)  # nothing has changed: nothing is decoded
        again, _ = prepare(frames, out, settings=Settings(every=2), resume=True)
    assert again == records
    picture = frames.path_of(frames.clips[1]) / "004.png"
    picture.write_bytes(cv2.imencode(".png", cv2.imread(str(picture)) // 2)[1].tobytes())
    changed, _ = prepare(frames, out, settings=Settings(every=2), resume=True)
    assert changed["group"] == records["group"]
    assert changed["smaller"].sha256 != records["smaller"].sha256


def test_they_are_explored(frames, tmp_path):
    settings = ExploreSettings(sample=2, frames_per_second=12.5, detectors=("mtcnn",))
    with Exploration(frames, tmp_path / "eda", settings) as exploration:
        found = list(exploration.run())
    assert {clip.status for clip in found} == {"ok"}
    assert {clip.media.container for clip in found} == {"folder of 3 pictures (PNG)"}
    assert "the changed face is not the largest in 2 of 2 frames" in find_suspicions(frames, found)["smaller"]
    (pair,) = fakes_beside_originals(frames, found, 1, 0)
    assert (pair.original, pair.fake) == ("group", "smaller")


def test_they_are_judged(frames, scanner):
    predictions = list(scan_index(scanner, frames))
    assert [prediction.name for prediction in predictions] == [clip.path for clip in frames.clips]
    assert all(prediction.fake_probability is not None for prediction in predictions)


def test_a_folder_has_changed_when_a_picture_has(tmp_path):
    (tmp_path / "0.png").write_bytes(b"a")
    before = FileStamp.of(tmp_path)
    assert FileStamp.of(tmp_path) == before
    time.sleep(0.02)
    (tmp_path / "0.png").write_bytes(b"b")  # the time of the folder itself stays
    assert FileStamp.of(tmp_path) != before
    assert FileStamp.of(tmp_path / "none") == FileStamp(None, None)


def test_only_sequences_are_clips(tmp_path):
    """Pictures with names of their own are no frames; nor are the folders of labels themselves, or single pictures."""
    for name in ("real/0.png", "real/1.png", "real/a/1.png", "real/a/2.png", "fake/b/anna.png", "fake/b/ben.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "fake" / "c").mkdir()
    (tmp_path / "fake" / "c" / "1.png").touch()
    index = read_index(tmp_path, "tree")
    assert [clip.path for clip in index.clips] == ["real/a"]


def test_videos_have_precedence(tmp_path: Path):
    for name in ("real/a.mp4", "fake/b.mp4", "real/frames/a/1.png", "real/frames/a/2.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [clip.path for clip in read_index(tmp_path).clips] == ["fake/b.mp4", "real/a.mp4"]
