# ruff: noqa: E402 - torch is not in every environment

import hashlib
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")
pytest.importorskip("onnxscript")

from safetensors.torch import load_file, save_file

from tests.shallow import CREATE_WHOLE, shallow_encoders
from unmask.errors import ModelError, UsageError
from unmask.models import BATCH_CROPS, Card, Network, NetworkSpec, verify_folder
from unmask.models.card import Calibration
from unmask.models.cuda import TorchNetwork
from unmask.models.networks import NETWORKS, Output, build_network
from unmask.models.networks.export import FromPixels, export_model, load_weights
from unmask.types import CropSpec

TINY = "test_efficientnet"
SIZE_PX = 64
PARAMETERS = {"layernorm": {"encoder": "test_vit", "size_px": SIZE_PX}, "laa": {}, "ucf": {}}
"""Of networks that do not take `TINY`: two have one size."""


@pytest.fixture
def card():
    return Card(
        name="tiny",
        version="1",
        purpose="Tests.",
        architecture="a tiny one",
        licence="none",
        crop=CropSpec(size_px=SIZE_PX, margin=0.1),
        files={},
        precision="fp32",
        calibration=Calibration(temperature=1.5, offset=0.2),
        limitations=("Knows nothing.",),
    )


@pytest.fixture(scope="module", autouse=True)
def shallow():
    with shallow_encoders():
        yield


def used(network):
    """Give a network weights that are not those of its start, and statistics that let it tell pictures apart."""
    torch.manual_seed(1)
    for module in network.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.momentum = None  # the mean of all batches, without what it starts from
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter.add_(0.02 * torch.randn_like(parameter))
        for _ in range(3):
            network.train()(torch.randn(8, 3, SIZE_PX, SIZE_PX))
    return network


@pytest.fixture(scope="module")
def blendnet():
    return used(build_network("blendnet", encoder=TINY))


@pytest.fixture(scope="module")
def exported(blendnet, tmp_path_factory):
    card = Card("tiny", "1", "Tests.", "a tiny one", "none", CropSpec(size_px=SIZE_PX), {}, precision="fp32")
    folder = tmp_path_factory.mktemp("exported") / "tiny"
    return folder, export_model(blendnet, folder, card)


@pytest.mark.parametrize("name", sorted({*NETWORKS} - {"slowfast"}))  # which sees clips, not crops
def test_torch_and_the_runtime_agree_for_any_number_of_crops(name, card, tmp_path):
    parameters, mean, std = PARAMETERS.get(name, {"encoder": TINY}), (0.5, 0.4, 0.3), (0.5, 0.6, 0.7)
    network = used(build_network(name, **parameters))
    card = replace(card, network=NetworkSpec(name, parameters))
    written = export_model(network, tmp_path / "model", card, mean=mean, std=std)
    assert network.training, "the network stays as it was"

    assert verify_folder(tmp_path / "model") == written
    assert replace(written, files={}) == replace(card, network=NetworkSpec(name, parameters, mean, std))
    crops_NSS3 = np.random.default_rng(1).integers(0, 256, (BATCH_CROPS + 1, SIZE_PX, SIZE_PX, 3), np.uint8)
    scores = Network(tmp_path / "model", "fp32").score(crops_NSS3)
    x_N3SS = (torch.from_numpy(crops_NSS3).permute(0, 3, 1, 2) / 255 - torch.tensor(mean)[:, None, None]) / (
        torch.tensor(std)[:, None, None]
    )
    with torch.inference_mode():
        output = network.eval()(x_N3SS)
    expected = torch.sigmoid((output.logit_N - 0.2) / 1.5)
    assert [score.fake_probability for score in scores] == pytest.approx(expected.tolist(), abs=1e-4)
    assert (scores[0].map_hw is None) == (output.mask_N2hw is None)
    if output.mask_N2hw is not None:
        maps_Nhw = np.stack([score.map_hw for score in scores])
        np.testing.assert_allclose(maps_Nhw, output.mask_N2hw[:, 0].sigmoid(), atol=1e-4)

    on_torch = TorchNetwork(tmp_path / "model", "fp32", "cpu", batch_sizes=(2, 4))
    assert_alike(on_torch.score(crops_NSS3), scores, 1e-4)
    assert (on_torch.precision, on_torch.device, on_torch.weights_file) == ("fp32", "cpu", "model.safetensors")


@pytest.mark.parametrize(
    ("name", "parameters"), [("blendnet", {"encoder": TINY}), ("layernorm", PARAMETERS["layernorm"])]
)
def test_encoders_of_full_depth_are_written(name, parameters, card, tmp_path, monkeypatch):
    """`export_model` compares what it writes with torch; here with inverted bottlenecks, attention and the like."""
    monkeypatch.setattr("timm.create_model", CREATE_WHOLE)
    network = used(build_network(name, **parameters))
    card = replace(card, network=NetworkSpec(name, parameters))
    written = export_model(network, tmp_path / "model", card)
    assert verify_folder(tmp_path / "model") == written


def assert_alike(found, expected, tolerance):
    """Scores and maps are the same to within a tolerance."""
    assert [s.fake_probability for s in found] == pytest.approx([s.fake_probability for s in expected], abs=tolerance)
    for a, b in zip(found, expected, strict=True):
        assert (a.map_hw is None) == (b.map_hw is None)
        if a.map_hw is not None:
            np.testing.assert_allclose(a.map_hw, b.map_hw, atol=tolerance)


