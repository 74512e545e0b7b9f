"""The part of UCF that judges: Xception, and of its features the half that all forgeries share.

Training takes pictures apart into content, what is particular to one way of forging and what is common to all, and puts
others together from the parts; to judge, the common part is enough.

Source: Yan et al. 2023, arXiv 2304.13949; SCLBD/DeepfakeBench, ``ucf_detector.py``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from unmask.models.networks.encoders import create_encoder
from unmask.models.networks.output import Output

_FEATURES, _CLASSES = 512, 2


class CommonForgery(nn.Module):
    """Xception, whose last map is narrowed twice; a layer and a last one of two classes, real and fake."""

    encoder: Any  # has attributes of timm's that nn.Module does not declare

    def __init__(self, *, pretrained: bool = False) -> None:
        """Build it.

        Args:
            pretrained: Start the encoder from ImageNet weights.

        Raises:
            UsageError: The encoder cannot be had.
        """
        super().__init__()
        self.encoder = create_encoder("legacy_xception", pretrained=pretrained, num_classes=0)
        self.encoder.act4 = nn.Identity()  # its last map goes on as it is
        half = _FEATURES // 2
        self.narrow = nn.Sequential(
            nn.Conv2d(self.encoder.num_features, _FEATURES, 1), nn.BatchNorm2d(_FEATURES), nn.ReLU()
        )
        self.common = nn.Sequential(
            nn.Conv2d(_FEATURES, half, 1), nn.LeakyReLU(), nn.Conv2d(half, half, 1), nn.LeakyReLU(),
            nn.Conv2d(half, half, 1),
        )  # fmt: skip
        self.hidden = nn.Sequential(nn.Linear(half, _FEATURES), nn.LeakyReLU())
        self.fc = nn.Linear(_FEATURES, _CLASSES)
        self.dropout = nn.Dropout(0.2)  # of the logits, as the authors have it

    def forward(self, x_N3HW: torch.Tensor) -> Output:
        """Judge normalised RGB crops."""
        map_NChw = self.common(self.narrow(self.encoder.forward_features(x_N3HW)))
        real_N, fake_N = self.dropout(self.fc(self.hidden(map_NChw.mean((2, 3))))).unbind(1)
        return Output(fake_N - real_N)
