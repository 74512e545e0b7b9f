"""The network of the bundled model: says whether a face was blended into its image, and where.

From scratch it hardly learns from the label of a crop alone; the map of the blend as a second target makes it learn.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import nn
from torch.nn.functional import interpolate

from unmask.errors import UsageError
from unmask.models.networks.encoders import create_encoder, set_stem_stride
from unmask.models.networks.filters import ResidualFilters
from unmask.models.networks.output import Output

MASK_STRIDE = 8
"""Pixels of the crop to one of the mask, along a side."""
_POOLED_STRIDE = 4


class BlendNet(nn.Module):
    """RGB and its high-pass residuals, an encoder, a feature pyramid to stride 8, a mask head and a class head.

    The class head sees the encoder's last map averaged, the pyramid averaged and averaged over the region that the
    mask marks, and the mean and the largest probability of the mask's two maps.
    """

    encoder: Any  # has methods of timm's that nn.Module does not declare

    def __init__(
        self,
        encoder: str = "regnetx_004",
        *,
        pretrained: bool = False,
        drop_path: float | None = None,
        residuals: bool = True,
        stem_stride: int | None = None,
        width: int = 64,
        dropout: float = 0.2,
        pooled: bool = False,
    ) -> None:
        """Build it.

        Args:
            encoder: Name for `create_encoder`, of a network whose maps shrink by twos.
            pretrained: Start the encoder from ImageNet weights.
            drop_path: Share of the encoder's residual branches dropped in training.
            residuals: Give the encoder the residuals beside the colours.
            stem_stride: Stride of the encoder's first convolution; None for its usual one, 1 to keep full
                resolution longer, at four times the cost.
            width: Channels of the pyramid.
            dropout: Share of the class head's inputs dropped in training.
            pooled: The class head also sees mean and deviation of the maps from stride 4 on: traces of forgery lie in
                low and middle features.

        Raises:
            UsageError: The encoder cannot be had, or gives no map at stride 8.
        """
        super().__init__()
        self.residuals = ResidualFilters() if residuals else None
        channels = 3 + (ResidualFilters.channels if residuals else 0)
        self.encoder = create_encoder(
            encoder, pretrained=pretrained, drop_path=drop_path, features_only=True, in_chans=channels
        )
        enlarged = set_stem_stride(self.encoder, stem_stride) if stem_stride else 1
        strides = [stride // enlarged for stride in self.encoder.feature_info.reduction()]
        if MASK_STRIDE not in strides:
            raise UsageError(f"encoder {encoder!r} gives maps at strides {strides}; one at {MASK_STRIDE} is needed")
        self._finest = strides.index(MASK_STRIDE)
        widths = self.encoder.feature_info.channels()[self._finest :]
        self.laterals = nn.ModuleList(nn.Conv2d(channels, width, 1) for channels in widths)
        self.smooth = _block(width)
        self.mask = nn.Sequential(_block(width), nn.Conv2d(width, 2, 1))
        self.dropout = nn.Dropout(dropout)
        self._pooled_from = strides.index(_POOLED_STRIDE) if pooled else len(strides)
        more = 2 * sum(self.encoder.feature_info.channels()[self._pooled_from :])
        seen = widths[-1] + 2 * width + 4 + more
        self.even = nn.BatchNorm1d(seen) if pooled else nn.Identity()
        self.fc = nn.Linear(seen, 1)

    def forward(self, x_N3HW: torch.Tensor) -> Output:
        """Judge normalised RGB crops; the mask has stride 8."""
        if self.residuals is not None:
            x_N3HW = torch.cat([x_N3HW, self.residuals(x_N3HW)], dim=1)
        every = self.encoder(x_N3HW)
        maps = every[self._finest :]
        pyramid_NChw = self._pyramid(maps)
        mask_N2hw = self.mask(pyramid_NChw)
        seen_NF = torch.cat([maps[-1].mean((2, 3)), *_summary(pyramid_NChw, mask_N2hw.sigmoid())], dim=1)
        seen_NF = torch.cat(
            [seen_NF, *(part for map_NChw in every[self._pooled_from :] for part in _moments(map_NChw))], 1
        )
        return Output(self.fc(self.dropout(self.even(seen_NF)))[:, 0], mask_N2hw)

    def _pyramid(self, maps: list[torch.Tensor]) -> torch.Tensor:
        """Add the maps, finest first, up at the finest's size."""
        levels = [lateral(map_NChw) for lateral, map_NChw in zip(self.laterals, maps, strict=True)]
        sum_NChw = levels[-1]
        for _, finer_NChw in pairwise(reversed(levels)):
            sum_NChw = finer_NChw + interpolate(sum_NChw, size=finer_NChw.shape[-2:], mode="nearest")
        smooth_NChw: torch.Tensor = self.smooth(sum_NChw)
        return smooth_NChw


def _block(width: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU())


def _summary(features_NChw: torch.Tensor, mask_N2hw: torch.Tensor) -> list[torch.Tensor]:
    """Return features averaged over all places and over the marked region, and the mask's means and maxima."""
    region_N1hw = mask_N2hw[:, :1]
    within_NC = (features_NChw * region_N1hw).mean((2, 3)) / (region_N1hw.mean((2, 3)) + 1e-3)
    return [features_NChw.mean((2, 3)), within_NC, mask_N2hw.mean((2, 3)), mask_N2hw.amax((2, 3))]


def _moments(map_NChw: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and deviation of each channel over all places."""
    flat_NCP = map_NChw.flatten(2).float()
    mean_NC1 = flat_NCP.mean(2, keepdim=True)
    return mean_NC1[..., 0], (((flat_NCP - mean_NC1) ** 2).mean(2) + 1e-4).sqrt()
