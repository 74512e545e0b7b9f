"""A toy embedder: where a crop is bright, and in which colour, is whose face it is."""

import hashlib
import json

import cv2
import numpy as np
import pytest

from tests.media_factory import on_canvas, write_video
from unmask import ModelError, Scanner
from unmask.models.embedder import Embedder, similarity
from unmask.types import Face

onnx = pytest.importorskip("onnx")


def write_embedder(folder, side=32, **changes):
    """Mean colour, less its grey."""
    from onnx import TensorProto, helper

    crops = helper.make_tensor_value_info("crops", TensorProto.UINT8, ["N", side, side, 3])
    vector = helper.make_tensor_value_info("vector", TensorProto.FLOAT, ["N", 3])
    nodes = [
        helper.make_node("Cast", ["crops"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["x"], ["colour"], axes=[1, 2], keepdims=0),
        helper.make_node("ReduceMean", ["colour"], ["grey"], axes=[1], keepdims=1),
        helper.make_node("Sub", ["colour", "grey"], ["vector"]),
    ]
    model = helper.make_model(
        helper.make_graph(nodes, "toy", [crops], [vector]), opset_imports=[helper.make_opsetid("", 13)], ir_version=8
    )
    content = model.SerializeToString()
    folder.mkdir()
    (folder / "model.onnx").write_bytes(content)
    card = {
        "kind": "embedder",
        "name": "toy",
        "version": "1",
        "licence": "none",
        "crop": {"size_px": side, "margin": 0},
    }
    card["files"] = {"model.onnx": {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}}
    (folder / "card.json").write_text(json.dumps(card | changes))
    return folder


def test_vectors_of_crops(tmp_path):
    embedder = Embedder(write_embedder(tmp_path / "toy"))
    crops = [np.full((32, 32, 3), colour, np.uint8) for colour in ((90, 60, 30), (10, 10, 40))]
    np.testing.assert_allclose(embedder.embed(crops), [[30, 0, -30], [-10, -10, 20]], atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "detector"}, "kind"),
        ({"crop": {"size_px": 64}}, "64, 64, 3"),
        ({"files": {}}, "model.onnx"),
        ({"files": {"model.onnx": {"sha256": "0" * 64, "bytes": 1}}}, "damaged"),
        ({"colour": "BGR"}, "colour"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, changes, message):
    with pytest.raises(ModelError, match=message):
        Embedder(write_embedder(tmp_path / "toy", **changes))
    with pytest.raises(ModelError, match="no embedder"):
        Embedder(tmp_path / "nothing")


def test_a_similarity_is_found_again():
    points = np.random.default_rng(0).normal(size=(5, 2))
    matrix = np.array([[0.6, -0.8, 3], [0.8, 0.6, -1]]) * [[2, 2, 1], [2, 2, 1]]
    np.testing.assert_allclose(similarity(points, points @ matrix[:, :2].T + matrix[:, 2]), matrix, atol=1e-12)


def test_landmarks_are_laid_on_the_template(tmp_path):
    embedder = Embedder(write_embedder(tmp_path / "toy", side=112, alignment="arcface"))
    image = np.zeros((300, 300, 3), np.uint8)
    points = np.array([[120, 100], [180, 100], [150, 135], [125, 170], [175, 170]], np.float32)
    for x, y in points.astype(int):
        cv2.circle(image, (int(x), int(y)), 4, (255, 255, 255), -1)
    crop = embedder.cut(image, Face((100, 70, 200, 200), 1.0, points))
    assert crop.shape == (112, 112, 3)
    for x, y in ((38, 52), (74, 52), (56, 72), (42, 92), (71, 92)):
        assert crop[y - 3 : y + 4, x - 3 : x + 4].max() > 200
    assert embedder.cut(image, Face((100, 70, 200, 200), 1.0)).any(), "without landmarks the crop rule serves"


@pytest.mark.slow
def test_a_person_in_two_shots_is_one(tmp_path, portrait):
    """A cut ends all tracks; the embedder sees that the first and the third shot show the same colours."""
    tinted = np.clip(portrait * np.array([0.6, 0.8, 1.5]), 0, 255).astype(np.uint8)
    reddish = np.clip(portrait * np.array([1.5, 0.8, 0.6]), 0, 255).astype(np.uint8)
    canvases = []
    for ground, picture, left in ((20, reddish, 60), (230, tinted, 60), (120, reddish, 260)):
        canvas = np.full((340, 600, 3), ground, np.uint8)
        canvas[20:320, left : left + 300] = on_canvas(picture, (300, 300), (0, 0), 300)
        canvases += [canvas] * 8
    clip = write_video(tmp_path / "shots.mp4", canvases, rate=10, options={"crf": "12"})
    plain = Scanner().scan(clip)
    joined = Scanner(identity=write_embedder(tmp_path / "toy")).scan(clip)
    assert sorted((face.person, face.frames) for face in plain.faces) == [(1, 8), (2, 8), (3, 8)]
    assert sorted((face.person, face.frames) for face in joined.faces) == [(1, 16), (2, 8)]
    assert joined.settings["identity"]["name"] == "toy"
