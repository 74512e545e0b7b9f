"""A transformer of which only the normalisation layers are trained, and a linear layer after them.

What a large network has learned of pictures stays as it is, so little can be learned by heart: of 300 million weights
some hundred thousand move.

Source: Yermakov et al. 2025 (GenD), arXiv 2508.06248. Their losses that spread the features of a batch over the
sphere are left out; the class loss is the recipe's.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.functional import normalize

from unmask.errors import UsageError
from unmask.models.networks.encoders import create_encoder
from unmask.models.networks.output import Output


class LayerNormTuned(nn.Module):
    """Features of one length, from an encoder that is frozen but for its normalisation, and one logit."""

    encoder: Any  # has attributes of timm's that nn.Module does not declare

    def __init__(
        self,
        encoder: str = "vit_small_patch14_dinov2.lvd142m",
        *,
        size_px: int = 224,
        pretrained: bool = False,
        scale: float | None = 10.0,
        options: dict[str, Any] | None = None,
    ) -> None:
        """Build it.

        Args:
            encoder: Name for `create_encoder`, of a network with layer normalisation.
            size_px: Side of the crops; its position embeddings are made for it.
            pretrained: Start the encoder from published weights.
            scale: Features are brought to this length, so that a logit can be sure; the layer after them learns less
                steeply for it than for length one. None leaves them as they are.
            options: Further options of the encoder for timm, such as ``global_pool``.

        Raises:
            UsageError: The encoder cannot be had, or has no layer normalisation.
        """
        super().__init__()
        self.scale = scale
        self.encoder = create_encoder(
            encoder, pretrained=pretrained, num_classes=0, img_size=size_px, **(options or {})
        )
        norms = [module for module in self.encoder.modules() if isinstance(module, nn.LayerNorm)]
        if not norms:
            raise UsageError(f"encoder {encoder!r} has no layer normalisation to be trained; take a vision transformer")
        self.encoder.requires_grad_(False)
        for norm in norms:
            norm.requires_grad_(True)
        self.fc = nn.Linear(self.encoder.num_features, 1)

    def forward(self, x_N3HW: torch.Tensor) -> Output:
        """Judge normalised RGB crops."""
        features_NC = self.encoder(x_N3HW)
        if self.scale is not None:
            features_NC = self.scale * normalize(features_NC, dim=1)
        return Output(self.fc(features_NC)[:, 0])
