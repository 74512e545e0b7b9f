"""``unmask prepare --as winner`` gives the boxes, crops, landmarks and folds of the winner's scripts."""

import json

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from tests.media_factory import write_video
from tests.systems.winner.scenes import RECORDED, SCENES, scene
from unmask.cli import app
from unmask.media import open_video, read_frames
from unmask.prepare.clip_steps import cut_boxes
from unmask.prepare.layout import read_boxes, read_folds
from unmask.systems.winner.facts import CROP
from unmask.systems.winner.preparation import WINNER_PREPARATION

CLIPS = json.loads(RECORDED.read_text())["clips"]
FAKE_OF = {"ggaaaaaaaa": "aaaaaaaaaa", "ggffffffff": "ffffffffff"}


@pytest.fixture(scope="module")
def winner_form(tmp_path_factory):
    """Scenes as clips of one lossless frame in parts 4, 9 and 49, two of them with a fake, prepared as the winner's."""
    folder = tmp_path_factory.mktemp("winner")
    for part, names in ((4, "aab"), (9, "cde"), (49, "f")):
        place = folder / "data" / f"dfdc_train_part_{part}"
        place.mkdir(parents=True)
        metadata = {}
        for name in (name for name in SCENES if name[0] in names):
            metadata[f"{name}.mp4"] = {"label": "REAL", "split": "train"}
            for fake in (fake for fake, original in FAKE_OF.items() if original == name):
                metadata[f"{fake}.mp4"] = {"label": "FAKE", "split": "train", "original": f"{name}.mp4"}
        for file in metadata:
            shown = scene(FAKE_OF.get(file[:-4], file[:-4]))
            write_video(place / file, [shown], codec="libx264rgb", pixel_format="rgb24", options={"qp": "0"})
        (place / "metadata.json").write_text(json.dumps(metadata))
    out = folder / "prepared"
    done = CliRunner().invoke(app, ["prepare", str(folder / "data"), "--out", str(out), "--as", "winner", "-q"])
    assert done.exit_code == 0, done.output
    return out


@pytest.mark.parametrize("name", SCENES)
def test_boxes_crops_and_landmarks_are_his(winner_form, name):
    expected = CLIPS[name]
    boxes = read_boxes(winner_form / "boxes" / f"{name}.json")[0]
    assert [[int(2 * edge) for edge in box] for box in boxes] == [
        [int(2 * edge) for edge in box] for box in expected["boxes"]
    ]
    np.testing.assert_allclose(boxes, expected["boxes"], atol=0.01)
    for face, (height, width, total) in enumerate(expected["crops"]):
        crop_HW3 = cv2.imread(str(winner_form / "crops" / name / f"0_{face}.png"))
        assert (*crop_HW3.shape[:2], int(crop_HW3.sum())) == (height, width, total)
    found = sorted((winner_form / "landmarks" / name).iterdir())
    assert [np.load(path).tolist() for path in found] == expected["landmarks"]


def test_crops_have_the_colours_that_his_opencv_decoded(tmp_path):
    clip, data = write_video(tmp_path / "clip.mp4", [scene("aaaaaaaaaa")], matrix=1), tmp_path / "data.csv"
    data.write_text(f"path,label\n{clip},real\n")
    for out, options in ((tmp_path / "his", ["--as", "winner"]), (tmp_path / "ours", ["--detector-scale", "0.5"])):
        steps = ["--steps", "boxes,crops", "-q"]
        done = CliRunner().invoke(app, ["prepare", str(data), "--out", str(out), *options, *steps])
        assert done.exit_code == 0, done.output
    for out, colours in (("his", "bt601"), ("ours", "tagged")):
        with open_video(clip, colours=colours) as video:
            (frame,) = read_frames(video, np.array([0]))
        boxes, crop = (
            next((tmp_path / out / step).rglob(name)) for step, name in (("boxes", "*.json"), ("crops", "0_0.png"))
        )
        _, _, expected_HW3 = next(cut_boxes(frame, read_boxes(boxes)[0]))
        assert (cv2.imread(str(crop))[:, :, ::-1] == expected_HW3).all()


def test_folds_are_his(winner_form):
    """His scripts list originals with a fake, two faces of a frame, and number the folds by all 50 parts."""
    rows = [(row.video, row.file, row.label, row.original, row.fold) for row in read_folds(winner_form / "folds.csv")]
    assert sorted(rows) == sorted(
        (video, f"0_{face}.png", label, original, fold)
        for original, fold in (("aaaaaaaaaa", 1), ("ffffffffff", 15))
        for video, label in [(original, 0), *((fake, 1) for fake, source in FAKE_OF.items() if source == original)]
        for face in range(2)
    )


def test_options_beside_it_have_precedence(winner_form, tmp_path):
    data = winner_form.parent / "data" / "dfdc_train_part_4"
    options = [
        "--as",
        "winner",
        "--steps",
        "boxes",
        "--every",
        "3",
        "--detector-scale",
        "1",
        "--fold-by",
        "group",
        "-q",
    ]
    assert CliRunner().invoke(app, ["prepare", str(data), "--out", str(tmp_path), *options]).exit_code == 0
    settings = json.loads((tmp_path / "prepare.json").read_text())
    assert (settings["steps"], settings["every"], settings["fold_rule"]) == (["boxes"], 3, "group")
    assert settings["detection"]["scale"] == 1
    assert settings["detection"]["thresholds"] == [0.85, 0.95, 0.95]


def test_frames_and_scale_are_the_presets():
    detection = WINNER_PREPARATION.settings.detection
    assert (detection.scale, detection.shrink) == (CROP.detection.scale, CROP.detection.shrink) == (0.5, "bicubic")
