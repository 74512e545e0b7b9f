"""Encoders from timm, under the names of the challenge winner's recipes or their own."""

from __future__ import annotations

from typing import Any

import timm
from torch import nn

from unmask.errors import UsageError

ENCODERS: dict[str, tuple[str, float]] = {
    "tf_efficientnet_b2_ns": ("tf_efficientnet_b2.ns_jft_in1k", 0.2),
    "tf_efficientnet_b3_ns": ("tf_efficientnet_b3.ns_jft_in1k", 0.2),
    "tf_efficientnet_b4_ns": ("tf_efficientnet_b4.ns_jft_in1k", 0.5),
    "tf_efficientnet_b4_ns_03d": ("tf_efficientnet_b4.ns_jft_in1k", 0.3),
    "tf_efficientnet_b5_ns": ("tf_efficientnet_b5.ns_jft_in1k", 0.2),
    "tf_efficientnet_b5_ns_03d": ("tf_efficientnet_b5.ns_jft_in1k", 0.3),
    "tf_efficientnet_b5_ns_04d": ("tf_efficientnet_b5.ns_jft_in1k", 0.4),
    "tf_efficientnet_b6_ns": ("tf_efficientnet_b6.ns_jft_in1k", 0.2),
    "tf_efficientnet_b6_ns_04d": ("tf_efficientnet_b6.ns_jft_in1k", 0.4),
    "tf_efficientnet_b7_ns": ("tf_efficientnet_b7.ns_jft_in1k", 0.2),
}
"""The winner's name -> timm's name today and the drop path rate. Source: selimsef/dfdc_deepfake_challenge."""


def create_encoder(name: str, *, pretrained: bool = False, drop_path: float | None = None, **options: Any) -> nn.Module:
    """Build an encoder.

    Args:
        name: One of `ENCODERS`, or any name that timm knows.
        pretrained: Start from published ImageNet weights, which timm downloads or finds in its cache.
        drop_path: Share of residual branches dropped in training, at the deepest block; None for that of
            `ENCODERS`, and none for others.
        options: For ``timm.create_model``.

    Raises:
        UsageError: timm does not know it or cannot build it so, or its weights cannot be fetched.
    """
    timm_name, usual_drop_path = ENCODERS.get(name, (name, 0.0))
    if not timm.is_model(timm_name):
        raise UsageError(f"unknown encoder {name!r}; use one of {', '.join(ENCODERS)} or a name of timm.list_models()")
    rate = usual_drop_path if drop_path is None else drop_path
    if rate:  # not every encoder knows it
        options["drop_path_rate"] = rate
    try:
        encoder: nn.Module = timm.create_model(timm_name, **options)
    except (RuntimeError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"timm cannot build encoder {name!r} with {options}: {error}") from error
    if pretrained:
        return _pretrained(name, timm_name, options)
    return encoder


def _pretrained(name: str, timm_name: str, options: dict[str, Any]) -> nn.Module:
    try:
        return timm.create_model(timm_name, pretrained=True, **options)
    except Exception as error:  # whatever timm's way of downloading raises
        raise UsageError(
            f"the ImageNet weights of encoder {name!r} cannot be fetched ({type(error).__name__}: {error}); connect to "
            "the internet, or copy timm's cache (HF_HOME, by default ~/.cache/huggingface) from a machine that has "
            "them, or train from scratch with pretrained = false"
        ) from error


def set_stem_stride(encoder: nn.Module, stride: int) -> int:
    """Change the stride of an encoder's first convolution, so that it shrinks its input later.

    Returns:
        How many times larger all its maps become.

    Raises:
        UsageError: The stride does not divide the usual one, or the convolution cuts its input into patches.
    """
    stem = next(module for module in encoder.modules() if isinstance(module, nn.Conv2d))
    usual = stem.stride[0]
    if stride < 1 or usual % stride or stem.kernel_size[0] <= usual:
        raise UsageError(
            f"stem_stride {stride} does not fit a first convolution of {stem.kernel_size[0]} px with stride {usual}; "
            "leave it out, or take another encoder"
        )
    stem.stride = (stride, stride)
    return usual // stride
