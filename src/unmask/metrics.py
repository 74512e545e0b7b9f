"""How good predictions are. Arrays in, floats out; 1 is fake, 0 is real."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unmask.errors import UsageError


def log_loss(labels: ArrayLike, fake_probabilities: ArrayLike, eps: float = 1e-15) -> float:
    """Mean binary cross entropy in nats, the score of the challenge; 0.5 everywhere gives 0.6931.

    Args:
        labels: (n,) of 0 real or 1 fake.
        fake_probabilities: (n,) in 0..1.
        eps: Probabilities are clipped to eps..1 - eps.

    Raises:
        UsageError: Empty, of unequal length, or out of range.
    """
    truth, scores = _checked(labels, fake_probabilities)
    clipped = np.clip(scores, eps, 1 - eps)
    return float(-np.mean(np.where(truth == 1, np.log(clipped), np.log1p(-clipped))))


def roc_auc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Area under the ROC curve: the chance that a fake scores above a real one, ties counted half.

    Raises:
        UsageError: Empty, of unequal length, or one of the classes is missing.
    """
    truth, values = _checked(labels, scores)
    fakes, reals = values[truth == 1], values[truth == 0]
    if not len(fakes) or not len(reals):
        raise UsageError("the area under the ROC curve needs real and fake samples")
    ordered = np.sort(reals)
    below, upto = np.searchsorted(ordered, fakes, "left"), np.searchsorted(ordered, fakes, "right")
    return float((below + upto).sum() / 2 / (len(fakes) * len(reals)))


def _checked(labels: ArrayLike, scores: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    truth, values = np.asarray(labels, np.float64), np.asarray(scores, np.float64)
    if truth.shape != values.shape or truth.ndim != 1 or not len(truth):
        raise UsageError(f"labels {truth.shape} and scores {values.shape} must be two lists of one length, not empty")
    if not np.isin(truth, (0, 1)).all() or not np.isfinite(values).all():
        raise UsageError("labels must be 0 (real) or 1 (fake), and scores must be numbers")
    return truth, values
