"""MTCNN's three networks: their layers, and that a table of boxes trains them."""

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from examples.make_clips import PORTRAIT
from typer.testing import CliRunner

torch = pytest.importorskip("torch")

import safetensors.torch  # noqa: E402

from tests.media_factory import on_canvas  # noqa: E402
from unmask import UsageError  # noqa: E402
from unmask.cli import app  # noqa: E402
from unmask.datasets.synthetic import read_portrait  # noqa: E402
from unmask.faces import mtcnn_networks as mtcnn  # noqa: E402
from unmask.models.networks.mtcnn import CASCADE  # noqa: E402
from unmask.training.cascade import (  # noqa: E402
    NEGATIVE,
    PART,
    POSITIVE,
    BoxedImage,
    draw_crops,
    load_cascade_recipe,
    read_boxes_table,
)

RECIPE = Path(__file__).parents[2] / "recipes" / "mtcnn.toml"
BOX = (181.0, 62.0, 268.0, 172.0)
"""The face of the portrait of 512 pixels."""
EYES_NOSE_MOUTH = ((205, 106), (245, 105), (224, 131), (209, 147), (244, 146))


def published(name, network):
    """Put the arrays of the published file, which come in the order of the layers, into the torch module."""
    arrays = [torch.from_numpy(array) for array in mtcnn.load_weights(name)]
    layers = [key for key, _ in network.named_children()]
    heads = [key for key in layers if "_" in key]
    state = {}
    for key in [*(key for key in layers if "_" not in key), *heads[1:], heads[0]]:  # in the file, face comes last
        for part, value in network.get_submodule(key).named_parameters():
            array = arrays.pop(0)
            if part == "weight" and array.ndim in (2, 4) and not key.startswith("prelu"):
                array = array.permute(3, 2, 0, 1) if array.ndim == 4 else array.T
            state[f"{key}.{part}"] = array.reshape(value.shape)
    assert not arrays
    network.load_state_dict(state)
    return network.eval()


@pytest.mark.parametrize("name", CASCADE)
def test_the_layers_are_those_of_the_published_networks(name):
    network = published(name, CASCADE[name]())
    x_N = np.random.default_rng(0).uniform(-1, 1, (5, network.side_px, network.side_px, 3)).astype(np.float32)
    with mtcnn.lend_networks() as networks:
        probability, shift, *points = networks.run(name, x_N)
    with torch.inference_mode():
        logits, found, landmarks = network(torch.from_numpy(x_N).permute(0, 3, 1, 2))
    np.testing.assert_allclose(logits.softmax(1), probability, atol=1e-5)
    np.testing.assert_allclose(found, shift, atol=1e-5)
    assert (landmarks is None) == (name != "onet")
    if landmarks is not None:
        np.testing.assert_allclose(landmarks, points[0], atol=1e-5)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """The portrait at a few places of twelve images, with its box and landmarks."""
    folder = tmp_path_factory.mktemp("boxes")
    portrait = read_portrait(PORTRAIT)
    with (folder / "faces.csv").open("w", newline="") as file:
        axes = [f"l{axis}{i}" for axis in "xy" for i in range(1, 6)]
        rows = csv.writer(file)
        rows.writerow(["image", "x1", "y1", "x2", "y2", *axes])
        for number in range(12):
            side, left, top = 150 + 10 * number, 12 * number, 5 * number
            cv2.imwrite(str(folder / f"{number}.png"), on_canvas(portrait, (480, 360), (left, top), side)[:, :, ::-1])
            place = np.array([left, top] * 2) + np.array(BOX) * side / 512
            points = np.array([left, top]) + np.array(EYES_NOSE_MOUTH) * side / 512
            rows.writerow([f"{number}.png", *place.tolist(), *points.T.ravel().tolist()])
    return folder / "faces.csv"


def test_crops_say_where_the_face_is(table):
    images = read_boxes_table(table)
    crops = draw_crops(images, 24, np.random.default_rng(0))
    assert crops.x_N3SS.shape[1:] == (3, 24, 24)
    assert crops.x_N3SS.abs().max() <= 1
    counts = torch.bincount(crops.kind_N, minlength=3)
    assert counts[POSITIVE] > len(images)
    assert counts[PART] > 0
    assert counts[NEGATIVE] == 6 * len(images)
    positive = crops.kind_N == POSITIVE
    assert crops.shift_N4[positive].abs().max() < 0.5
    points = crops.landmarks_N10[positive]
    assert ((points > -0.5) & (points < 1.5)).all()
    assert (points[:, 0] < points[:, 1]).all(), "the left eye is left of the right one"


def test_all_three_learn(table, tmp_path):
    """A few steps on twelve pictures of one face: enough to tell it from grey, and to move a crop towards it."""
    out = str(tmp_path / "run")
    changes = ["steps=40", "images_a_step=3", "validate_every=40", "learning_rate=0.003"]
    options = [text for change in changes for text in ("--set", change)]
    done = CliRunner().invoke(app, ["train", "mtcnn", "--data", str(table), "--out", out, *options])
    assert done.exit_code == 0, done.output
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["pnet", "rnet", "onet"]
    events = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    for name, network in CASCADE.items():
        steps = [event for event in events if event["network"] == name]
        assert len(steps) == 40
        first, last = (np.mean([step["face"] + step["box"] for step in part]) for part in (steps[:10], steps[-10:]))
        assert last < 0.7 * first
        assert steps[-1]["accuracy"] > 0.8
        weights = safetensors.torch.load_file(tmp_path / "run" / f"{name}.safetensors")
        assert weights.keys() == network().state_dict().keys()
    refused = CliRunner().invoke(app, ["train", "mtcnn", "--data", str(table), "--out", out])
    assert refused.exit_code == 2
    assert "--resume" in refused.stderr
    again = CliRunner().invoke(app, ["train", "mtcnn", "--data", str(table), "--out", out, "--resume", "-q"])
    assert again.exit_code == 0
    assert len((tmp_path / "run" / "log.jsonl").read_text().splitlines()) == len(events), "nothing was left to do"


def test_mistakes_are_named(tmp_path):
    assert load_cascade_recipe(RECIPE).steps == 60000
    with pytest.raises(UsageError, match="stepps"):
        load_cascade_recipe(RECIPE, {"stepps": 3})
    (tmp_path / "one.csv").write_text("image,x1,y1,x2,y2\na.png,0,0,9,9\n")
    with pytest.raises(UsageError, match="names 1 images"):
        read_boxes_table(tmp_path / "one.csv")
    (tmp_path / "bad.csv").write_text("image,x1,y1,x2,y2\na.png,5,0,5,9\nb.png,0,0,9,9\n")
    with pytest.raises(UsageError, match="is empty"):
        read_boxes_table(tmp_path / "bad.csv")
    gone = BoxedImage(tmp_path / "gone.png", np.ones((1, 4), np.float32), np.ones((1, 10), np.float32))
    with pytest.raises(UsageError, match=r"gone\.png"):
        draw_crops([gone], 12, np.random.default_rng(0))
