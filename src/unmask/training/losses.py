"""What training minimises.

Shape letters: N samples of a batch, C length of an embedding, h w the mask head's grid.
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
    """Return the mean binary cross entropy of the mask head: where a blend is, and where its boundary runs.

    A target below 0 is not known, and does not count.
    """
    losses_N2hw = functional.binary_cross_entropy_with_logits(
        mask_N2hw.float(), target_N2hw.float().clamp(min=0), reduction="none"
    )
    known_N2hw = (target_N2hw >= 0).float()
    return (losses_N2hw * known_N2hw).sum() / known_N2hw.sum().clamp(min=1)


def triplet_loss(x_NC: Tensor, identity_N: Tensor, margin: float = 0.2) -> Tensor | None:
    """Return the batch-hard triplet loss of face embeddings: a face's farthest ally against its nearest stranger.

    For each face that has another of its identity and one of a different one in the batch, the farthest of the former
    must be nearer than the nearest of the latter by ``margin``: max(0, margin + d(ally) - d(stranger)), with Euclidean
    distances of embeddings normalised to length one. Source: Hermans et al. 2017, arXiv 1703.07737, eq. 5.

    Args:
        x_NC: (N, C) embeddings, of any length above 0.
        identity_N: (N,) whose face it is, whole numbers.
        margin: Least gap, above 0; distances lie in 0..2.

    Returns:
        The mean over the faces that can be compared; None when there are none.
    """
    x_NC = functional.normalize(x_NC.float(), dim=1)
    # The square root has no slope at 0, where a face meets itself or its twin.
    distance_NN = (2 - 2 * x_NC @ x_NC.T).clamp(min=1e-12).sqrt()
    same_NN = identity_N[:, None] == identity_N[None]
    ally_NN = same_NN & ~torch.eye(len(x_NC), dtype=torch.bool, device=x_NC.device)
    compared_N = ally_NN.any(1) & ~same_NN.all(1)
    if not bool(compared_N.any()):
        return None
    ally_N = distance_NN.masked_fill(~ally_NN, 0).amax(1)
    stranger_N = distance_NN.masked_fill(same_NN, float("inf")).amin(1)
    return functional.relu(margin + ally_N[compared_N] - stranger_N[compared_N]).mean()
