# ruff: noqa: E402 - torch is not in every environment

import csv
import hashlib
import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")

from unmask.errors import UsageError
from unmask.models.networks import NETWORKS, build_network
from unmask.models.networks.classifier import WeightedPooling

LAYOUT = Path(__file__).parents[4] / "shared" / "reference" / "b7_state_dict_layout.csv"
LAYOUT_SHA256 = "93fe58274bd5045123fc179f244286da8f6b234cebe704956d8d8206caf16614"
TINY = "test_efficientnet"

CLASSIFIERS = ["classifier", "classifier_srm", "classifier_gwap"]


def meta(name, **parameters):
    with torch.device("meta"):
        return build_network(name, **parameters)


@pytest.fixture(scope="module")
def b7_shapes():
    network = meta("classifier", encoder="tf_efficientnet_b7_ns")
    return {f"module.{name}": list(tensor.shape) for name, tensor in network.state_dict().items()}


def test_b7_has_the_tensors_of_the_published_checkpoints(b7_shapes):
    lines = "\n".join(sorted(f"{name} {shape}" for name, shape in b7_shapes.items()))
    assert len(b7_shapes) == 1202
    assert hashlib.sha256(lines.encode()).hexdigest() == LAYOUT_SHA256


@pytest.mark.skipif(not LAYOUT.is_file(), reason="the layout of the published checkpoints is not here")
def test_b7_has_every_line_of_the_layout(b7_shapes):
    with LAYOUT.open(newline="") as file:
        published = {row["key"]: json.loads(row["shape"]) for row in csv.DictReader(file)}
    assert b7_shapes == published


@pytest.mark.parametrize(
    ("encoder", "features", "parameters"),
    [
        ("tf_efficientnet_b3_ns", 1536, 12_233_232),
        ("tf_efficientnet_b4_ns", 1792, 19_341_616),
        ("tf_efficientnet_b5_ns", 2048, 30_389_784),
        ("tf_efficientnet_b6_ns", 2304, 43_040_704),
        ("tf_efficientnet_b7_ns", 2560, 66_347_960),
        ("tf_efficientnet_b0", 1280, 5_288_548),
    ],
)
def test_encoders_have_the_published_widths_and_sizes(encoder, features, parameters):
    network = meta("classifier", encoder=encoder)
    assert network.fc.in_features == features
    assert sum(tensor.numel() for tensor in network.encoder.parameters()) == parameters


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers_give_one_logit_a_crop_and_train_all_they_use(name):
    network = build_network(name, encoder=TINY)
    output = network(torch.rand(3, 3, 64, 64))
    assert output.logit_N.shape == (3,)
    assert output.mask_N2hw is None
    output.logit_N.sum().backward()
    without = [n for n, p in network.named_parameters() if p.requires_grad and p.grad is None]
    assert without == []


def test_variants_add_the_published_names():
    plain, srm, gwap = (set(meta(name, encoder=TINY).state_dict()) for name in CLASSIFIERS)
    assert {name.split(".")[0] for name in plain} == {"encoder", "fc"}
    assert srm - plain == {"srm_conv.weight"}
    assert gwap - plain == {"avg_pool.conv.weight", "avg_pool.conv.bias"}


def test_dropout_is_the_winners():
    assert [meta(name, encoder=TINY).dropout.p for name in CLASSIFIERS] == [0.0, 0.5, 0.5]
    assert meta("classifier", encoder=TINY, dropout=0.3).dropout.p == 0.3


def test_weighted_pooling_weighs_places_so_that_they_sum_to_one():
    pooling, x_NChw = WeightedPooling(6), torch.randn(2, 6, 5, 4)
    weights_N1hw = pooling.weights(x_NChw)
    torch.testing.assert_close(weights_N1hw.sum((1, 2, 3)), torch.ones(2))
    assert weights_N1hw.max() / weights_N1hw.min() <= torch.e
    torch.testing.assert_close(pooling(torch.ones(2, 6, 5, 4)), torch.ones(2, 6))
    torch.testing.assert_close(pooling(x_NChw), torch.einsum("nchw,nhw->nc", x_NChw, weights_N1hw[:, 0]))


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("classifer", {}, "unknown network 'classifer'.*blendnet"),
        ("classifier", {"droput": 0.1}, "no parameter 'droput'; it takes encoder, pretrained, drop_path, dropout"),
        ("classifier", {"encoder": "efficientnet_b99"}, "unknown encoder 'efficientnet_b99'"),
        ("classifier", {"encoder": "hf-hub:someone/something"}, "unknown encoder"),
    ],
)
def test_wrong_names_are_named(name, parameters, message):
    with pytest.raises(UsageError, match=message):
        build_network(name, **parameters)


def test_every_network_is_built_from_defaults():
    assert all(meta(name) is not None for name in NETWORKS)


def test_encoders_without_a_map_are_refused():
    with pytest.raises(UsageError, match="take a convolutional one"):
        build_network("classifier", encoder="test_vit")(torch.rand(1, 3, 160, 160))
