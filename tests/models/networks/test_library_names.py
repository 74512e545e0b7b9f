# ruff: noqa: E402 - torch is not in every environment

from collections import Counter

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")
pytest.importorskip("onnxscript")

from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, pad

from unmask.errors import ModelError
from unmask.models import Card, verify_folder
from unmask.models.card import bundled_folder
from unmask.models.clip_network import ClipNetwork
from unmask.models.networks import SlowFast, TwoClass, build_network
from unmask.models.networks.export import export_model
from unmask.models.networks.library_names import rename_library_tensors
from unmask.systems.robustforensics.members import MEMBERS, member_network
from unmask.types import CropSpec

TINY = {"depths": (1, 1, 1, 1), "width": 16}
BY_NAME = {member.name: member for member in MEMBERS}


@pytest.fixture(scope="module")
def slowfast():
    with torch.device("meta"):
        return SlowFast()


class TestSlowFast:
    def test_size(self, slowfast):
        """Of the 33.6 million, the laterals are 5 (8 16 + 32 64 + 64 128 + 128 256) weights."""
        sizes = Counter()
        for name, parameter in slowfast.named_parameters():
            sizes[name.partition("_")[0].partition(".")[0].rstrip("1234")] += parameter.numel()
        assert sizes["Tconv"] == 5 * (8 * 16 + 32 * 64 + 64 * 128 + 128 * 256)
        assert sizes["fc"] == 2304 * 2 + 2
        assert sum(sizes.values()) == 33_561_898

    @pytest.mark.parametrize(
        ("name", "shape"),
        [
            ("fast_conv1.weight", (8, 3, 5, 7, 7)),
            ("slow_conv1.weight", (64, 3, 1, 7, 7)),
            ("fast_res1.0.conv1.weight", (8, 8, 3, 1, 1)),
            ("slow_res1.0.conv1.weight", (64, 80, 1, 1, 1)),
            ("slow_res1.0.downsample.0.weight", (256, 80, 1, 1, 1)),
            ("slow_res1.0.downsample_bn.weight", (256,)),
            ("slow_res2.0.conv1.weight", (128, 320, 1, 1, 1)),
            ("slow_res3.0.conv1.weight", (256, 640, 3, 1, 1)),
            ("slow_res3.5.conv1.weight", (256, 1024, 3, 1, 1)),
            ("slow_res4.0.conv1.weight", (512, 1280, 3, 1, 1)),
            ("fast_res4.2.bn3.running_mean", (256,)),
            ("Tconv4.weight", (256, 128, 5, 1, 1)),
        ],
    )
    def test_tensors_are_named_as_in_the_published_checkpoints(self, slowfast, name, shape):
        assert tuple(slowfast.state_dict()[name].shape) == shape

    @pytest.mark.parametrize("frames", [1, 4, 9, 32])
    def test_any_length(self, frames):
        assert SlowFast(**TINY).eval()(torch.zeros(2, 3, frames, 32, 32)).logit_N.shape == (2,)

    def test_one_forward_of_the_whole(self):
        with torch.inference_mode():
            logit = SlowFast().eval()(torch.rand(1, 3, 32, 64, 64)).logit_N
        assert logit.shape == (1,)
        assert bool(logit.isfinite())

    def test_the_slow_pathway_sees_every_fourth_frame(self):
        network = SlowFast(**TINY).eval()
        for parameter in (network.Tconv1, network.Tconv2, network.Tconv3, network.Tconv4):
            torch.nn.init.zeros_(parameter.weight)
        with torch.no_grad():
            network.fc.weight[:, 16 * 32 :] = 0  # what the fast pathway says
        clip = torch.rand(1, 3, 9, 32, 32)
        other = torch.rand(1, 3, 9, 32, 32)
        other[:, :, ::4] = clip[:, :, ::4]
        with torch.inference_mode():
            assert torch.equal(network(clip).logit_N, network(other).logit_N)
            assert not torch.equal(network(clip).logit_N, network(clip.flip(2).roll(1, 2)).logit_N)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    torch.manual_seed(0)
    network = SlowFast(**TINY)
    folder = tmp_path_factory.mktemp("clip") / "model"
    card = Card("tiny", "1", "Tests.", "a tiny one", "none", CropSpec(size_px=48), {}, precision="fp32")
    export_model(network, folder, card, mean=(0.4, 0.4, 0.4), std=(0.2, 0.3, 0.4))
    return folder, network


class TestClipExport:
    @pytest.mark.parametrize("frames", [3, 16, 30])
    def test_torch_and_the_runtime_agree_for_any_length(self, exported, frames):
        folder, network = exported
        clips = np.random.default_rng(frames).integers(0, 256, (2, frames, 48, 48, 3), np.uint8)
        x = torch.from_numpy(clips).movedim(-1, 1) / 255 - 0.4
        with torch.inference_mode():
            expected = network.eval()(x / torch.tensor([0.2, 0.3, 0.4]).view(3, 1, 1, 1)).logit_N.sigmoid()
        scores = ClipNetwork(folder, "fp32").score(clips)
        assert [score.fake_probability for score in scores] == pytest.approx(expected.tolist(), abs=1e-4)

    def test_an_image_model_is_refused(self, exported):
        verify_folder(exported[0])
        with pytest.raises(ModelError, match="must take uint8 clips"):
            ClipNetwork(bundled_folder())


