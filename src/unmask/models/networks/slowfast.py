"""SlowFast (Feichtenhofer et al. 2019, arXiv 1812.03982) with two classes; by default SlowFast-50.

Two residual networks watch one clip: the fast one sees every frame with an eighth of the channels, the slow one every
fourth frame. After the stem and after each stage but the last, what the fast one found is handed to the slow one.

The tensors carry the names of the published checkpoints: ``fast_conv1``, ``fast_res1.0.conv1``, ``slow_*`` alike,
``Tconv1`` to ``Tconv4`` for the lateral convolutions, ``fc``. Source: Siyu-C/RobustForensics.

Shape letters: N clips, T frames, C channels, H W image.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn
from torch.nn.functional import max_pool3d

from unmask.models.networks.output import Output

_EXPANSION = 4
_CLASSES = 2  # real, fake


class SlowFast(nn.Module):
    """Says whether a clip is fake. It takes clips x_N3THW of any length and size."""

    def __init__(
        self,
        depths: tuple[int, int, int, int] = (3, 4, 6, 3),
        *,
        width: int = 64,
        shrink: int = 8,
        alpha: int = 4,
        dropout: float = 0.5,
    ) -> None:
        """Build it; as it stands it is SlowFast-50.

        Args:
            depths: Blocks of each of the four stages.
            width: Channels of the slow stem.
            shrink: How many times fewer channels the fast pathway has (1 / beta); it divides ``width``.
            alpha: The slow pathway sees every alpha-th frame.
            dropout: Share of pooled features dropped in training.
        """
        super().__init__()
        self.alpha = alpha
        fast, lateral = width // shrink, 2 * (width // shrink)
        self.fast_conv1 = nn.Conv3d(3, fast, (5, 7, 7), stride=(1, 2, 2), padding=(2, 3, 3), bias=False)
        self.fast_bn1 = nn.BatchNorm3d(fast)
        self.slow_conv1 = nn.Conv3d(3, width, (1, 7, 7), stride=(1, 2, 2), padding=(0, 3, 3), bias=False)
        self.slow_bn1 = nn.BatchNorm3d(width)
        outputs = [1, *(_EXPANSION * 2**stage for stage in range(4))]  # channels after the stem and each stage
        for number, ((before, after), depth) in enumerate(zip(pairwise(outputs), depths, strict=True), 1):
            stride, temporal = 1 if number == 1 else 2, number >= 3
            inner = after // _EXPANSION
            lent = lateral * before
            self.add_module(f"fast_res{number}", _stage(fast * before, fast * inner, depth, stride, temporal=True))
            self.add_module(
                f"slow_res{number}", _stage(width * before + lent, width * inner, depth, stride, temporal=temporal)
            )
            self.add_module(
                f"Tconv{number}",
                nn.Conv3d(fast * before, lent, (5, 1, 1), stride=(alpha, 1, 1), padding=(2, 0, 0), bias=False),
            )
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear((width + fast) * outputs[-1], _CLASSES)
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x_N3THW: torch.Tensor) -> Output:
        """Judge normalised RGB clips."""
        # A pooling of one frame with a stride picks frames, and is as long as the lateral convolutions' outputs for
        # any number of frames, which the exporter can prove.
        slow_N3tHW = max_pool3d(x_N3THW, 1, stride=(self.alpha, 1, 1))
        fast = _shrink(self.fast_bn1(self.fast_conv1(x_N3THW)).relu())
        slow = _shrink(self.slow_bn1(self.slow_conv1(slow_N3tHW)).relu())
        for number in range(1, 5):
            lent = self.get_submodule(f"Tconv{number}")(fast)
            slow = self.get_submodule(f"slow_res{number}")(torch.cat([slow, lent], dim=1))
            fast = self.get_submodule(f"fast_res{number}")(fast)
        pooled_NC = torch.cat([slow.mean((2, 3, 4)), fast.mean((2, 3, 4))], dim=1)
        real_N, fake_N = self.fc(self.dropout(pooled_NC)).unbind(1)
        return Output(fake_N - real_N)


class _Block(nn.Module):
    """A bottleneck: 1x1x1 or, temporal, 3x1x1; then 1x3x3, which may stride; then 1x1x1; beside it a shortcut."""

    def __init__(self, channels: int, inner: int, stride: int, *, temporal: bool) -> None:
        super().__init__()
        length, outer = 3 if temporal else 1, _EXPANSION * inner
        self.conv1 = nn.Conv3d(channels, inner, (length, 1, 1), padding=(length // 2, 0, 0), bias=False)
        self.bn1 = nn.BatchNorm3d(inner)
        self.conv2 = nn.Conv3d(inner, inner, (1, 3, 3), stride=(1, stride, stride), padding=(0, 1, 1), bias=False)
        self.bn2 = nn.BatchNorm3d(inner)
        self.conv3 = nn.Conv3d(inner, outer, 1, bias=False)
        self.bn3 = nn.BatchNorm3d(outer)
        self.downsample: nn.Module | None = None
        if stride != 1 or channels != outer:
            self.downsample = nn.Sequential(nn.Conv3d(channels, outer, 1, stride=(1, stride, stride), bias=False))
            self.downsample_bn = nn.BatchNorm3d(outer)

    def forward(self, x_NCTHW: torch.Tensor) -> torch.Tensor:
        y = self.bn1(self.conv1(x_NCTHW)).relu()
        y = self.bn2(self.conv2(y)).relu()
        y = self.bn3(self.conv3(y))
        shortcut = x_NCTHW if self.downsample is None else self.downsample_bn(self.downsample(x_NCTHW))
        return (y + shortcut).relu()


def _stage(channels: int, inner: int, depth: int, stride: int, *, temporal: bool) -> nn.Sequential:
    first = _Block(channels, inner, stride, temporal=temporal)
    return nn.Sequential(first, *(_Block(_EXPANSION * inner, inner, 1, temporal=temporal) for _ in range(depth - 1)))


def _shrink(x_NCTHW: torch.Tensor) -> torch.Tensor:
    return max_pool3d(x_NCTHW, (1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1))
