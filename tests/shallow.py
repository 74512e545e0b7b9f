"""Encoders, and SlowFast, with a convolution a stage, for tests of what is around them.

To trace a network and to write it out takes time by the operation. Those of full size are compared with torch whenever
somebody imports or exports one.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import timm
from timm.layers import Conv2dSame
from timm.models.efficientnet import EfficientNet, EfficientNetFeatures
from timm.models.regnet import RegStage
from timm.models.vision_transformer import VisionTransformer
from timm.models.xception import Xception
from torch import nn

CREATE_WHOLE = timm.create_model
"""For tests that want it."""


@contextmanager
def shallow_encoders() -> Iterator[None]:
    """Let timm build its networks so; those of a kind that is not known here are whole."""

    def create_shallow(*args, **options) -> nn.Module:
        encoder = CREATE_WHOLE(*args, **options)
        if isinstance(encoder, VisionTransformer):
            encoder.blocks = encoder.blocks[:1]
        elif isinstance(encoder, Xception):
            for name in (f"block{number}" for number in range(1, 13)):
                setattr(encoder, name, _convolution_for(getattr(encoder, name)))
        elif isinstance(encoder, (EfficientNet, EfficientNetFeatures)):
            for number, stage in enumerate(encoder.blocks):
                encoder.blocks[number] = _convolution_for(stage)
        for name, stage in encoder.named_children():
            if isinstance(stage, RegStage):
                setattr(encoder, name, _convolution_for(stage))
        return encoder

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("timm.create_model", create_shallow)
        patch.setattr("unmask.models.networks.slowfast._Block", _one_convolution)
        yield


def _convolution_for(stage: nn.Module) -> nn.Module:
    every = [module for module in stage.modules() if isinstance(module, nn.Conv2d)]
    before, after, stride = every[0].in_channels, every[-1].out_channels, max(conv.stride[0] for conv in every)
    if (before, stride) == (after, 1):
        return nn.Identity()
    return nn.Sequential(Conv2dSame(before, after, 3, stride, bias=False), nn.BatchNorm2d(after), nn.ReLU())


def _one_convolution(channels: int, inner: int, stride: int, *, temporal: bool) -> nn.Module:
    """A block of SlowFast."""
    sides = {"stride": (1, stride, stride), "padding": (int(temporal), 0, 0), "bias": False}
    return nn.Conv3d(channels, 4 * inner, (3 if temporal else 1, 1, 1), **sides)
