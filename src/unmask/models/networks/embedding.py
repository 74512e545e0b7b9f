"""A network that turns faces into vectors: an encoder of timm with one linear layer behind it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from unmask.models.networks.encoders import create_encoder

_MEAN, _STD = 127.5, 128.0


class EmbeddingNet(nn.Module):
    """Turns uint8 RGB crops (N, S, S, 3) into vectors of length one (N, C)."""

    def __init__(self, encoder: str, length: int = 128) -> None:
        """Build the network with random weights.

        Args:
            encoder: Name that `create_encoder` knows.
            length: C, the length of a vector.

        Raises:
            UsageError: timm does not know the encoder.
        """
        super().__init__()
        self.encoder = create_encoder(encoder, num_classes=length)

    def forward(self, crops_NSS3: Tensor) -> Tensor:
        """Return the vectors (N, C) of crops; see `unmask.models.embedder`."""
        x_N3SS = ((crops_NSS3.to(torch.float32) - _MEAN) / _STD).movedim(-1, 1)
        return functional.normalize(self.encoder(x_N3SS), dim=1)
