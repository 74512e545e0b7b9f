# ruff: noqa: E402 - torch is not in every environment

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")

from unmask.errors import UsageError
from unmask.models.networks import build_network

TINY = {"encoder": "test_vit", "size_px": 64}


def test_normalisation_and_the_last_layer_alone_are_trained():
    network = build_network("layernorm", **TINY)
    trained = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    assert {name.rpartition(".")[0].rpartition(".")[2] for name in trained if name.startswith("encoder")} <= {
        "norm",
        "norm1",
        "norm2",
        "fc_norm",
    }
    assert {"fc.weight", "fc.bias"} < trained
    before = {name: parameter.clone() for name, parameter in network.named_parameters()}
    optimizer = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], 0.1)
    network(torch.randn(4, 3, 64, 64)).logit_N.square().sum().backward()
    optimizer.step()
    changed = {name for name, parameter in network.named_parameters() if not torch.equal(parameter, before[name])}
    assert changed == trained


def test_brightness_of_features_does_not_count():
    network = build_network("layernorm", **TINY).eval()
    network.encoder = torch.nn.Flatten()
    network.fc = torch.nn.Linear(12, 1)
    x_N3HW = torch.rand(2, 3, 2, 2)
    torch.testing.assert_close(network(3 * x_N3HW).logit_N, network(x_N3HW).logit_N)


def test_an_encoder_without_layer_normalisation_is_refused():
    with pytest.raises(UsageError, match="take a vision transformer"):
        build_network("layernorm", encoder="test_vit4", size_px=64)
