"""The field's checkpoints: random weights under published names, against the authors' forward passes in our words."""

# ruff: noqa: E402 - torch is not in every environment

import io
import math
from argparse import Namespace
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")

from torch.nn.functional import (
    adaptive_avg_pool2d,
    batch_norm,
    conv2d,
    conv_transpose2d,
    gelu,
    layer_norm,
    leaky_relu,
    linear,
    max_pool2d,
    normalize,
    pad,
    relu,
    silu,
)

from unmask.errors import ModelError
from unmask.models.checkpoints import CHECKPOINT_KINDS
from unmask.models.checkpoints.checkpoint import read_checkpoint
from unmask.models.checkpoints.convert import JOB, Job, fill_network
from unmask.models.networks import build_network
from unmask.models.networks.published_tensors import published_layout
from unmask.systems.field.facts import EFFORT, FSFM, GEND_CLIP, GEND_DINOV3, GEND_PE, KINDS, LAA, SBI, UCF, XCEPTION

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
    spread = expected.std().item()
    assert spread > 1e-3
    torch.testing.assert_close(found, expected, atol=1e-3 * spread, rtol=1e-5)


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
            yield f"_blocks.{number}", before, channels, kernel, stride if i == 0 else 1, expansion
            before, number = channels, number + 1


def b4_shapes(start):
    shapes = {"_conv_stem.weight": (48, 3, 3, 3)} | norm_shapes("_bn0", 48)
    for name, before, after, kernel, _, expansion in b4_blocks():
        wide, narrow = before * expansion, max(1, before // 4)
        if expansion > 1:
            shapes |= {f"{name}._expand_conv.weight": (wide, before, 1, 1)} | norm_shapes(f"{name}._bn0", wide)
        shapes |= {f"{name}._depthwise_conv.weight": (wide, 1, kernel, kernel)} | norm_shapes(f"{name}._bn1", wide)
        shapes |= {f"{name}._se_reduce.weight": (narrow, wide, 1, 1), f"{name}._se_reduce.bias": (narrow,)}
        shapes |= {f"{name}._se_expand.weight": (wide, narrow, 1, 1), f"{name}._se_expand.bias": (wide,)}
        shapes |= {f"{name}._project_conv.weight": (after, wide, 1, 1)} | norm_shapes(f"{name}._bn2", after)
    shapes |= {"_conv_head.weight": (1792, 448, 1, 1)} | norm_shapes("_bn1", 1792)
    return {start + name: shape for name, shape in shapes.items()}


def b4_maps(state, start, x):
    """The maps before each shrinking, the last block's, and the head's."""
    state = {name.removeprefix(start): value for name, value in state.items()}

    def convolve(name, x, side, stride=1, groups=1):
        """Pad as for an image of 380 pixels, whose maps have this side."""
        weight = state[f"{name}.weight"]
        more = max((math.ceil(side / stride) - 1) * stride + weight.shape[-1] - side, 0)
        x = pad(x, [more // 2, more - more // 2] * 2)
        return conv2d(x, weight, state.get(f"{name}.bias"), stride, groups=groups)

    x = silu(norm(state, "_bn0", convolve("_conv_stem", x, B4_SIDE, 2), B4_EPS))
    side, maps = math.ceil(B4_SIDE / 2), []
    for name, before, after, _, stride, expansion in b4_blocks():
        y = x
        if expansion > 1:
            y = silu(norm(state, f"{name}._bn0", convolve(f"{name}._expand_conv", y, side), B4_EPS))
        y = convolve(f"{name}._depthwise_conv", y, side, stride, groups=y.shape[1])
        y, side = silu(norm(state, f"{name}._bn1", y, B4_EPS)), math.ceil(side / stride)
        squeezed = silu(convolve(f"{name}._se_reduce", adaptive_avg_pool2d(y, 1), 1))
        y = convolve(f"{name}._se_expand", squeezed, 1).sigmoid() * y
        y = norm(state, f"{name}._bn2", convolve(f"{name}._project_conv", y, side), B4_EPS)
        if stride > 1:
            maps.append(x)
        x = y + x if stride == 1 and before == after else y
    return [*maps, x, silu(norm(state, "_bn1", convolve("_conv_head", x, side), B4_EPS))]


def test_sbi():
    state = random_weights(b4_shapes("net.") | {"net._fc.weight": (2, 1792), "net._fc.bias": (2,)})
    optimiser = {"state": {0: {"e_w": torch.zeros(2), "momentum_buffer": None}},
                 "param_groups": [{"lr": 0.001, "nesterov": False, "params": [0, 1]}]}  # fmt: skip
    network = filled(SBI, state, {"model": state, "optimizer": optimiser, "epoch": 99})
    seen = torch.rand(2, 3, B4_SIDE, B4_SIDE, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        pooled = b4_maps(state, "net.", seen)[-1].mean((2, 3))
        assert_same(network, seen, linear(pooled, state["net._fc.weight"], state["net._fc.bias"]))


# --- LAA-Net, whose encoder is padded for 380 pixels and shown others


def laa_shapes():
    shapes = b4_shapes("")

    def convolution(name, before, after, kernel):
        return {f"{name}.0.weight": (after, before, kernel, kernel)} | norm_shapes(f"{name}.1", after)

    shapes |= convolution("deconv_1.0", 1792, 448, 3)
    shapes |= convolution("deconv_2.0", 896, 160, 3) | convolution("deconv_3.0", 320, 56, 3)
    for start in ("deconv_4.0", "inception_block"):
        shapes |= convolution(f"{start}.pw_block", 112, 28, 1) | convolution(f"{start}.conv3_block", 28, 28, 3)
        shapes |= convolution(f"{start}.conv5_block", 28, 28, 5)
    for name, channels in (("deconv_2", 160), ("deconv_3", 56), ("deconv_4", 112)):
        shapes |= {f"{name}.1.weight": (channels, channels, 4, 4)} | norm_shapes(f"{name}.2", channels)
    for head in ("hm", "cls", "cstency"):
        shapes |= {f"{head}.0.weight": (64, 112, 3, 3), f"{head}.0.bias": (64,)} | norm_shapes(f"{head}.1", 64)
    shapes |= {"cls.5.weight": (1, 64), "cls.5.bias": (1,), "hm.3.weight": (1, 64, 1, 1), "hm.3.bias": (1,)}
    return shapes | {"cstency.3.weight": (256, 64, 1, 1), "cstency.3.bias": (256,)}


def laa_logit(state, seen):
    _, _, fine, middle, coarse, head = b4_maps(state, "", seen)

    def convolution(name, x):
        weight = state[f"{name}.0.weight"]
        return relu(norm(state, f"{name}.1", conv2d(x, weight, padding=weight.shape[-1] // 2)))

    def doubled(name, x):
        return norm(state, f"{name}.2", conv_transpose2d(x, state[f"{name}.1.weight"], stride=2, padding=1))

    def beside(x, other):
        return torch.cat([x, (1 - x.sigmoid()) * other], 1)

    x = beside(convolution("deconv_1.0", head), coarse)
    x = beside(doubled("deconv_2", convolution("deconv_2.0", x)), middle)
    x = beside(doubled("deconv_3", convolution("deconv_3.0", x)), fine)
    narrow = convolution("inception_block.pw_block", x)
    pooled = convolution("inception_block.pw_block", max_pool2d(x, 3, 1, 1))
    views = [convolution(f"inception_block.conv{kernel}_block", narrow) for kernel in (3, 5)]
    x = relu(doubled("deconv_4", torch.cat([narrow, *views, pooled], 1)))
    x = relu(norm(state, "cls.1", conv2d(x, state["cls.0.weight"], state["cls.0.bias"], padding=1)))
    return linear(x.mean((2, 3)), state["cls.5.weight"], state["cls.5.bias"])


def test_laa_net():
    state = random_weights({name: s for name, s in laa_shapes().items() if not name.startswith("inception_block.")})
    state |= {name.replace("deconv_4.0.", "inception_block."): value
              for name, value in state.items() if name.startswith("deconv_4.0.")}  # fmt: skip
    seen = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        logit_N1 = laa_logit(state, seen)
    published = {name: value.double() if value.is_floating_point() else value for name, value in state.items()}
    network = filled(LAA, published, {"epoch": 3, "state_dict": published})
    assert_same(network, seen, torch.cat([torch.zeros_like(logit_N1), logit_N1], 1))


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
        for layer, after_it, widths, _ in xception_layers(block):
            shapes |= separable_shapes(layer, *widths) | norm_shapes(after_it, widths[1])
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
        for layer, after_it, _, activated in xception_layers(block):
            y = norm(state, start + after_it, separable(layer, relu(y) if activated else y))
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


# --- UCF of DeepfakeBench


def ucf_shapes():
    shapes = xception_shapes("encoder_f.") | xception_shapes("encoder_c.")
    for half in ("spe", "sha"):
        for i, before in ((0, 512), (2, 256), (4, 256)):
            shapes |= {f"block_{half}.conv2d.{i}.weight": (256, before, 1, 1), f"block_{half}.conv2d.{i}.bias": (256,)}
        classes = 5 if half == "spe" else 2
        shapes |= {f"head_{half}.mlp.0.weight": (512, 256), f"head_{half}.mlp.0.bias": (512,)}
        shapes |= {f"head_{half}.mlp.2.weight": (classes, 512), f"head_{half}.mlp.2.bias": (classes,)}
    for level, channels in ((3, 256), (2, 128), (1, 64)):
        for i, before in ((0, 2 * channels), (2, channels)):
            name = f"con_gan.dconv_up{level}.{i}"
            shapes |= {f"{name}.weight": (channels, before, 3, 3), f"{name}.bias": (channels,)}
    return shapes | {"con_gan.conv_last.weight": (3, 64, 1, 1), "con_gan.conv_last.bias": (3,)}


def test_ucf():
    used = random_weights({n: s for n, s in ucf_shapes().items() if not n.startswith(("encoder_c.", "con_gan."))})
    state = {name: used.get(name, torch.zeros(()).expand(shape)) for name, shape in ucf_shapes().items()}
    pictures = torch.randn(3, 3, 72, 72, generator=torch.Generator().manual_seed(1))

    def layer(name, x):
        return (conv2d if x.ndim == 4 else linear)(x, state[f"{name}.weight"], state[f"{name}.bias"])

    with torch.inference_mode():
        x = layer("encoder_f.adjust_channel.0", xception_features(state, "encoder_f.", pictures))
        x = layer("block_sha.conv2d.0", relu(norm(state, "encoder_f.adjust_channel.1", x)))
        x = layer("block_sha.conv2d.4", leaky_relu(layer("block_sha.conv2d.2", leaky_relu(x))))
        logits = layer("head_sha.mlp.2", leaky_relu(layer("head_sha.mlp.0", x.mean((2, 3)))))
    assert_same(filled(UCF, state), pictures, logits)


# --- vision transformers: GenD, Effort, FSFM

WIDTH, HEADS, LAYERS, SIDE = 64, 2, 2, 56


def tiny(kind, side=SIDE, **options):
    """The same kind with a narrow encoder of few layers, for small pictures."""
    given = kind.parameters | {"size_px": side}
    sizes = {"embed_dim": WIDTH, "depth": LAYERS, "num_heads": HEADS} | options
    return replace(kind, parameters=given | {"options": (given.get("options") or {}) | sizes})


def attend(q, k, v, heads):
    q, k, v = (x.unflatten(2, (heads, -1)).transpose(1, 2) for x in (q, k, v))
    weights = (q @ k.transpose(2, 3) / q.shape[-1] ** 0.5).softmax(-1)
    return (weights @ v).transpose(1, 2).flatten(2)


def layer_of(state):
    def layer(name, x):
        if f"{name}.weight_main" not in state:
            return linear(x, state[f"{name}.weight"], state.get(f"{name}.bias"))
        u, s, v = (state[f"{name}.{part}_residual"] for part in "USV")
        return linear(x, state[f"{name}.weight_main"] + u @ torch.diag(s) @ v, state[f"{name}.bias"])

    return layer


def normalised(state, name, x, eps=1e-5):
    return layer_norm(x, x.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"], eps)


def clip_shapes(start, width=WIDTH, layers=LAYERS, side=SIDE, svd=False):
    tokens = (side // 14) ** 2 + 1
    shapes = {"embeddings.class_embedding": (width,), "embeddings.patch_embedding.weight": (width, 3, 14, 14),
              "embeddings.position_embedding.weight": (tokens, width)}  # fmt: skip
    for name in ("pre_layrnorm", "post_layernorm"):
        shapes |= {f"{name}.weight": (width,), f"{name}.bias": (width,)}
    for i in range(layers):
        at = f"encoder.layers.{i}"
        for which in ("q", "k", "v", "out"):
            name = f"{at}.self_attn.{which}_proj"
            weights = {"weight": (width, width)}
            if svd:
                weights = {"weight_main": (width, width), "U_residual": (width, 1), "S_residual": (1,),
                           "V_residual": (1, width)}  # fmt: skip
            shapes |= {f"{name}.{part}": shape for part, shape in (weights | {"bias": (width,)}).items()}
        for name in ("layer_norm1", "layer_norm2"):
            shapes |= {f"{at}.{name}.weight": (width,), f"{at}.{name}.bias": (width,)}
        shapes |= {f"{at}.mlp.fc1.weight": (4 * width, width), f"{at}.mlp.fc1.bias": (4 * width,)}
        shapes |= {f"{at}.mlp.fc2.weight": (width, 4 * width), f"{at}.mlp.fc2.bias": (width,)}
    return {start + name: shape for name, shape in shapes.items()}


def clip_features(state, start, pictures):
    state = {name.removeprefix(start): value for name, value in state.items()}
    layer = layer_of(state)
    x = conv2d(pictures, state["embeddings.patch_embedding.weight"], stride=14).flatten(2).transpose(1, 2)
    x = torch.cat([state["embeddings.class_embedding"].expand(len(x), 1, -1), x], 1)
    x = normalised(state, "pre_layrnorm", x + state["embeddings.position_embedding.weight"])
    for i in range(LAYERS):
        at = f"encoder.layers.{i}"
        y = normalised(state, f"{at}.layer_norm1", x)
        q, k, v = (layer(f"{at}.self_attn.{which}_proj", y) for which in "qkv")
        x = x + layer(f"{at}.self_attn.out_proj", attend(q, k, v, HEADS))
        y = layer(f"{at}.mlp.fc1", normalised(state, f"{at}.layer_norm2", x))
        x = x + layer(f"{at}.mlp.fc2", y * (1.702 * y).sigmoid())
    return normalised(state, "post_layernorm", x[:, 0])


def pictures(side=SIDE):
    return torch.randn(3, 3, side, side, generator=torch.Generator().manual_seed(1))


def head_shapes(name, width=WIDTH):
    return {f"{name}.weight": (2, width), f"{name}.bias": (2,)}


GEND_HEAD = "model.linear"


def gend_logits(state, features):
    """Their linear probe on features of length one."""
    return linear(normalize(features, dim=1), state[f"{GEND_HEAD}.weight"], state[f"{GEND_HEAD}.bias"])


def test_gend_on_clip():
    start = "feature_extractor.vision_model."
    shapes = clip_shapes(start) | head_shapes(GEND_HEAD)
    state = random_weights(shapes | {"feature_extractor.visual_projection.weight": (768, 1024)})
    kind = tiny(GEND_CLIP)
    with torch.inference_mode():
        logits = gend_logits(state, clip_features(state, start, pictures()))
    assert_same(filled(kind, state), pictures(), logits)
    older = state | {f"{start}embeddings.position_ids": torch.arange(257)[None]}
    assert_same(filled(kind, older), pictures(), logits)


def test_effort():
    state = random_weights(clip_shapes("backbone.", svd=True) | head_shapes("head"))
    with torch.inference_mode():
        logits = layer_of(state)("head", clip_features(state, "backbone.", pictures()))
    assert_same(filled(tiny(EFFORT), {f"module.{name}": value for name, value in state.items()}), pictures(), logits)


def dinov3_shapes(start, width=WIDTH, layers=LAYERS):
    shapes = {"embeddings.cls_token": (1, 1, width), "embeddings.register_tokens": (1, 4, width),
              "embeddings.patch_embeddings.weight": (width, 3, 16, 16), "embeddings.patch_embeddings.bias": (width,),
              "embeddings.mask_token": (1, 1, 1024), "norm.weight": (width,), "norm.bias": (width,)}  # fmt: skip
    for i in range(layers):
        at = f"layer.{i}"
        for which in "qkvo":
            shapes[f"{at}.attention.{which}_proj.weight"] = (width, width)
            if which != "k":
                shapes[f"{at}.attention.{which}_proj.bias"] = (width,)
        for n in (1, 2):
            shapes |= {f"{at}.norm{n}.weight": (width,), f"{at}.norm{n}.bias": (width,)}
            shapes[f"{at}.layer_scale{n}.lambda1"] = (width,)
        shapes |= {f"{at}.mlp.up_proj.weight": (4 * width, width), f"{at}.mlp.up_proj.bias": (4 * width,)}
        shapes |= {f"{at}.mlp.down_proj.weight": (width, 4 * width), f"{at}.mlp.down_proj.bias": (width,)}
    return {start + name: shape for name, shape in shapes.items()}


def dinov3_features(state, start, pictures):
    state = {name.removeprefix(start): value for name, value in state.items()}
    layer, width = layer_of(state), WIDTH // HEADS
    weight, bias = (state[f"embeddings.patch_embeddings.{part}"] for part in ("weight", "bias"))
    patches = conv2d(pictures, weight, bias, stride=16)
    side = patches.shape[-1]
    middles = (torch.arange(side) + 0.5) / side * 2 - 1
    places = torch.cartesian_prod(middles, middles)
    rates = 1 / 100 ** torch.arange(0, 1, 4 / width)
    angles = (2 * math.pi * places[:, :, None] * rates).flatten(1).tile(2)

    def turned(x):
        """The patches' part of queries or keys, each head's channels turned by their places."""
        by_head = x.unflatten(2, (HEADS, -1))
        first, rest = by_head[:, :5], by_head[:, 5:]
        half = torch.cat([-rest[..., width // 2 :], rest[..., : width // 2]], -1)
        rest = rest * angles.cos()[:, None] + half * angles.sin()[:, None]
        return torch.cat([first, rest], 1).flatten(2)

    tokens = [state[f"embeddings.{name}"].expand(len(pictures), -1, -1) for name in ("cls_token", "register_tokens")]
    x = torch.cat([*tokens, patches.flatten(2).transpose(1, 2)], 1)
    for i in range(LAYERS):
        at = f"layer.{i}"
        y = normalised(state, f"{at}.norm1", x)
        q, k, v = (layer(f"{at}.attention.{which}_proj", y) for which in "qkv")
        y = layer(f"{at}.attention.o_proj", attend(turned(q), turned(k), v, HEADS))
        x = x + state[f"{at}.layer_scale1.lambda1"] * y
        y = gelu(layer(f"{at}.mlp.up_proj", normalised(state, f"{at}.norm2", x)))
        x = x + state[f"{at}.layer_scale2.lambda1"] * layer(f"{at}.mlp.down_proj", y)
    return normalised(state, "norm", x)[:, 0]


def test_gend_on_dinov3():
    start = "feature_extractor.backbone."
    state = random_weights(dinov3_shapes(start) | head_shapes(GEND_HEAD))
    kind = tiny(GEND_DINOV3, 64)
    with torch.inference_mode():
        logits = gend_logits(state, dinov3_features(state, start, pictures(64)))
    assert_same(filled(kind, state), pictures(64), logits)


def test_gend_on_pe():
    """Their encoder is timm's, which fits the position embeddings of 336 pixels to the picture each time."""
    import timm

    sizes = {"embed_dim": WIDTH, "depth": LAYERS, "num_heads": HEADS, "attn_pool_num_heads": HEADS}
    theirs = timm.create_model("vit_pe_core_large_patch14_336", dynamic_img_size=True, **sizes).eval()
    theirs.head = torch.nn.Identity()
    theirs.load_state_dict(random_weights({name: value.shape for name, value in theirs.state_dict().items()}))
    state = random_weights(head_shapes(GEND_HEAD))
    state |= {f"feature_extractor.backbone.{name}": value for name, value in theirs.state_dict().items()}
    kind = tiny(GEND_PE, attn_pool_num_heads=HEADS)
    with torch.inference_mode():
        logits = gend_logits(state, theirs(pictures()))
    assert_same(filled(kind, state), pictures(), logits)


def vit_shapes(width=WIDTH, layers=LAYERS, side=SIDE - SIDE % 16):
    shapes = {"cls_token": (1, 1, width), "pos_embed": (1, (side // 16) ** 2 + 1, width),
              "patch_embed.proj.weight": (width, 3, 16, 16), "patch_embed.proj.bias": (width,),
              "fc_norm.weight": (width,), "fc_norm.bias": (width,)}  # fmt: skip
    for i in range(layers):
        for n in (1, 2):
            shapes |= {f"blocks.{i}.norm{n}.weight": (width,), f"blocks.{i}.norm{n}.bias": (width,)}
        layers_of = {"attn.qkv": (3, 1), "attn.proj": (1, 1), "mlp.fc1": (4, 1), "mlp.fc2": (1, 4)}
        for name, (after, before) in layers_of.items():
            shapes[f"blocks.{i}.{name}.weight"] = (after * width, before * width)
            shapes[f"blocks.{i}.{name}.bias"] = (after * width,)
    return shapes | head_shapes("head", width)


def test_fsfm():
    """Fake is the first class: torchvision sorts the names of folders."""
    side, eps = 48, 1e-6
    state = random_weights(vit_shapes())
    layer, x = layer_of(state), pictures(side)
    with torch.inference_mode():
        x = conv2d(x, state["patch_embed.proj.weight"], state["patch_embed.proj.bias"], stride=16)
        x = torch.cat([state["cls_token"].expand(3, -1, -1), x.flatten(2).transpose(1, 2)], 1) + state["pos_embed"]
        for i in range(LAYERS):
            qkv = layer(f"blocks.{i}.attn.qkv", normalised(state, f"blocks.{i}.norm1", x, eps)).chunk(3, -1)
            x = x + layer(f"blocks.{i}.attn.proj", attend(*qkv, HEADS))
            y = gelu(layer(f"blocks.{i}.mlp.fc1", normalised(state, f"blocks.{i}.norm2", x, eps)))
            x = x + layer(f"blocks.{i}.mlp.fc2", y)
        logits_fake_real = layer("head", normalised(state, "fc_norm", x[:, 1:].mean(1), eps))
    network = filled(
        tiny(FSFM, side), state, {"model": state, "args": Namespace(model="vit_base_patch16", lr=None), "epoch": 9}
    )
    assert_same(network, pictures(side), logits_fake_real.flip(1))


SVD_REST = {
    f"backbone.encoder.layers.{i}.self_attn.{which}_proj.{part}": shape
    for i in range(24) for which in ("q", "k", "v", "out")
    for part, shape in (("S_r", (1023,)), ("U_r", (1024, 1023)), ("V_r", (1023, 1024)))
}  # fmt: skip
POSITIONS = {"embeddings.position_ids": (1, 257)}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (UCF, ucf_shapes()),
        (LAA, laa_shapes()),
        (GEND_CLIP, clip_shapes("feature_extractor.vision_model.", 1024, 24, 224) | head_shapes(GEND_HEAD, 1024)
         | {"feature_extractor.visual_projection.weight": (768, 1024)}
         | {f"feature_extractor.vision_model.{name}": shape for name, shape in POSITIONS.items()}),
        (GEND_DINOV3, dinov3_shapes("feature_extractor.backbone.", 1024, 24) | head_shapes(GEND_HEAD, 1024)),
        (EFFORT, clip_shapes("backbone.", 1024, 24, 224, svd=True) | head_shapes("head", 1024) | SVD_REST
         | {f"backbone.{name}": shape for name, shape in POSITIONS.items()}),
        (FSFM, vit_shapes(768, 12, 224)),
    ],
    ids=lambda value: value.card.name if hasattr(value, "card") else "",
)  # fmt: skip
def test_the_whole_of_a_published_file_is_known(kind, expected):
    with torch.device("meta"):
        network = build_network(kind.network, **kind.parameters)
    layout = published_layout(network, kind.published)
    assert {name: tuple(tensor.shape) for name, tensor in layout.tensors.items()} == expected
    assert set(layout.parts) == set(network.state_dict())
