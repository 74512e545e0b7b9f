"""The field's checkpoints: random weights under published names, against the authors' forward passes in our words."""

# ruff: noqa: E402 - torch is not in every environment

import io
import math

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")

from torch.nn.functional import adaptive_avg_pool2d, batch_norm, conv2d, linear, max_pool2d, pad, relu, silu

from unmask.errors import ModelError
from unmask.models.checkpoints import CHECKPOINT_KINDS
from unmask.models.checkpoints.checkpoint import read_checkpoint
from unmask.models.checkpoints.convert import JOB, Job, fill_network
from unmask.models.networks import build_network
from unmask.systems.field.facts import KINDS, SBI, XCEPTION

NORM = ("weight", "bias", "running_mean", "running_var")


def random_weights(shapes, seed=0):
    """Weights of a size that keeps signals alive through a deep network."""
    torch.manual_seed(seed)
    state = {}
    for name, shape in shapes.items():
        fan_in = math.prod(shape[1:])
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(7)
        elif name.endswith(("running_var", "norm.weight")) or (len(shape) == 1 and name.endswith("weight")):
            state[name] = torch.rand(shape) + 0.5
        else:
            state[name] = torch.randn(shape) * (0.1 if len(shape) < 2 else (2 / fan_in) ** 0.5)
    return state


def filled(kind, state, wrapped=None):
    """Return a network of a kind with the weights of a published file."""
    file = io.BytesIO()
    torch.save(wrapped or state, file)
    network = build_network(kind.network, **kind.parameters).eval()
    fill_network(network, read_checkpoint(file.getvalue()), kind)
    return network


def assert_same(network, pictures, logits_N2):
    """Our one logit is fake minus real of their two, and these are no constants."""
    with torch.inference_mode():
        found = network(pictures).logit_N
    expected = logits_N2[:, 1] - logits_N2[:, 0]
    torch.testing.assert_close(found, expected, atol=2e-4, rtol=2e-4)
    assert expected.std() > 1e-3


def norm_shapes(name, channels):
    return {f"{name}.{part}": (channels,) for part in NORM} | {f"{name}.num_batches_tracked": ()}


def norm(state, name, x, eps=1e-5):
    weight, bias, mean, var = (state[f"{name}.{part}"] for part in NORM)
    return batch_norm(x, mean, var, weight, bias, eps=eps)


def test_all_kinds_can_be_carried_to_the_isolated_process():
    for name, kind in KINDS.items():
        assert CHECKPOINT_KINDS[name] is kind
        job = Job("file", "0" * 64, "here", name, kind)
        assert JOB.validate_json(JOB.dump_json(job)) == job


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_cards_say_what_a_user_must_know(kind):
    card = kind.card
    assert {"method", "source", "shown", "classes"} <= card.training.keys()
    assert "commit" in card.training["source"]
    assert card.limitations
    assert card.precision == "fp32"


# --- SBI: EfficientNet-B4 as efficientnet_pytorch computes it

B4_STAGES = (  # blocks, kernel, stride, expansion, channels
    (2, 3, 1, 1, 24), (4, 3, 2, 6, 32), (4, 5, 2, 6, 56), (6, 3, 2, 6, 112), (6, 5, 1, 6, 160), (8, 5, 2, 6, 272),
    (2, 3, 1, 6, 448),
)  # fmt: skip
B4_SIDE, B4_EPS = 380, 1e-3


def b4_blocks():
    before, number = 48, 0
    for blocks, kernel, stride, expansion, channels in B4_STAGES:
        for i in range(blocks):
            yield f"net._blocks.{number}", before, channels, kernel, stride if i == 0 else 1, expansion
            before, number = channels, number + 1


