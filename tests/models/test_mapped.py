from pathlib import Path

import numpy as np
import pytest

from unmask.models import Network, cpu, mapped, model_folder
from unmask.models.card import load_card
from unmask.models.cpu import compile_judge
from unmask.models.mapped import map_weights, return_memory
from unmask.runtime.openvino import compile_network, op, ov


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("UNMASK_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(mapped, "MIN_BYTES", 1)
    return tmp_path / "home"


@pytest.fixture
def product():
    """A network that multiplies rows by a matrix."""
    weights = np.random.default_rng(0).random((64, 64), np.float32)
    rows = op.parameter([-1, 64], np.float32)
    return ov.Model([op.matmul(rows, op.constant(weights), False, False)], [rows], "product")


def resident_kb(name):
    """Memory of this process that shows a file, whether it still has a name or not."""
    blocks = Path("/proc/self/smaps").read_text().split("VmFlags")
    sizes = [int(block.split("Rss:")[1].split()[0]) for block in blocks if name in block and "Rss:" in block]
    assert sizes
    return sum(sizes)


def test_weights_lie_in_a_file_without_a_name(home, product):
    rows = np.random.default_rng(1).random((3, 64), np.float32)
    same, weights = map_weights(product, 64 * 64 * 4)
    assert not list(home.iterdir())
    before = compile_network(product)(rows)[0]
    network = compile_network(same)
    assert np.array_equal(network(rows)[0], before)
    assert resident_kb("network.bin")
    weights.let_go()
    assert not resident_kb("network.bin")
    assert np.array_equal(network(rows)[0], before)
    assert np.array_equal(compile_network(same)(rows)[0], before), "what is read again comes from the file"


def test_small_weights_stay_in_memory(tmp_path, monkeypatch, product):
    monkeypatch.setenv("UNMASK_HOME", str(tmp_path / "home"))
    assert map_weights(product, 64 * 64 * 4) == (product, None)


def test_without_room_for_a_file_weights_stay_in_memory(home, product, caplog):
    home.write_text("a file where the folder should be")
    assert map_weights(product, 1 << 20) == (product, None)
    assert "more memory than it must" in caplog.text


def test_a_model_whose_weights_are_mapped_scores_the_same(home, monkeypatch):
    folder = model_folder("bundled")
    crops = np.random.default_rng(0).integers(0, 256, (5, 224, 224, 3), np.uint8)
    plain = [score.fake_probability for score in Network(folder, "fp32", streams=2).score(crops)]
    monkeypatch.setattr(cpu, "_IN_USE", {})
    network = Network(folder, "fp32", streams=2)
    assert compile_judge(folder, load_card(folder), "fp32", 2).weights is not None
    for _ in range(2):  # again after a rest
        assert [score.fake_probability for score in network.score(crops)] == plain


def test_memory_is_returned():
    return_memory()
