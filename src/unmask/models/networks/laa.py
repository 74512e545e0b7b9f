"""The part of LAA-Net that judges: EfficientNet-B4, a pyramid that adds what deeper maps did not see, one logit.

In training two more heads mark the points of a face that look blended, and how consistent its parts are.

Source: Nguyen et al. 2024, arXiv 2401.13856; 10Ring/LAA-Net, ``pose_efficientNet.py``.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from timm.layers.conv2d_same import Conv2dSame
from torch import nn
from torch.nn.functional import pad

from unmask.models.networks.encoders import create_encoder
from unmask.models.networks.output import Output

_PADDED_FOR_PX = 380
"""Side of the pictures whose padding the authors' encoder has, though they show it larger ones."""
_WIDTHS = (1792, 448, 160, 56)
_HEAD = 64


class LocalizedArtifact(nn.Module):
    """Four steps of a pyramid over the encoder's maps, and the mean of the finest."""

    encoder: Any  # has attributes of timm's that nn.Module does not declare

    def __init__(self, *, pretrained: bool = False) -> None:
        """Build it.

        Args:
            pretrained: Start the encoder from ImageNet weights.

        Raises:
            UsageError: The encoder cannot be had.
        """
        super().__init__()
        self.encoder = create_encoder("tf_efficientnet_b4", pretrained=pretrained, num_classes=0)
        _pad_as_for(self.encoder, _PADDED_FOR_PX)
        first, second, third, fourth = _WIDTHS
        self.deconv_1 = nn.Sequential(_convolution(first, second, 3))
        self.deconv_2 = nn.Sequential(_convolution(2 * second, third, 3), *_doubled(third))
        self.deconv_3 = nn.Sequential(_convolution(2 * third, fourth, 3), *_doubled(fourth))
        self.deconv_4 = nn.Sequential(_Inception(2 * fourth), *_doubled(2 * fourth))
        self.judge = nn.Sequential(
            nn.Conv2d(2 * fourth, _HEAD, 3, padding=1), nn.BatchNorm2d(_HEAD), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(_HEAD, 1),
        )  # fmt: skip

    def forward(self, x_N3HW: torch.Tensor) -> Output:
        """Judge normalised RGB crops, of 384 pixels or another multiple of 32."""
        x_NChw = self.encoder.bn1(self.encoder.conv_stem(x_N3HW))
        maps = []
        for stage in self.encoder.blocks:
            x_NChw = stage(x_NChw)
            maps.append(x_NChw)
        x_NChw = self.deconv_1(self.encoder.bn2(self.encoder.conv_head(x_NChw)))
        x_NChw = self.deconv_2(_with_the_unseen(x_NChw, maps[6]))
        x_NChw = self.deconv_3(_with_the_unseen(x_NChw, maps[4]))
        x_NChw = self.deconv_4(_with_the_unseen(x_NChw, maps[2]))
        return Output(self.judge(x_NChw.relu())[:, 0])


def _with_the_unseen(deep_NChw: torch.Tensor, map_NChw: torch.Tensor) -> torch.Tensor:
    """Lay a map of the encoder beside a deeper one, where that is strong the less of it."""
    return torch.cat([deep_NChw, (1 - deep_NChw.sigmoid()) * map_NChw], 1)


def _convolution(before: int, after: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, kernel, padding=kernel // 2, bias=False), nn.BatchNorm2d(after), nn.ReLU()
    )


def _doubled(channels: int) -> tuple[nn.Module, nn.Module]:
    return nn.ConvTranspose2d(channels, channels, 4, 2, 1, bias=False), nn.BatchNorm2d(channels)


class _Inception(nn.Module):
    """Four views of a map, of a quarter of its channels each."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        quarter = channels // 4
        self.pw_block = _convolution(channels, quarter, 1)
        self.mp_layer = nn.MaxPool2d(3, 1, 1)
        self.conv3_block = _convolution(quarter, quarter, 3)
        self.conv5_block = _convolution(quarter, quarter, 5)

    def forward(self, x_NChw: torch.Tensor) -> torch.Tensor:
        """Look at it."""
        narrow = self.pw_block(x_NChw)
        views = narrow, self.conv3_block(narrow), self.conv5_block(narrow), self.pw_block(self.mp_layer(x_NChw))
        return torch.cat(views, 1)


class _PaddedConv(nn.Conv2d):
    """A convolution that pads by given numbers of pixels."""

    edges: tuple[int, int, int, int]

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """Pad and convolve."""
        return super().forward(pad(x_NCHW, self.edges))


def _pad_as_for(encoder: nn.Module, side_px: int) -> None:
    """Replace the strided convolutions, whose padding timm computes from the picture, in the order they come."""
    side = side_px
    for path, old in [(path, module) for path, module in encoder.named_modules() if isinstance(module, Conv2dSame)]:
        kernel, stride = old.kernel_size[0], old.stride[0]
        more = max((math.ceil(side / stride) - 1) * stride + kernel - side, 0)
        new = _PaddedConv(old.in_channels, old.out_channels, kernel, stride, groups=old.groups, bias=False)
        new.load_state_dict(old.state_dict())
        new.edges = (more // 2, more - more // 2, more // 2, more - more // 2)
        parent, _, name = path.rpartition(".")
        setattr(encoder.get_submodule(parent), name, new)
        side = math.ceil(side / stride)
