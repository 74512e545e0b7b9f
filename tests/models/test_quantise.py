"""A tiny network in int8: written, checked, refused, run."""

import shutil
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip("torch")
pytest.importorskip("timm")
pytest.importorskip("onnxscript")

from tests.models.networks.test_export import SIZE_PX
from tests.models.test_cuda import write_model
from tests.shallow import shallow_encoders
from unmask.cli import app
from unmask.errors import ModelError, UsageError
from unmask.models import Network, load_card, verify_folder
from unmask.models.quantise import Check, compare, quantise_model


@pytest.fixture(scope="module", autouse=True)
def shallow():
    with shallow_encoders():
        yield


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("written") / "tiny", "classifier", gain=100)


@pytest.fixture
def folder(written, tmp_path):
    return shutil.copytree(written, tmp_path / "tiny")


@pytest.fixture(scope="module")
def crops():
    """Dark and bright ones in turn: their scores lie apart."""
    rng = np.random.default_rng(0)
    levels = np.where(np.arange(24) % 2, 200, 40)[:, None, None, None]
    return (levels + 30 * rng.uniform(-1, 1, (24, SIZE_PX, SIZE_PX, 3))).astype(np.uint8)


class TestWithNncf:
    @pytest.fixture(autouse=True)
    def nncf(self):
        pytest.importorskip("nncf", reason="NNCF is not installed: pip install 'unmask[int8]'")

    def test_int8_scores_alike_and_is_named_in_the_card(self, folder, crops, capsys):
        exact = [score.fake_probability for score in Network(folder, "fp32").score(crops)]
        labels = np.array(exact[12:]) > np.mean(exact)
        assert abs(np.mean(exact[1::2]) - np.mean(exact[::2])) > 0.01
        card, check = quantise_model(folder, crops[:12], crops[12:], labels, data="noise", max_change=0.1)
        assert capsys.readouterr().out == "", "bars are talk"
        assert card == load_card(folder) == verify_folder(folder)
        assert {"model.onnx", "model.safetensors", "model.int8.xml", "model.int8.bin"} == set(card.files)
        network = Network(folder, "int8")
        int8 = [score.fake_probability for score in network.score(crops)]
        assert (network.precision, network.weights_file) == ("int8", "model.int8.bin")
        assert int8 != exact
        assert int8 == pytest.approx(exact, abs=0.1)  # what max_change allows
        told = card.evaluation["int8"]
        assert (
            told["largest_change"] == check.largest_change == pytest.approx(np.abs(np.subtract(exact, int8)[12:]).max())
        )
        assert told["data"] == "noise"
        assert b'type="FakeQuantize"' in (folder / "model.int8.xml").read_bytes()
        assert Network(folder, "auto").precision != "int8"

    def test_a_change_beyond_the_bound_is_refused_and_nothing_written(self, folder, crops):
        before = {path.name: path.read_bytes() for path in folder.iterdir()}
        with pytest.raises(ModelError, match=r"more than 0; nothing was written.*--max-change"):
            quantise_model(folder, crops[:4], crops[4:8], None, data="noise", max_change=0)
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_without_nncf_the_cure_is_told(folder, crops, monkeypatch):
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(UsageError, match=r"pip install 'unmask\[int8\]'"):
        quantise_model(folder, crops[:4], crops[4:8], None, data="noise")


def test_the_command_tells_what_is_missing(folder, tmp_path):
    done = CliRunner().invoke(app, ["models", "quantise", str(folder), "--data", str(tmp_path / "nowhere")])
    assert done.exit_code == 2
    assert "holds too few crops" in done.stderr


class TestCheck:
    def test_labels_judge_by_log_loss_and_auc(self):
        labels, exact = np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.6, 0.9])
        same = compare(exact, exact, labels)
        assert (same.largest_change, same.fault(None)) == (0, "")
        worse = compare(exact, np.array([0.1, 0.7, 0.6, 0.9]), labels)
        assert worse.auc == (1.0, 0.75)
        assert "log loss rises" in worse.fault(None)
        assert "AUC falls by 0.2500, more than 0.2" in worse.fault(0.5)
        assert worse.fault(1.0) == ""
        better = compare(exact, np.array([0.0, 0.3, 0.7, 1.0]), labels)
        assert better.fault(0.0) == "", "a change for the better is none"

    def test_without_labels_the_largest_change_counts(self):
        check = compare(np.array([0.1, 0.9]), np.array([0.12, 0.84]), None)
        assert check.largest_change == pytest.approx(0.06)
        assert check.mean_change == pytest.approx(0.04)
        assert "changes by 0.0600, more than 0.05" in check.fault(None)
        assert check.fault(0.07) == ""

    def test_it_is_told_in_a_line(self):
        assert str(Check(5, 0.01, 0.005)) == "int8 changes the fake probability of 5 crops by 0.0100 at most"
        assert str(Check(5, 0.01, 0.005, (0.5, 0.51), (0.9, 0.89))).endswith(
            "log loss 0.5000 -> 0.5100, AUC 0.9000 -> 0.8900"
        )