class TestTwoClass:
    def test_one_logit_is_two_classes(self):
        network = TwoClass("test_efficientnet").eval()
        seen = {}
        network.fc.register_forward_hook(lambda *args: seen.update(logits=args[2]))
        logit = network(torch.rand(3, 3, 64, 64)).logit_N
        labels = torch.tensor([0, 1, 1])
        torch.testing.assert_close(logit.sigmoid(), seen["logits"].softmax(1)[:, 1])
        torch.testing.assert_close(
            binary_cross_entropy_with_logits(logit, labels.float()), cross_entropy(seen["logits"], labels)
        )

    def test_bgr(self):
        plain, swapped = TwoClass("test_efficientnet").eval(), TwoClass("test_efficientnet", bgr=True).eval()
        swapped.load_state_dict(plain.state_dict())
        picture = torch.rand(1, 3, 64, 64)
        assert torch.equal(swapped(picture).logit_N, plain(picture[:, [2, 1, 0]]).logit_N)

    @pytest.mark.parametrize(("side", "same"), [(64, True), (65, False)])
    def test_even_padding(self, side, same):
        """At odd sides "same" pads a pixel above and on the left, too."""
        even = TwoClass("tf_efficientnet_b0", even_padding=True).eval()
        usual = TwoClass("tf_efficientnet_b0").eval()
        usual.load_state_dict(even.state_dict())
        picture = torch.rand(1, 3, side, side)
        maps = [network.encoder.conv_stem(picture) for network in (even, usual)]
        assert (maps[0].shape == maps[1].shape and torch.allclose(*maps)) == same
        assert bool(even(picture).logit_N.isfinite())
        stem = even.encoder.conv_stem
        expected = torch.nn.functional.conv2d(pad(picture, (0, 1, 0, 1)), stem.weight, stride=2)
        assert torch.equal(stem(picture), expected)


def lukemelas_names(stages):
    """The names of an EfficientNet's tensors in its published lineage; ``stages`` are numbers of blocks."""
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    layers = {"_expand_conv": ("weight",), "_bn0": norm, "_depthwise_conv": ("weight",), "_bn1": norm,
              "_se_reduce": ("weight", "bias"), "_se_expand": ("weight", "bias"), "_project_conv": ("weight",),
              "_bn2": norm}  # fmt: skip
    for number in range(sum(stages)):
        for layer, parts in layers.items():
            if number >= stages[0] or layer not in ("_expand_conv", "_bn0"):
                yield from (f"_blocks.{number}.{layer}.{part}" for part in parts)
    for layer, parts in {"_conv_stem": ("weight",), "_bn0": norm, "_conv_head": ("weight",), "_bn1": norm}.items():
        yield from (f"{layer}.{part}" for part in parts)
    yield from ("_fc.weight", "_fc.bias")


def meta_network(name):
    network, parameters = member_network(BY_NAME[name])
    with torch.device("meta"):
        return build_network(network, **parameters)


class TestPublished:
    @pytest.mark.parametrize(
        ("name", "parameters"),
        [("xcep", 20_811_050), ("b3", 10_699_306), ("b1", 6_515_746), ("b0", 4_010_110), ("r34", 21_285_698)],
    )
    def test_sizes(self, name, parameters):
        assert sum(parameter.numel() for parameter in meta_network(name).parameters()) == parameters

    @pytest.mark.parametrize(
        ("name", "stages"),
        [("b0", (1, 2, 2, 3, 3, 4, 1)), ("b1", (2, 3, 3, 4, 4, 5, 2)), ("b3", (2, 3, 3, 5, 5, 6, 2))],
    )
    def test_every_tensor_of_an_efficientnet_has_its_place(self, name, stages):
        network, names = meta_network(name), [f"module.{n}" for n in lukemelas_names(stages)]
        renamed = rename_library_tensors(names, network)
        assert list(renamed) == names
        assert sorted(renamed.values()) == sorted(network.state_dict())

    def test_blocks_keep_their_order(self):
        names = ["_blocks.1._project_conv.weight", "_blocks.2._expand_conv.weight", "_blocks.22._bn2.bias", "odd.one"]
        assert list(rename_library_tensors(names, meta_network("b1")).values()) == [
            "encoder.blocks.0.1.conv_pw.weight",
            "encoder.blocks.1.0.conv_pw.weight",
            "encoder.blocks.6.1.bn3.bias",
            "encoder.odd.one",
        ]

    @pytest.mark.parametrize(
        ("name", "published", "ours"),
        [
            ("xcep", "module.model.block12.rep.1.conv1.weight", "encoder.block12.rep.1.conv1.weight"),
            ("xcep", "module.model.fc.bias", "fc.bias"),
            ("r34", "module.layer4.0.downsample.1.running_var", "encoder.layer4.0.downsample.1.running_var"),
            ("r34", "module.fc.weight", "fc.weight"),
            ("slowfast_32x4_aug", "module.Tconv2.weight", "Tconv2.weight"),
        ],
    )
    def test_the_others(self, name, published, ours):
        network = meta_network(name)
        assert rename_library_tensors([published], network) == {published: ours}
        assert ours in network.state_dict()
