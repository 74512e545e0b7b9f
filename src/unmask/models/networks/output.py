"""The value that every network returns."""

from __future__ import annotations

from typing import NamedTuple

import torch


class Output(NamedTuple):
    """The answer of a network to N crops."""

    logit_N: torch.Tensor
    """(N,) whose sigmoid is the fake probability, not calibrated."""
    mask_N2hw: torch.Tensor | None = None
    """(N, 2, h, w) logits: blended region, and its boundary; None when the network has no such head."""
