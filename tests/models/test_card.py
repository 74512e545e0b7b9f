import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from unmask.errors import ModelError
from unmask.models import load_card, model_folder, model_names, verify_folder
from unmask.models.card import Calibration, Thresholds, bundled_folder


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(bundled_folder(), tmp_path / "model")


def edit(folder, **changes):
    card = json.loads((folder / "card.json").read_text())
    card.update(changes)
    (folder / "card.json").write_text(json.dumps(card))


def test_the_bundled_model_is_whole():
    card = verify_folder(model_folder("bundled"))
    assert card.files["model.onnx"].bytes <= 20e6
    assert 0 < card.thresholds.real_below < card.thresholds.fake_above < 1
    assert "non-commercial" in card.licence
    assert card.limitations


def test_a_flipped_bit_is_refused(folder):
    path = folder / "model.onnx"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelError, match="damaged or was replaced"):
        verify_folder(folder)


def test_a_truncated_or_missing_file_is_refused(folder):
    path = folder / "model.onnx"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ModelError, match="sha256"):
        verify_folder(folder)
    path.unlink()
    with pytest.raises(ModelError, match="cannot read"):
        verify_folder(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": "BGR"}, "colour"),
        ({"crop": {"size_px": 8}}, "size_px"),
        ({"thresholds": {"real_below": 0.9, "fake_above": 0.1}}, "rise"),
        ({"calibration": {"temperature": 0}}, "temperature"),
        ({"fusion": {"people": "everyone"}}, "pool"),
        ({"files": {"../model.onnx": {"sha256": "0", "bytes": 1}}}, "model.onnx"),
        ({"name": 3}, "name"),
    ],
)
def test_a_wrong_card_names_the_field(folder, changes, message):
    edit(folder, **changes)
    with pytest.raises(ModelError, match=message):
        load_card(folder)


def test_a_card_that_is_no_json_or_too_large(folder):
    (folder / "card.json").write_text("{")
    with pytest.raises(ModelError, match="JSON"):
        load_card(folder)
    (folder / "card.json").write_text(" " * (1 << 21))
    with pytest.raises(ModelError, match="larger"):
        load_card(folder)


def test_models_are_found_by_name_and_path(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("UNMASK_HOME", str(tmp_path / "home"))
    assert model_names() == ["bundled"]
    shutil.copytree(folder, tmp_path / "home" / "models" / "mine")
    assert model_names() == ["bundled", "mine"]
    assert model_folder("mine") == tmp_path / "home" / "models" / "mine"
    assert model_folder(folder) == folder
    with pytest.raises(ModelError, match="mine"):
        model_folder("nobody")
    with pytest.raises(ModelError, match="runs/mine"):
        model_folder("runs/mine")  # a path is no name


def test_a_name_means_the_same_in_every_folder(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("UNMASK_HOME", str(tmp_path / "home"))
    shutil.copytree(folder, tmp_path / "home" / "models" / "mine")
    for name in ("mine", "bundled", "theirs", "deeper/mine"):
        shutil.copytree(folder, tmp_path / "here" / name)
    monkeypatch.chdir(tmp_path / "here")
    assert model_folder("mine") == tmp_path / "home" / "models" / "mine"
    assert model_folder("bundled") == model_folder("bundled").resolve()
    assert model_folder("./mine") == Path("mine")
    assert model_folder(Path("theirs")) == Path("theirs")
    assert model_folder("deeper/mine") == Path("deeper/mine")
    with pytest.raises(ModelError, match=r"write \./theirs"):
        model_folder("theirs")
    monkeypatch.chdir(tmp_path / "here" / "theirs")
    for name in (".", "..", "", "..\\mine"):
        with pytest.raises(ModelError, match="no model"):
            model_folder(name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes have names here")
@pytest.mark.parametrize("name", ["card.json", "model.onnx"])
def test_a_pipe_in_a_model_is_not_waited_for(folder, name):
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(ModelError, match="regular"):
        verify_folder(folder)


def test_words():
    thresholds = Thresholds(0.2, 0.8)
    assert [thresholds.label(p) for p in (0, 0.2, 0.21, 0.79, 0.8, 1)] == [
        "real", "real", "inconclusive", "inconclusive", "fake", "fake",
    ]  # fmt: skip
    with pytest.raises(ValueError, match="finite"):
        Calibration(1.0, float("nan"))


def test_a_calibration_is_undone():
    calibration, logits = Calibration(2.0, 0.5), np.array([-3.0, 0.5, 2.5])
    assert calibration.apply(logits).tolist() == [-1.75, 0.0, 1.0]
    assert calibration.undo(calibration.apply(logits)).tolist() == logits.tolist()
