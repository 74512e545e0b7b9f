"""A rule over the frames of a person: the mean without the highest and the lowest tenth."""

import numpy as np


def trimmed(scores_n: np.ndarray) -> float:
    """Return one fake probability for those of n frames."""
    cut = len(scores_n) // 10
    return float(np.sort(scores_n)[cut : len(scores_n) - cut].mean())
