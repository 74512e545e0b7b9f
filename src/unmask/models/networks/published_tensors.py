"""Tensors as other code publishes them, and what our network's tensors are made from.

A checkpoint of the field holds a library's encoder below a name of its own, a last layer of two classes, and what only
its training needed. `published_layout` lists all of it, name by name, so that nothing is missing, left over or guessed;
`our_tensors` makes ours from the values: most are theirs, some joined or added up.

Names and shapes were read in the public code of timm, of huggingface/transformers (``modeling_clip.py``,
``modeling_dinov3_vit.py``) and of YZY-stack/Effort-AIGI-Detection (``effort_detector.py``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from timm.layers.pos_embed import resample_abs_pos_embed
from torch import nn

from unmask.errors import UsageError
from unmask.models.networks.library_names import FIRST_STAGE, LATER_STAGES, OUTSIDE_BLOCKS

if TYPE_CHECKING:
    from unmask.models.checkpoints.kinds import PublishedLayout

_Make = Callable[..., torch.Tensor]
_WHOLE = ("num_batches_tracked", "position_ids")
"""Ends of names of tensors that hold whole numbers."""


@dataclass(frozen=True, slots=True)
class Part:
    """What one of our tensors is made from."""

    shapes: dict[str, tuple[int, ...]]
    """Published name -> shape of each."""
    make: _Make
    """Makes ours from their values, in that order."""


@dataclass(frozen=True, slots=True)
class Layout:
    """All tensors of a published file."""

    parts: dict[str, Part]
    """Name of our tensor -> what it is made from."""
    tensors: dict[str, torch.Tensor]
    """Published name -> a tensor without values of the shape and type that it must have."""
    perhaps: frozenset[str]
    """Published names that may be missing."""

    @property
    def used(self) -> frozenset[str]:
        """Published names that ours are made from."""
        return frozenset(name for part in self.parts.values() for name in part.shapes)


def published_layout(network: nn.Module, published: PublishedLayout) -> Layout:
    """List the tensors of a published file that holds the weights of a network.

    Args:
        network: Ours, which the file's weights are for.
        published: How the file lies.

    Raises:
        UsageError: ``published.modules`` leaves out a tensor of the network.
    """
    state = network.state_dict()
    starts = _block_numbers(state)
    parts = {name: _part(name, tuple(tensor.shape), published, starts) for name, tensor in state.items()}
    shapes = {name: shape for part in parts.values() for name, shape in part.shapes.items()}
    shapes |= published.unused | published.perhaps
    for start, like in published.twins.items():
        shapes |= {start + n.removeprefix(like): shape for n, shape in list(shapes.items()) if n.startswith(like)}
    dtypes = {name: torch.int64 if name.endswith(_WHOLE) else getattr(torch, published.numbers) for name in shapes}
    tensors = {name: torch.empty(shape, dtype=dtypes[name], device="meta") for name, shape in shapes.items()}
    return Layout(parts, tensors, frozenset(published.perhaps))


def our_tensors(layout: Layout, values: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Make the state dict of our network from the published values, which are those of ``layout.used``."""
    return {name: part.make(*(values[theirs] for theirs in part.shapes)) for name, part in layout.parts.items()}


def _part(name: str, shape: tuple[int, ...], published: PublishedLayout, starts: Mapping[str, int]) -> Part:
    ours = next((start for start in published.modules if name.startswith(start)), None)
    if ours is None:
        raise UsageError(f"the published layout says nothing of {name}; add the start of its name to modules")
    start, rest = published.modules[ours], name.removeprefix(ours)
    if name.startswith(f"{published.head}."):
        return Part({start + rest: (2, *shape[1:])}, partial(_classes, published.fake_class, shape[0]))
    if ours == "encoder.":
        if published.grid and rest == "pos_embed":
            return _resampled(start + rest, shape, published.grid)
        if published.encoder_library == "efficientnet_pytorch":
            return _same(start + _efficientnet_name(rest, starts), shape)
        return _LIBRARIES[published.encoder_library](rest, shape, start)
    return _same(start + rest, shape)


# --- ways of making ours


def _same(theirs: str, shape: tuple[int, ...]) -> Part:
    return Part({theirs: shape}, lambda value: value)


def _reshaped(theirs: str, shape: tuple[int, ...], ours: tuple[int, ...]) -> Part:
    return Part({theirs: shape}, lambda value: value.reshape(ours))


def _resampled(theirs: str, shape: tuple[int, ...], grid: int) -> Part:
    """Position embeddings of a larger square grid, as timm fits them to a smaller image when it sees one."""
    _, tokens, channels = shape
    side = math.isqrt(tokens)
    before = tokens - side * side
    make = partial(resample_abs_pos_embed, new_size=[side] * 2, old_size=[grid] * 2, num_prefix_tokens=before)
    return Part({theirs: (1, before + grid * grid, channels)}, make)


def _classes(fake: int, rows: int, value: torch.Tensor) -> torch.Tensor:
    """Two classes as real, fake; or as one logit, whose sigmoid is the softmax of the two."""
    real_fake = value[[1 - fake, fake]]
    return real_fake if rows == 2 else real_fake[1:] - real_fake[:1]


# --- the libraries: name after ``encoder.`` and shape of our tensor, start of theirs -> part


def _timm(name: str, shape: tuple[int, ...], start: str) -> Part:
    return _same(start + name, shape)


