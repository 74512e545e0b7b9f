import csv
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.conftest import GROUP_EVERY, GROUP_FRAMES
from tests.media_factory import write_video
from tests.prepared import prepare
from unmask.errors import UnmaskError
from unmask.media import Limits
from unmask.prepare.changes import (
    change_of_difference,
    change_of_mask,
    find_changes,
    open_mask,
    read_changes,
)
from unmask.prepare.clip_steps import Settings
from unmask.prepare.layout import read_folds

FRAMES, EVERY = GROUP_FRAMES, GROUP_EVERY
CHANGED = {
    "larger": lambda frame, face: face == 0,
    "smaller": lambda frame, face: face == 1,
    "passage": lambda frame, face: face == 0 and FRAMES // 4 <= frame < FRAMES - FRAMES // 4,
}
"""Which face is changed when, in clips of two people of whom the larger one comes first."""


def truth(video, frame, face):
    return int(video in CHANGED and CHANGED[video](frame, face))


def test_every_crop_of_two_people_has_the_label_of_its_face(group_prepared):
    rows = list(read_folds(group_prepared / "folds.csv"))
    assert Counter(row.video for row in rows) == dict.fromkeys(("group", *CHANGED), 2 * FRAMES // EVERY)
    assert [(row.video, row.file, row.label) for row in rows] == [
        (row.video, row.file, truth(row.video, row.frame, row.face)) for row in rows
    ]
    assert {row.original for row in rows} == {"group"}


def test_what_is_known_stands_beside(group_prepared):
    with (group_prepared / "changed.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * 2 * FRAMES // EVERY
    assert {row["by"] for row in rows} == {"difference"}
    for row in rows:
        frame, face = map(int, row["file"].removesuffix(".png").split("_"))
        assert row["changed"] == ("yes" if truth(row["video"], frame, face) else "no")
        assert (float(row["level"]) > 2 * float(row["around"])) == (row["changed"] == "yes")


def test_authors_masks_have_precedence(group, group_clips, tmp_path):
    """The originals' differences cannot be right here: each fake has the mask of another."""
    masks = {"larger": "smaller", "smaller": "passage", "passage": "larger"}
    clips = [replace(clip, mask=f"masks/{masks[clip.id]}.mp4") if clip.id in masks else clip for clip in group.clips]
    prepare(replace(group, clips=tuple(clips)), tmp_path / "out", settings=Settings(every=EVERY))
    for row in read_folds(tmp_path / "out" / "folds.csv"):
        assert row.label == truth(masks.get(row.video, ""), row.frame, row.face)
    assert {change.by for change in read_changes(tmp_path / "out", "larger").values()} == {"mask"}


def test_a_fake_without_its_original_follows_its_mask(group, tmp_path):
    clips = [replace(clip, mask="masks/passage.mp4") for clip in group.clips if clip.id == "passage"]
    prepare(replace(group, clips=tuple(clips)), tmp_path / "out", settings=Settings(every=EVERY))
    rows = list(read_folds(tmp_path / "out" / "folds.csv"))
    assert [row.label for row in rows] == [truth("passage", row.frame, row.face) for row in rows]
    assert {row.original for row in rows} == {"passage"}


@pytest.mark.parametrize(("rule", "expected"), [("left_out", None), ("fake", 1)])
def test_unchanged_faces_by_choice(group, group_prepared, tmp_path, rule, expected):
    before = list(read_folds(group_prepared / "folds.csv"))
    unchanged = [row for row in before if row.video in CHANGED and not row.label]
    assert len(unchanged) == 3 * FRAMES // EVERY + FRAMES // EVERY // 2
    kept = [replace(row, label=expected) if row in unchanged else row for row in before]
    out = Path(shutil.copytree(group_prepared, tmp_path / "out"))
    prepare(group, out, settings=Settings(every=EVERY, unchanged=rule), steps=["folds"], resume=True)
    assert list(read_folds(out / "folds.csv")) == [row for row in kept if row.label is not None]


def test_a_mask_that_cannot_be_read_is_told(group, tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    clips = [
        replace(clip, mask=str(tmp_path / "broken.mp4")) if clip.id == "smaller" else clip
        for clip in group.clips
        if clip.id in ("group", "smaller")
    ]
    records, outcome = prepare(replace(group, clips=tuple(clips)), tmp_path / "out", settings=Settings(every=8))
    assert "its mask cannot be used" in records["smaller"].notes["changes"]
    assert outcome.unchanged == 2


def grey(level, around, shape=(60, 60)):
    mask = np.full(shape, around, np.uint8)
    mask[shape[0] // 5 : -shape[0] // 5, shape[1] // 5 : -shape[1] // 5] = level
    return mask


@pytest.mark.parametrize(
    ("level", "around", "changed"),
    [(90, 8, "yes"), (25, 8, "no"), (25, 60, "no"), (35, 8, "unclear"), (90, 60, "unclear"), (255, 255, "unclear")],
)
def test_levels(level, around, changed):
    change = change_of_difference(grey(level, around))
    assert (change.changed, change.level) == (changed, level)


def test_a_changed_mouth_is_enough():
    mask = grey(6, 6, (120, 90))
    mask[78:92, 32:58] = 180
    assert change_of_difference(mask).changed == "yes"


def test_a_neighbour_who_was_changed_does_not_count():
    mask = grey(6, 6, (120, 120))
    mask[:, 100:] = 200  # in the margin of this face's crop
    assert change_of_difference(mask).changed == "no"


@pytest.mark.parametrize("shape", [(1, 1), (7, 7), (7, 200)])
def test_small_crops(shape):
    assert change_of_difference(np.zeros(shape, np.uint8)).changed == "no"


def test_boxes_in_masks_of_frames():
    mask = np.zeros((100, 200), np.uint8)
    mask[40:60, 150:170] = 255
    assert change_of_mask(mask, (140, 30, 180, 70)).changed == "yes"
    assert change_of_mask(mask, (140, 30, 180, 70)).level == 0.25
    assert change_of_mask(mask, (10, 30, 50, 70)).changed == "no"
    assert change_of_mask(mask, (-20, -20, -5, -5)).changed == "no"
    assert change_of_mask(mask, (150, 40, 900, 900)).changed == "yes"


def test_masks_in_folders_are_named_by_frame(tmp_path):
    cv2.imwrite(str(tmp_path / "010.png"), np.full((8, 8), 200, np.uint8))
    (tmp_path / "notes.txt").write_text("x")
    with open_mask(tmp_path, tmp_path / "clip.mp4", [0, 10], Limits()) as read:
        assert read(0) is None
        assert read(10).shape == (8, 8)
        assert (read(10) == 200).all()


def test_masks_in_videos_are_read_in_step(tmp_path):
    frames = [np.full((32, 32, 3), 20 * i, np.uint8) for i in range(6)]
    clip = write_video(tmp_path / "mask.mp4", frames)
    with open_mask(clip, clip, [1, 4, 9], Limits()) as read:
        found = [read(number) for number in (1, 1, 4, 9)]
    assert [None if mask is None else round(float(mask.mean()), -1) for mask in found] == [20, 20, 80, None]


def test_a_mask_of_another_size_is_scaled(tmp_path):
    out = tmp_path / "out"
    (out / "crops" / "fake").mkdir(parents=True)
    (out / "boxes").mkdir()
    (out / "crops" / "fake" / "0_0.png").write_bytes(b"")
    (out / "boxes" / "real.json").write_text('{"0": [[50, 25, 75, 50]]}')  # half of 100, 50, 150, 100
    mask = np.zeros((50, 100), np.uint8)  # the frame is 200 x 100
    mask[30:45, 55:70] = 255
    (tmp_path / "masks").mkdir()
    cv2.imwrite(str(tmp_path / "masks" / "0.png"), mask)
    changes, _ = find_changes(out, "fake", "real", tmp_path / "a.mp4", tmp_path / "masks", (200, 100), Limits())
    assert changes["0_0"].changed == "yes"
    assert changes["0_0"].level == pytest.approx(15 * 15 / 25**2, abs=0.001)


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "changes").mkdir()
    (tmp_path / "changes" / "a.json").write_text('{"0_0": {"changed": "yes"}}')
    with pytest.raises(UnmaskError, match="run the step changes again"):
        read_changes(tmp_path, "a")
    assert read_changes(tmp_path, "b") == {}
