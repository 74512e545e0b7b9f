"""Models whose files are damaged or whose weights are no numbers."""

import json
import random
import shutil
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from unmask.cli import app
from unmask.errors import ModelError
from unmask.models import load_network
from unmask.models.card import bundled_folder, file_facts, load_card, verify_folder, write_card
from unmask.models.cpu import ov

FLIPS = 1000


@pytest.fixture
def small(tmp_path):
    """A model folder whose network is a few bytes: what they mean is never asked."""
    folder = tmp_path / "model"
    folder.mkdir()
    content = random.Random(0).randbytes(4096)
    (folder / "model.onnx").write_bytes(content)
    card = load_card(bundled_folder())
    write_card(folder, replace(card, files={"model.onnx": file_facts(content)}, precision="fp32"))
    return folder


@pytest.fixture
def no_network(monkeypatch):
    """Fails the test as soon as a network would be built."""
    monkeypatch.setattr(ov, "Core", lambda: pytest.fail("a network is built of damaged bytes"))


@pytest.fixture
def precise(monkeypatch):
    """Spares `load_network` from asking the CPU for its number formats."""
    monkeypatch.setattr("unmask.models.cpu.resolve_precision", lambda precision: "fp32")


def refused(folder):
    with pytest.raises(ModelError, match=r"its sha256 is not the card's; install the model again"):
        load_network(folder, "fp32", "cpu")
    return True


def test_every_flipped_bit_is_refused_before_a_network_is_built(small, no_network, precise):
    path, rng = small / "model.onnx", random.Random(1)
    whole = path.read_bytes()
    for place in rng.sample(range(8 * len(whole)), FLIPS):
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        assert refused(small)


def test_every_truncation_is_refused_before_a_network_is_built(small, no_network, precise):
    path, rng = small / "model.onnx", random.Random(2)
    whole = path.read_bytes()
    for length in [0, len(whole) - 1, *rng.sample(range(len(whole)), 50)]:
        path.write_bytes(whole[:length])
        assert refused(small)
    path.write_bytes(whole + b"\0")
    assert refused(small)


@pytest.mark.parametrize("claimed", [-1, 0, 1 << 40, 1 << 62, 10**30])
def test_a_card_that_claims_any_length_reserves_nothing(small, claimed):
    card = json.loads((small / "card.json").read_text())
    card["files"]["model.onnx"]["bytes"] = claimed
    (small / "card.json").write_text(json.dumps(card))
    with pytest.raises(ModelError):
        verify_folder(small)


@pytest.mark.parametrize(
    "text",
    [b"[" * 500_000, b'{"a":' * 100_000, b"\xff\xfe", b'{"name": NaN}', b"null", b"", b"{}", b" " * (1 << 21)],
)
def test_a_hostile_card_is_refused(small, text):
    (small / "card.json").write_bytes(text)
    with pytest.raises(ModelError, match=r"card\.json"):
        load_card(small)


def test_weights_that_are_no_numbers_never_give_one(tmp_path, short_clips):
    """NaN in the last weights: the card is right about the file, so only its scores can tell."""
    onnx = pytest.importorskip("onnx")
    folder = shutil.copytree(bundled_folder(), tmp_path / "nan")
    network = onnx.load(folder / "model.onnx")
    floats = [t for t in network.graph.initializer if t.data_type == onnx.TensorProto.FLOAT and len(t.dims) >= 1]
    for tensor in floats:
        values = onnx.numpy_helper.to_array(tensor)
        tensor.CopyFrom(onnx.numpy_helper.from_array(np.full_like(values, np.nan), tensor.name))
    content = network.SerializeToString()
    (folder / "model.onnx").write_bytes(content)
    write_card(folder, replace(load_card(folder), files={"model.onnx": file_facts(content)}, precision="fp32"))
    out = tmp_path / "o.jsonl"
    args = [
        "scan",
        str(short_clips["authentic"]),
        str(short_clips["blended"]),
        "--model",
        str(folder),
        "--json",
        str(out),
        "-q",
    ]
    assert CliRunner().invoke(app, [*args, "--frames", "4", "--precision", "fp32"]).exit_code == 4
    for row in map(json.loads, out.read_text().splitlines()):
        assert (row["status"], row["label"], row["fake_probability"]) == ("internal_error", None, None)
        assert "a score that is no number" in row["reasons"][0]