_CLIP = {
    r"norm_pre\.(.+)": r"pre_layrnorm.\1",
    r"norm\.(.+)": r"post_layernorm.\1",
    r"blocks\.(\d+)\.norm(\d)\.(.+)": r"encoder.layers.\1.layer_norm\2.\3",
    r"blocks\.(\d+)\.mlp\.(.+)": r"encoder.layers.\1.mlp.\2",
    r"blocks\.(\d+)\.attn\.proj\.(.+)": r"encoder.layers.\1.self_attn.out_proj.\2",
    r"blocks\.(\d+)\.attn\.qkv\.(.+)": r"encoder.layers.\1.self_attn.{}_proj.\2",
    r"patch_embed\.proj\.weight": "embeddings.patch_embedding.weight",
    "cls_token": "embeddings.class_embedding",
    "pos_embed": "embeddings.position_embedding.weight",
}
"""timm's vision transformer -> CLIP's in transformers, whose pre-normalisation has this spelling."""

_DINOV3 = {
    r"blocks\.(\d+)\.gamma_(\d)": r"layer.\1.layer_scale\2.lambda1",
    r"blocks\.(\d+)\.norm(\d)\.(.+)": r"layer.\1.norm\2.\3",
    r"blocks\.(\d+)\.mlp\.fc1\.(.+)": r"layer.\1.mlp.up_proj.\2",
    r"blocks\.(\d+)\.mlp\.fc2\.(.+)": r"layer.\1.mlp.down_proj.\2",
    r"blocks\.(\d+)\.attn\.proj\.(.+)": r"layer.\1.attention.o_proj.\2",
    r"blocks\.(\d+)\.attn\.qkv\.(.+)": r"layer.\1.attention.{}_proj.\2",
    r"blocks\.(\d+)\.attn\.([qv])_bias": r"layer.\1.attention.\2_proj.bias",
    r"patch_embed\.proj\.(.+)": r"embeddings.patch_embeddings.\1",
    r"norm\.(.+)": r"norm.\1",
    "cls_token": "embeddings.cls_token",
    "reg_token": "embeddings.register_tokens",
}
"""timm's DINOv3 (with biases of query and value) -> transformers'."""


def _block_numbers(state: Mapping[str, torch.Tensor]) -> dict[str, int]:
    """Number the blocks of an encoder of stages through: stage and place, such as ``1.0`` -> number."""
    found = {match[1]: None for name in state if (match := re.match(r"encoder\.blocks\.(\d+\.\d+)\.", name))}
    return {place: number for number, place in enumerate(found)}


def _efficientnet_name(name: str, numbers: Mapping[str, int]) -> str:
    """Translate timm's name of an EfficientNet's tensor into efficientnet_pytorch's."""
    block = re.fullmatch(r"blocks\.(\d+)\.(\d+)\.(.+)\.([^.]+)", name)
    if block is None:
        layer, _, part = name.partition(".")
        return f"{_translated(layer, {ours: theirs for theirs, ours in OUTSIDE_BLOCKS.items()})}.{part}"
    stage, place, layer, part = block.groups()
    layers = LATER_STAGES if int(stage) else FIRST_STAGE
    theirs = _translated(layer, {re.escape(ours): theirs for theirs, ours in layers.items()})
    return f"_blocks.{numbers[f'{stage}.{place}']}.{theirs}.{part}"


def _translated(name: str, names: Mapping[str, str]) -> str:
    for pattern, theirs in names.items():
        match = re.fullmatch(pattern, name)
        if match:
            return match.expand(theirs)
    raise UsageError(f"no published name is known for {name} of the encoder; it is another encoder than the layout's")


def _qkv(theirs: str, shape: tuple[int, ...]) -> Part:
    """Query, key and value, which are three layers there and one here."""
    third = (shape[0] // 3, *shape[1:])
    return Part({theirs.format(which): third for which in "qkv"}, lambda *values: torch.cat(values))


def _clip(name: str, shape: tuple[int, ...], start: str) -> Part:
    theirs = start + _translated(name, _CLIP)
    if ".attn.qkv." in name:
        return _qkv(theirs, shape)
    if name in ("cls_token", "pos_embed"):
        return _reshaped(theirs, shape[2:] if name == "cls_token" else shape[1:], shape)
    return _same(theirs, shape)


def _clip_svd(name: str, shape: tuple[int, ...], start: str) -> Part:
    """Layers of attention are ``weight_main`` and what was trained, USV. Source: Yan et al. 2025, arXiv 2411.15633."""
    part = _clip(name, shape, start)
    if ".attn." not in name or not name.endswith(".weight"):
        return part
    shapes: dict[str, tuple[int, ...]] = {}
    for weight, (rows, columns) in part.shapes.items():
        layer = weight.removesuffix("weight")
        shapes |= {f"{layer}weight_main": (rows, columns), f"{layer}U_residual": (rows, 1)}
        shapes |= {f"{layer}S_residual": (1,), f"{layer}V_residual": (1, columns)}
    return Part(shapes, _added_up)


def _added_up(*values: torch.Tensor) -> torch.Tensor:
    fours = zip(*[iter(values)] * 4, strict=True)
    return torch.cat([main + u @ torch.diag(s) @ v for main, u, s, v in fours])


def _dinov3(name: str, shape: tuple[int, ...], start: str) -> Part:
    theirs = start + _translated(name, _DINOV3)
    return _qkv(theirs, shape) if ".attn.qkv." in name else _same(theirs, shape)


_LIBRARIES: dict[str, Callable[[str, tuple[int, ...], str], Part]] = {
    "timm": _timm,
    "transformers_clip": _clip,
    "transformers_clip_svd": _clip_svd,
    "transformers_dinov3": _dinov3,
}