def test_the_folder_holds_the_model_and_nothing_else(exported):
    folder, card = exported
    assert sorted(path.name for path in folder.iterdir()) == ["card.json", "model.onnx", "model.safetensors"]
    assert sorted(path.name for path in folder.parent.iterdir()) == ["tiny"]
    for name, facts in card.files.items():
        content = (folder / name).read_bytes()
        assert (facts.sha256, facts.bytes) == (hashlib.sha256(content).hexdigest(), len(content))
        assert b"site-packages" not in content, "no traces of the machine it was made on"


def test_ports_are_named(exported):
    from unmask.runtime.openvino import ov

    model = ov.Core().read_model(exported[0] / "model.onnx")
    assert [port.any_name for port in (*model.inputs, *model.outputs)] == ["crops", "logit", "manipulation_map"]
    assert str(model.inputs[0].partial_shape) == f"[?,{SIZE_PX},{SIZE_PX},3]"


@pytest.mark.parametrize("which", ["folder", "file", "alone", "ddp"])
def test_weights_come_back(exported, blendnet, which, tmp_path):
    folder, _ = exported
    path = {"folder": folder, "file": folder / "model.safetensors"}.get(which, tmp_path / "alone.safetensors")
    if which in ("alone", "ddp"):
        prefix = "module." * (which == "ddp")
        save_file({prefix + n: t for n, t in load_file(folder / "model.safetensors").items()}, path)
    fresh = build_network("blendnet", encoder=TINY)
    load_weights(fresh, path)
    for name, tensor in blendnet.state_dict().items():
        assert torch.equal(fresh.state_dict()[name], tensor), name


def test_weights_of_another_network_are_refused(tmp_path):
    network = build_network("classifier", encoder=TINY)
    tensors = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    del tensors["fc.bias"]
    tensors["fc.weight"] = tensors["fc.weight"].repeat(2, 1)
    tensors |= {f"head.{i}": torch.zeros(1) for i in range(7)}
    save_file(tensors, tmp_path / "other.safetensors")
    before = network.fc.weight.clone()
    with pytest.raises(ModelError) as raised:
        load_weights(network, tmp_path / "other.safetensors")
    message = str(raised.value)
    assert "missing: fc.bias" in message
    assert "unexpected: head.0, head.1, head.2, head.3, head.4 and 2 more" in message
    assert "of another shape: fc.weight [2, 256] instead of [1, 256]" in message
    assert torch.equal(network.fc.weight, before)


def test_files_that_are_no_weights_are_refused(exported, tmp_path):
    network = build_network("blendnet", encoder=TINY)
    (tmp_path / "text.safetensors").write_text("no tensors")
    for path, message in [
        (tmp_path / "text.safetensors", "no safetensors file"),
        (tmp_path / "absent.safetensors", "cannot read"),
        (tmp_path / "best.pth", "can run code when opened"),
    ]:
        with pytest.raises(ModelError, match=message):
            load_weights(network, path)


def test_weights_must_be_those_of_the_card(exported, tmp_path):
    folder, network = tmp_path, build_network("blendnet", encoder=TINY)
    for path in exported[0].iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    with (folder / "model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x7f")
    with pytest.raises(ModelError, match="sha256 is not the card's"):
        load_weights(network, folder)
    (folder / "more.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match=r"card.json does not name more.safetensors"):
        load_weights(network, folder / "more.safetensors")


class Wayward(torch.nn.Module):
    """Its written form says something else."""

    def __init__(self, exported_only: float):
        super().__init__()
        self.conv, self.exported_only = torch.nn.Conv2d(3, 2, 8, stride=8), exported_only

    def forward(self, x_N3HW):
        logit_N2hw = self.conv(x_N3HW)
        shift = self.exported_only if torch.compiler.is_exporting() else 0.0
        return Output(logit_N2hw.mean((1, 2, 3)) + shift, logit_N2hw)


@pytest.mark.parametrize("shift", [1e-2, -1e-2])
def test_networks_that_disagree_with_their_written_form_are_refused(shift, card, tmp_path):
    export_model(Wayward(0.0), tmp_path / "model", card)
    before = (tmp_path / "model" / "model.onnx").read_bytes()
    with pytest.raises(ModelError, match="strays from torch"):
        export_model(Wayward(shift), tmp_path / "model", card)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert (tmp_path / "model" / "model.onnx").read_bytes() == before, "the old model stays"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_networks_that_give_no_numbers_are_refused(value, card, tmp_path):
    network = Wayward(0.0)
    with torch.no_grad():
        network.conv.weight[0, 0, 0, 0] = value
    with pytest.raises(ModelError, match="training diverged"):
        export_model(network, tmp_path / "model", card)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_other_files_is_not_replaced(card, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    for folder in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(UsageError, match=r"holds notes.txt.*name a new folder"):
            export_model(Wayward(0.0), folder, card)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_black_and_white_are_normalised():
    class Echo(torch.nn.Module):
        def forward(self, x_N3HW):
            return Output(x_N3HW.mean((1, 2, 3)))

    pixels = FromPixels(Echo(), (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    black_white = torch.stack([torch.zeros(8, 8, 3), torch.full((8, 8, 3), 255)]).to(torch.uint8)
    torch.testing.assert_close(pixels(black_white)[0], torch.tensor([-2.0, 2.0]))
