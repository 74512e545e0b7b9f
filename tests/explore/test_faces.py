"""``unmask faces``: the faces of one image, and the steps of MTCNN."""

import base64
import re

import cv2
import numpy as np
import pytest
from examples.make_clips import PORTRAIT
from typer.testing import CliRunner

from tests.media_factory import on_canvas, write_video
from unmask.cli import app
from unmask.explore.faces import read_frame_at, show_faces
from unmask.faces import load_detector
from unmask.faces.mtcnn import Mtcnn
from unmask.types import DetectorSpec

TITLES = [
    "Image pyramid", "P-Net candidates", "P-Net after NMS", "R-Net candidates", "R-Net after NMS", "O-Net candidates",
    "O-Net after NMS",
]  # fmt: skip


@pytest.fixture(scope="module")
def scene(portrait):
    image_HW3 = on_canvas(portrait, (480, 360), (20, 20), 300)
    image_HW3[200:350, 320:470] = on_canvas(portrait, (480, 360), (320, 200), 150)[200:350, 320:470]
    return image_HW3


def test_each_stage_leaves_fewer_boxes(scene):
    stages = Mtcnn(DetectorSpec(scale=1.0)).stages(scene)
    assert [stage.name for stage in stages] == TITLES[1:]
    counts = {stage.name: len(stage.boxes_N4) for stage in stages}
    for name in ("P-Net", "R-Net", "O-Net"):
        assert counts[f"{name} candidates"] >= counts[f"{name} after NMS"] > 0
    assert counts["P-Net candidates"] > counts["P-Net after NMS"] > counts["R-Net candidates"]
    assert counts["R-Net after NMS"] >= counts["O-Net candidates"]
    for stage, threshold in zip(stages[::2], DetectorSpec().thresholds, strict=True):
        assert stage.scores_N.min() >= threshold
    assert [stage.landmarks_N52 is None for stage in stages] == [True] * 5 + [False]
    found = {face.xyxy_px for face in load_detector(DetectorSpec(scale=1.0)).detect(scene)}
    assert {tuple(box) for box in stages[-1].boxes_N4.tolist()} == found


def test_the_steps_are_drawn(scene):
    shown = show_faces(scene, stages=True)
    assert [panel.title for panel in shown.panels] == TITLES
    assert shown.panels[0].count == 9, "0.6 times 360 pixels, and 0.709 times the last, down to 12"
    assert shown.panels[-1].count == len(shown.faces) == 2
    pictures = [cv2.imdecode(np.frombuffer(base64.b64decode(p.jpeg), np.uint8), 1) for p in shown.panels]
    assert all(picture is not None for picture in pictures)
    bare, drawn = show_faces(np.full_like(scene, 110)), show_faces(scene)
    assert (len(bare.faces), bare.panels[0].count) == (0, 0)
    assert [panel.title for panel in drawn.panels] == TITLES[-1:]


def test_the_command(tmp_path, scene):
    page = tmp_path / "faces.html"
    done = CliRunner().invoke(app, ["faces", str(PORTRAIT), "--stages", "--out", str(page)])
    lines = done.stdout.splitlines()
    assert [line.partition(":")[0] for line in lines] == [*TITLES, "face 1"]
    assert re.fullmatch(r"face 1: \d+\.\d( \d+\.\d){3} px, confidence [01]\.\d{4}", lines[-1])
    assert page.read_text().count("data:image/jpeg") == len(TITLES)
    clip = write_video(tmp_path / "clip.mp4", [np.full_like(scene, 110)] * 10 + [scene] * 10, rate=10)
    assert CliRunner().invoke(app, ["faces", str(clip)]).stdout == "no face\n"
    assert "face 2:" in CliRunner().invoke(app, ["faces", str(clip), "--at", "1.5"]).stdout
    assert np.abs(read_frame_at(clip, 1.0).astype(int) - scene).mean() < 8
    for arguments, words in (
        (["faces", str(clip), "--at", "9"], "is 2.00 s long"),
        (["faces", str(page)], "is no image"),
        (["faces", str(clip), "--out", str(PORTRAIT)], "named like an image"),
    ):
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 2
        assert words in done.stderr
