"""Fixed high-pass filters, which show what is left of an image when its contents are predicted away.

Source: Fridrich and Kodovsky, "Rich models for steganalysis of digital images", 2012; the three of `srm_kernels` as in
Zhou et al., "Learning rich features for image manipulation detection", CVPR 2018.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from torch import nn

_Padding: TypeAlias = Literal["zeros", "replicate"]

_SECOND_DERIVATIVE_15 = ((1, -2, 1),)
_SQUARE_33 = ((-1, 2, -1), (2, -4, 2), (-1, 2, -1))
_SQUARE_55 = ((-1, 2, -2, 2, -1), (2, -6, 8, -6, 2), (-2, 8, -12, 8, -2), (2, -6, 8, -6, 2), (-1, 2, -2, 2, -1))


def _kernel(rows: tuple[tuple[int, ...], ...], divisor: int) -> torch.Tensor:
    """Return the rows, divided, in the middle of a 5x5 kernel."""
    small = torch.tensor(rows, dtype=torch.float32) / divisor
    above, before = (5 - small.shape[0]) // 2, (5 - small.shape[1]) // 2
    return nn.functional.pad(small, (before, before, above, above))


def srm_kernels() -> torch.Tensor:
    """Return (3, 5, 5), the winner's three: horizontal second derivative / 2, 3x3 square / 4, 5x5 square / 12."""
    parts = ((_SECOND_DERIVATIVE_15, 2), (_SQUARE_33, 4), (_SQUARE_55, 12))
    return torch.stack([_kernel(rows, divisor) for rows, divisor in parts])


class FixedConv(nn.Conv2d):
    """A 5x5 convolution that keeps size and weights. Always in fp32: in bf16 rounding would drown the residuals."""

    def __init__(self, weight_OI55: torch.Tensor, groups: int = 1, padding_mode: _Padding = "zeros") -> None:
        out_channels, in_channels = len(weight_OI55), weight_OI55.shape[1] * groups
        super().__init__(in_channels, out_channels, 5, padding=2, groups=groups, bias=False, padding_mode=padding_mode)
        self.weight = nn.Parameter(weight_OI55, requires_grad=False)

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """Filter."""
        if not torch.is_autocast_enabled(x_NCHW.device.type):
            return super().forward(x_NCHW)
        with torch.autocast(x_NCHW.device.type, enabled=False):
            return super().forward(x_NCHW.float())


def srm_conv() -> FixedConv:
    """Return the winner's front end: three maps, each a kernel summed over the colours."""
    return FixedConv(srm_kernels()[:, None].repeat(1, 3, 1, 1))


class ResidualFilters(nn.Module):
    """Four high-pass residuals of each colour: x_N3HW -> (N, 12, H, W) of about unit variance, clipped to +-3.

    Clipping keeps the strong edges of a face from drowning the faint traces of processing. Borders are continued, so
    that they leave no edge.
    """

    channels = 12

    def __init__(self) -> None:
        super().__init__()
        horizontal, square_33, square_55 = srm_kernels()
        kernels_455 = torch.stack([horizontal, horizontal.T, square_33, square_55])
        self.conv = FixedConv(kernels_455.repeat(3, 1, 1)[:, None], groups=3, padding_mode="replicate")
        self.norm = nn.BatchNorm2d(self.channels)

    def forward(self, x_N3HW: torch.Tensor) -> torch.Tensor:
        """Filter, normalise, clip."""
        residual_NCHW: torch.Tensor = self.norm(self.conv(x_N3HW))
        return residual_NCHW.clamp(-3, 3)
