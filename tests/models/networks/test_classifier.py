# ruff: noqa: E402 - torch is not in every environment

import csv
import hashlib
import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")

from unmask.errors import UsageError
from unmask.models.networks import ENCODERS, NETWORKS, build_network, create_encoder
from unmask.models.networks.classifier import WeightedPooling
from unmask.models.networks.filters import srm_conv

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


@pytest.mark.parametrize(("encoder", "drop_path"), [(name, rate) for name, (_, rate) in ENCODERS.items()])
def test_encoders_drop_paths_as_the_winner_did(encoder, drop_path):
    with torch.device("meta"):
        built = create_encoder(encoder)
    blocks = [block for stage in built.blocks for block in stage]
    rates = [block.drop_path.drop_prob for block in blocks if hasattr(block.drop_path, "drop_prob")]
    assert rates[-1] == pytest.approx(drop_path * (len(blocks) - 1) / len(blocks))


def test_tf_encoders_pad_as_tensorflow_does():
    encoder = create_encoder("tf_efficientnet_b0")
    epsilons = {module.eps for module in encoder.modules() if isinstance(module, torch.nn.BatchNorm2d)}
    assert epsilons == {1e-3}
    with torch.no_grad():
        encoder.conv_stem.weight.zero_()
        encoder.conv_stem.weight[:, :, 0, 0] = 1  # SAME pads an even side after the last pixel only
        x_N3HW = torch.arange(64.0).reshape(1, 1, 8, 8).expand(1, 3, 8, 8)
        assert torch.equal(encoder.conv_stem(x_N3HW)[0, 0], 3 * x_N3HW[0, 0, ::2, ::2])


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


def test_srm_kernels_have_the_published_values_and_do_not_train():
    conv = srm_conv()
    kernels_355 = conv.weight[:, 0]
    assert torch.equal(conv.weight, kernels_355[:, None].expand(3, 3, 5, 5))
    assert not conv.weight.requires_grad
    assert kernels_355[0, 2].tolist() == [0, 0.5, -1, 0.5, 0]
    assert kernels_355[0].abs().sum() == 2
    assert (kernels_355[1, 1:4, 1:4] * 4).tolist() == [[-1, 2, -1], [2, -4, 2], [-1, 2, -1]]
    assert kernels_355[1].abs().sum() == 4
    assert (kernels_355[2] * 12).round().tolist() == [
        [-1, 2, -2, 2, -1],
        [2, -6, 8, -6, 2],
        [-2, 8, -12, 8, -2],
        [2, -6, 8, -6, 2],
        [-1, 2, -2, 2, -1],
    ]
    assert conv(torch.ones(1, 3, 9, 9))[:, :, 2:-2, 2:-2].abs().max() < 1e-6  # a flat picture leaves nothing


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


def test_pretrained_weights_that_cannot_be_fetched_name_the_cure(monkeypatch):
    import timm

    create_model = timm.create_model

    def offline(name, pretrained=False, **options):
        if pretrained:
            raise ConnectionError("no route to host")
        return create_model(name, **options)

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(UsageError, match=r"no route to host.*HF_HOME.*pretrained = false"):
        build_network("classifier", encoder=TINY, pretrained=True)