def b4_shapes():
    shapes = {"net._conv_stem.weight": (48, 3, 3, 3)} | norm_shapes("net._bn0", 48)
    for name, before, after, kernel, _, expansion in b4_blocks():
        wide, narrow = before * expansion, max(1, before // 4)
        if expansion > 1:
            shapes |= {f"{name}._expand_conv.weight": (wide, before, 1, 1)} | norm_shapes(f"{name}._bn0", wide)
        shapes |= {f"{name}._depthwise_conv.weight": (wide, 1, kernel, kernel)} | norm_shapes(f"{name}._bn1", wide)
        shapes |= {f"{name}._se_reduce.weight": (narrow, wide, 1, 1), f"{name}._se_reduce.bias": (narrow,)}
        shapes |= {f"{name}._se_expand.weight": (wide, narrow, 1, 1), f"{name}._se_expand.bias": (wide,)}
        shapes |= {f"{name}._project_conv.weight": (after, wide, 1, 1)} | norm_shapes(f"{name}._bn2", after)
    shapes |= {"net._conv_head.weight": (1792, 448, 1, 1)} | norm_shapes("net._bn1", 1792)
    return shapes | {"net._fc.weight": (2, 1792), "net._fc.bias": (2,)}


def b4_forward(state, x):
    def convolve(name, x, side, stride=1, groups=1):
        """Pad as for an image of 380 pixels, whose maps have this side."""
        weight = state[f"{name}.weight"]
        more = max((math.ceil(side / stride) - 1) * stride + weight.shape[-1] - side, 0)
        x = pad(x, [more // 2, more - more // 2] * 2)
        return conv2d(x, weight, state.get(f"{name}.bias"), stride, groups=groups)

    x = silu(norm(state, "net._bn0", convolve("net._conv_stem", x, B4_SIDE, 2), B4_EPS))
    side = math.ceil(B4_SIDE / 2)
    for name, before, after, _, stride, expansion in b4_blocks():
        y = x
        if expansion > 1:
            y = silu(norm(state, f"{name}._bn0", convolve(f"{name}._expand_conv", y, side), B4_EPS))
        y = convolve(f"{name}._depthwise_conv", y, side, stride, groups=y.shape[1])
        y, side = silu(norm(state, f"{name}._bn1", y, B4_EPS)), math.ceil(side / stride)
        squeezed = silu(convolve(f"{name}._se_reduce", adaptive_avg_pool2d(y, 1), 1))
        y = convolve(f"{name}._se_expand", squeezed, 1).sigmoid() * y
        y = norm(state, f"{name}._bn2", convolve(f"{name}._project_conv", y, side), B4_EPS)
        x = y + x if stride == 1 and before == after else y
    x = silu(norm(state, "net._bn1", convolve("net._conv_head", x, side), B4_EPS))
    return linear(adaptive_avg_pool2d(x, 1).flatten(1), state["net._fc.weight"], state["net._fc.bias"])


def test_sbi():
    state = random_weights(b4_shapes())
    optimiser = {"state": {0: {"e_w": torch.zeros(2), "momentum_buffer": None}},
                 "param_groups": [{"lr": 0.001, "nesterov": False, "params": [0, 1]}]}  # fmt: skip
    network = filled(SBI, state, {"model": state, "optimizer": optimiser, "epoch": 99})
    pictures = torch.rand(2, 3, B4_SIDE, B4_SIDE, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert_same(network, pictures, b4_forward(state, pictures))


# --- DeepfakeBench's Xception

XCEPTION_BLOCKS = (  # in, out, layers, stride, first ReLU, whether the channels grow in the first layer
    (64, 128, 2, 2, False, True), (128, 256, 2, 2, True, True), (256, 728, 2, 2, True, True),
    *[(728, 728, 3, 1, True, True)] * 8, (728, 1024, 2, 2, True, False),
)  # fmt: skip


def xception_layers(block):
    """Names and widths of a block's separable convolutions, and of their normalisations; a ReLU has a number, too."""
    before, after, count, _, first_relu, grows = XCEPTION_BLOCKS[block - 1]
    widths = [(before, after)] + [(after, after)] * (count - 1)
    if not grows:
        widths = [(before, before)] * (count - 1) + [(before, after)]
    for i, width in enumerate(widths):
        number = 3 * i + first_relu
        yield f"block{block}.rep.{number}", f"block{block}.rep.{number + 1}", width, i > 0 or first_relu


def separable_shapes(name, before, after):
    return {f"{name}.conv1.weight": (before, 1, 3, 3), f"{name}.pointwise.weight": (after, before, 1, 1)}


def xception_shapes(start):
    shapes = {"conv1.weight": (32, 3, 3, 3), "conv2.weight": (64, 32, 3, 3)}
    shapes |= norm_shapes("bn1", 32) | norm_shapes("bn2", 64)
    for block, (before, after, _, stride, _, _) in enumerate(XCEPTION_BLOCKS, 1):
        if stride > 1:
            shapes |= {f"block{block}.skip.weight": (after, before, 1, 1)} | norm_shapes(f"block{block}.skipbn", after)
        for layer, layer_norm, widths, _ in xception_layers(block):
            shapes |= separable_shapes(layer, *widths) | norm_shapes(layer_norm, widths[1])
    shapes |= separable_shapes("conv3", 1024, 1536) | norm_shapes("bn3", 1536)
    shapes |= separable_shapes("conv4", 1536, 2048) | norm_shapes("bn4", 2048)
    shapes |= {"last_linear.weight": (2, 2048), "last_linear.bias": (2,)}
    shapes |= {"adjust_channel.0.weight": (512, 2048, 1, 1), "adjust_channel.0.bias": (512,)}
    return {start + name: shape for name, shape in (shapes | norm_shapes("adjust_channel.1", 512)).items()}


def xception_features(state, start, x):
    def separable(name, x):
        depthwise = conv2d(x, state[f"{start}{name}.conv1.weight"], padding=1, groups=x.shape[1])
        return conv2d(depthwise, state[f"{start}{name}.pointwise.weight"])

    x = relu(norm(state, f"{start}bn1", conv2d(x, state[f"{start}conv1.weight"], stride=2)))
    x = relu(norm(state, f"{start}bn2", conv2d(x, state[f"{start}conv2.weight"])))
    for block, (_, _, _, stride, _, _) in enumerate(XCEPTION_BLOCKS, 1):
        y = x
        for layer, layer_norm, _, activated in xception_layers(block):
            y = norm(state, start + layer_norm, separable(layer, relu(y) if activated else y))
        if stride > 1:
            skip = conv2d(x, state[f"{start}block{block}.skip.weight"], stride=2)
            x = max_pool2d(y, 3, 2, 1) + norm(state, f"{start}block{block}.skipbn", skip)
        else:
            x = y + x
    x = relu(norm(state, f"{start}bn3", separable("conv3", x)))
    return norm(state, f"{start}bn4", separable("conv4", x))


def test_xception():
    state = random_weights(xception_shapes("backbone."))
    pictures = torch.randn(3, 3, 72, 72, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        pooled = relu(xception_features(state, "backbone.", pictures)).mean((2, 3))
        logits = linear(pooled, state["backbone.last_linear.weight"], state["backbone.last_linear.bias"])
    assert_same(filled(XCEPTION, {f"module.{name}": value for name, value in state.items()}), pictures, logits)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"backbone.adjust_channel.0.bias": None}, "missing: backbone.adjust_channel.0.bias"),
        ({"backbone.adjust_channel.0.bias": (511,)}, r"adjust_channel.0.bias \[511\] instead of \[512\]"),
        ({"backbone.block4.rep.1.pointwise.weight": (728, 728)}, r"\[728, 728\] instead of \[728, 728, 1, 1\]"),
        ({"backbone.more": (1,)}, "unexpected: backbone.more"),
        ({"backbone.bn1.weight": None}, "missing: backbone.bn1.weight"),
    ],
)
def test_each_tensor_is_used_or_knowingly_unused(change, message):
    shapes = xception_shapes("backbone.") | change
    state = {name: torch.zeros(()).expand(shape) for name, shape in shapes.items() if shape is not None}
    with torch.device("meta"), pytest.raises(ModelError, match=message):
        filled(XCEPTION, state)
