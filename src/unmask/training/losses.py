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


def squared_triplet_loss(anchor_NC: Tensor, positive_NC: Tensor, negative_NC: Tensor, margin: float = 0.2) -> Tensor:
    """Return the triplet loss in the form of FaceNet: squared distances of embeddings normalised to length one.

    max(0, |anchor - positive|^2 - |anchor - negative|^2 + margin), the mean over the triplets where the paper has the
    sum. Source: Schroff et al. 2015, arXiv 1503.03832, eq. 2.

    Args:
        anchor_NC: (N, C) embeddings of faces, of any length above 0.
        positive_NC: (N, C) of other faces of the same people.
        negative_NC: (N, C) of faces of other people.
        margin: Least gap of the squares, which lie in 0..4.
    """
    anchor_NC, positive_NC, negative_NC = (
        functional.normalize(x.float(), dim=1) for x in (anchor_NC, positive_NC, negative_NC)
    )
    nearer_N = (anchor_NC - positive_NC).square().sum(1)
    farther_N = (anchor_NC - negative_NC).square().sum(1)
    return functional.relu(nearer_N - farther_N + margin).mean()


def semi_hard_triplets(x_NC: Tensor, identity_N: Tensor) -> Tensor:
    """Return the triplets of a batch as FaceNet chooses them: (T, 3) numbers of anchor, positive and negative.

    All pairs of one person; with each the nearest stranger that is farther from the anchor than the positive. A pair
    without such a stranger gives none. Source: Schroff et al. 2015, arXiv 1503.03832, section 3.2 and eq. 4.

    Args:
        x_NC: (N, C) embeddings, of any length above 0.
        identity_N: (N,) whose face it is, whole numbers.
    """
    x_NC = functional.normalize(x_NC.detach().float(), dim=1)
    squared_NN = torch.cdist(x_NC, x_NC, compute_mode="donot_use_mm_for_euclid_dist").square()
    same_NN = identity_N[:, None] == identity_N[None]
    anchor_T, positive_T = (same_NN & ~torch.eye(len(x_NC), dtype=torch.bool, device=x_NC.device)).nonzero(
        as_tuple=True
    )
    farther_TN = ~same_NN[anchor_T] & (squared_NN[anchor_T] > squared_NN[anchor_T, positive_T][:, None])
    nearest_T = squared_NN[anchor_T].masked_fill(~farther_TN, float("inf"))
    there_T = farther_TN.any(1)
    return torch.stack([anchor_T, positive_T, nearest_T.argmin(1)], 1)[there_T]


def cascade_loss(
    logits_N2: Tensor,
    shift_N4: Tensor,
    landmarks_N10: Tensor | None,
    kind_N: Tensor,
    true_shift_N4: Tensor,
    true_landmarks_N10: Tensor,
    *,
    hardest: float,
) -> dict[str, Tensor]:
    """Return the three losses of one of MTCNN's networks. Source: Zhang et al. 2016, arXiv 1604.02878, eq. 1 to 4.

    ``face``: cross entropy over crops that show a face (kind 2) or none (0), of the ``hardest`` share of them;
    ``box``: squared distance of the edges over faces and parts (1); ``landmarks``: squared distance over faces whose
    landmarks are known (not NaN). What has no crop is 0.
    """
    sure_N, faced_N = kind_N != 1, kind_N >= 1
    losses = functional.cross_entropy(logits_N2[sure_N].float(), (kind_N[sure_N] == 2).long(), reduction="none")
    kept = losses.topk(max(1, int(hardest * len(losses)))).values if len(losses) else losses
    found = {"face": kept.sum() / max(1, len(kept))}
    found["box"] = (shift_N4 - true_shift_N4)[faced_N].square().sum() / max(1, int(faced_N.sum()))
    known_N = (kind_N == 2) & ~true_landmarks_N10.isnan().any(1)
    if landmarks_N10 is None or not bool(known_N.any()):
        return found | {"landmarks": logits_N2.sum() * 0}
    return found | {"landmarks": (landmarks_N10 - true_landmarks_N10)[known_N].square().sum(1).mean()}
