"""Classifiers with one logit: a timm encoder, pooling, dropout.

Their tensors carry the names of the published checkpoints: ``encoder.*``, also of the encoder's unused ImageNet head,
``fc.weight``, ``fc.bias``, and of two variants ``srm_conv.weight`` or ``avg_pool.conv.*``.

Source: selimsef/dfdc_deepfake_challenge, training/zoo/classifiers.py.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from unmask.errors import UsageError
from unmask.models.networks.encoders import create_encoder
from unmask.models.networks.filters import srm_conv
from unmask.models.networks.output import Output


class DeepFakeClassifier(nn.Module):
    """Average pooling over the encoder's last map."""

    encoder: Any  # has methods of timm's that nn.Module does not declare

    def __init__(
        self,
        encoder: str = "tf_efficientnet_b7_ns",
        *,
        pretrained: bool = False,
        drop_path: float | None = None,
        dropout: float = 0.0,
    ) -> None:
        """Build it.

        Args:
            encoder: Name for `create_encoder`, of a convolutional network.
            pretrained: Start the encoder from ImageNet weights.
            drop_path: Share of residual branches dropped in training; None for that of `ENCODERS`.
            dropout: Share of pooled features dropped in training.

        Raises:
            UsageError: The encoder cannot be had.
        """
        super().__init__()
        self.encoder = create_encoder(encoder, pretrained=pretrained, drop_path=drop_path)
        self.encoder.get_classifier().requires_grad_(False)  # never used; trained, it would hold up DDP
        features: int = self.encoder.num_features
        self.avg_pool: nn.Module = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(features, 1)

    def forward(self, x_N3HW: torch.Tensor) -> Output:
        """Judge normalised RGB crops."""
        features_NChw = self.encoder.forward_features(x_N3HW)
        if features_NChw.ndim != 4 or features_NChw.shape[1] != self.fc.in_features:
            raise UsageError(f"the encoder gives no map (N, {self.fc.in_features}, h, w); take a convolutional one")
        pooled_NC = self.dropout(self.avg_pool(features_NChw).flatten(1))
        return Output(self.fc(pooled_NC)[:, 0])


class DeepFakeClassifierSRM(DeepFakeClassifier):
    """Sees only the three fixed high-pass residuals of the crop."""

    def __init__(
        self,
        encoder: str = "tf_efficientnet_b7_ns",
        *,
        pretrained: bool = False,
        drop_path: float | None = None,
        dropout: float = 0.5,
    ) -> None:
        """Build it; arguments as for `DeepFakeClassifier`."""
        super().__init__(encoder, pretrained=pretrained, drop_path=drop_path, dropout=dropout)
        self.srm_conv = srm_conv()

    def forward(self, x_N3HW: torch.Tensor) -> Output:
        """Judge normalised RGB crops."""
        return super().forward(self.srm_conv(x_N3HW))


class DeepFakeClassifierGWAP(DeepFakeClassifier):
    """Weighs the places of the encoder's last map."""

    def __init__(
        self,
        encoder: str = "tf_efficientnet_b7_ns",
        *,
        pretrained: bool = False,
        drop_path: float | None = None,
        dropout: float = 0.5,
    ) -> None:
        """Build it; arguments as for `DeepFakeClassifier`."""
        super().__init__(encoder, pretrained=pretrained, drop_path=drop_path, dropout=dropout)
        self.avg_pool = WeightedPooling(self.fc.in_features)


class WeightedPooling(nn.Module):
    """Mean over space, each place weighing 1 to e: x_NChw -> (N, C).

    Source: Qiu, "Global weighted average pooling bridges pixel-level localization and image-level
    classification", 2018.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(features, 1, 1)

    def weights(self, x_NChw: torch.Tensor) -> torch.Tensor:
        """Return the weights of the places, (N, 1, h, w); they sum to one for each crop."""
        raw_N1hw: torch.Tensor = self.conv(x_NChw).sigmoid().exp()
        return raw_N1hw / raw_N1hw.sum(dim=(2, 3), keepdim=True)

    def forward(self, x_NChw: torch.Tensor) -> torch.Tensor:
        """Return the weighted mean."""
        return (x_NChw * self.weights(x_NChw)).sum(dim=(2, 3))
