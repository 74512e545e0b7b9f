"""What training minimises.

Shape letters: N samples of a batch, h w the mask head's grid.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from unmask.training.recipe import LossRecipe


def class_loss(logit_N: Tensor, label_N: Tensor, valid_N: Tensor, recipe: LossRecipe) -> Tensor | None:
    """Return the binary cross entropy of a batch.

    Apart, it is the mean of the mean over fakes (label above 0.5) and the mean over reals; a class that is not in the
    batch counts 0. Source: selimsef/dfdc_deepfake_challenge.

    Args:
        logit_N: (N,) logits, positive for fake.
        label_N: (N,) labels in 0..1; they may be soft.
        valid_N: (N,) bool, whether a sample counts under ``only_changed_frames``.
        recipe: Which of the rules apply.

    Returns:
        A scalar; None when no sample counts.
    """
    losses_N = functional.binary_cross_entropy_with_logits(logit_N.float(), label_N.float(), reduction="none")
    fake_N = label_N > 0.5
    counts_N = valid_N if recipe.only_changed_frames else torch.ones_like(valid_N)
    if not bool(counts_N.any()):
        return None
    if recipe.classes == "together":
        weight_N = torch.ones_like(losses_N)
        if recipe.positive_weight is not None:
            weight_N = torch.where(fake_N, 2 * recipe.positive_weight, 2 * (1 - recipe.positive_weight))
        return (losses_N * weight_N)[counts_N].sum() / weight_N[counts_N].sum()
    return (_mean(losses_N[fake_N & counts_N], recipe) + _mean(losses_N[~fake_N & counts_N], recipe)) / 2


def _mean(losses_N: Tensor, recipe: LossRecipe) -> Tensor:
    if len(losses_N) == 0:
        return losses_N.sum()
    if recipe.ohem_samples is not None:
        losses_N = losses_N.topk(min(recipe.ohem_samples, len(losses_N))).values
    return losses_N.mean()


def mask_loss(mask_N2hw: Tensor, target_N2hw: Tensor) -> Tensor:
    """Return the mean binary cross entropy of the mask head: where a blend is, and where its boundary runs."""
    return functional.binary_cross_entropy_with_logits(mask_N2hw.float(), target_N2hw.float())
