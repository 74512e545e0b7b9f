# ruff: noqa: E402 - torch is not in every environment

"""The torch side of scanning, here on the CPU, against OpenVINO."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")
pytest.importorskip("onnxscript")

from tests.models.networks.test_export import SIZE_PX, TINY, assert_alike, used
from tests.shallow import shallow_encoders
from unmask.errors import ModelError, UsageError
from unmask.models import Card, Network, NetworkSpec, load_network
from unmask.models.card import load_card, write_card
from unmask.models.cuda import TorchNetwork, resolve_device
from unmask.models.networks import build_network
from unmask.models.networks.export import export_model
from unmask.types import CropSpec

ON_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")


def write_model(folder, name="blendnet", encoder=TINY, gain=1):
    """A model with statistics and weights of its own, its last ones ``gain`` fold; mean and std are not ImageNet's."""
    parameters = {"encoder": encoder}
    crop = CropSpec(size_px=SIZE_PX)
    card = Card("tiny", "1", "Tests.", "a tiny one", "none", crop, {}, network=NetworkSpec(name, parameters))
    torch.manual_seed(0)
    network = used(build_network(name, **parameters))
    network.fc.weight.data *= gain
    export_model(network, folder, card, mean=(0.5, 0.4, 0.3), std=(0.5, 0.6, 0.7))
    return folder


@pytest.fixture(scope="module", autouse=True)
def shallow():
    with shallow_encoders():
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def crops():
    return np.random.default_rng(0).integers(0, 256, (11, SIZE_PX, SIZE_PX, 3), np.uint8)


def test_torch_scores_as_openvino_does(folder, crops):
    """`tests.models.networks.test_export` does it with each network."""
    network = TorchNetwork(folder, "fp32", "cpu", batch_sizes=(2, 4))
    assert_alike(network.score(crops), Network(folder, "fp32").score(crops), 1e-4)


@pytest.mark.parametrize("name", ["bf16"])
def test_half_precision_stays_near(folder, crops, name):
    assert_alike(TorchNetwork(folder, name, "cpu").score(crops), Network(folder, "fp32").score(crops), 0.05)


@ON_CUDA
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-4), ("bf16", 0.05), ("fp16", 0.02)])
def test_a_gpu_scores_as_openvino_does(folder, crops, precision, tolerance):
    network = TorchNetwork(folder, precision, "cuda", batch_sizes=(2, 4))
    expected = Network(folder, "fp32").score(crops)
    for _ in range(3):  # recorded, then replayed
        assert_alike(network.score(crops), expected, tolerance)


@ON_CUDA
def test_auto_takes_the_gpu(folder):
    assert load_network(folder).device == "cuda:0"


def test_the_card_tells_mean_std_and_network(folder):
    assert load_card(folder).network == NetworkSpec("blendnet", {"encoder": TINY}, (0.5, 0.4, 0.3), (0.5, 0.6, 0.7))


def test_a_card_without_a_network_is_refused(folder, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    for path in folder.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    write_card(other, replace(load_card(folder), network=None))
    with pytest.raises(ModelError, match="use --device cpu"):
        TorchNetwork(other, "fp32", "cpu")
    assert isinstance(load_network(other, "fp32", "auto"), Network)


@pytest.mark.parametrize("device", ["cuda:x", "rocm", "cpu:0"])
def test_unknown_device(device):
    with pytest.raises(UsageError, match="use auto, cpu, cuda or cuda:N"):
        resolve_device(device)


def test_int8_is_for_cpus(folder):
    with pytest.raises(UsageError, match="none of torch's"):
        TorchNetwork(folder, "int8", "cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_no_gpu(folder):
    with pytest.raises(UsageError, match="use --device cpu"):
        load_network(folder, "fp32", "cuda")
    assert isinstance(load_network(folder, "fp32", "auto"), Network)
