"""Thresholds that are wrong about a new source at most as often as stated, whatever the model is worth.

Split-conformal prediction, for each class by itself (Vovk 2012, arXiv 1209.2673; Angelopoulos and Bates 2021, arXiv
2107.07511): where the labelled sources and a new one are drawn alike, the new one's score lies above the k-th smallest
of n with probability at most 1 - k / (n + 1). A source counts with the worst of its clips, since its clips are no
independent samples, so the promise is about whole sources and holds for single clips all the more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from unmask.errors import UsageError
from unmask.evaluation.labels import LabelledPrediction

ERROR = 0.05
"""Share of the sources of a class that may be called wrongly, by default."""
_STEP = 1e-3
"""Thresholds are rounded to this, to the safe side."""


@dataclass(frozen=True, slots=True)
class ConformalThreshold:
    """One threshold with its promise."""

    threshold: float | None
    """0 to 1; None where there are too few sources for the stated error."""
    sources: int
    """Sources of the class it was fitted to."""
    needed: int
    """Sources that the stated error takes at least."""
    expected_error: tuple[float, float] | None
    """95 % range of the share of new sources called wrongly, given that these sources are what they are; None without a
    threshold."""


@dataclass(frozen=True, slots=True)
class ConformalThresholds:
    """Both thresholds for a stated error."""

    error: float
    """Share of the sources of each class that may be called wrongly, 0 to 0.5."""
    fake_above: ConformalThreshold
    """At least this is ``fake``; 0.5 or more. Fitted to authentic clips."""
    real_below: ConformalThreshold
    """At most this is ``real``; 0.5 or less. Fitted to fakes."""


def conformal_thresholds(pairs: Sequence[LabelledPrediction], error: float = ERROR) -> ConformalThresholds:
    """Fit both thresholds to labelled clips that no training and no other fit saw.

    Args:
        pairs: Predictions with their labels; those without a probability are left out.
        error: Share of the sources of each class that may be called wrongly.

    Raises:
        UsageError: The error is not in 0..0.5.
    """
    if not 0 < error <= 0.5:
        raise UsageError(f"the stated error must be above 0 and at most 0.5, not {error:g}")
    worst: dict[str, dict[str, float]] = {"real": {}, "fake": {}}
    for prediction, truth in pairs:
        if prediction.fake_probability is None or truth.label is None:
            continue
        score = prediction.fake_probability if truth.label == "real" else 1 - prediction.fake_probability
        own = worst[truth.label]
        own[truth.source] = max(own.get(truth.source, 0.0), score)
    above, below = (_one(sorted(worst[label].values()), error) for label in ("real", "fake"))
    mirrored = None if below.threshold is None else round(1 - below.threshold, 3)
    return ConformalThresholds(
        error, above, ConformalThreshold(mirrored, below.sources, below.needed, below.expected_error)
    )


def beta_range(a: int, b: int, share: float = 0.95) -> tuple[float, float]:
    """Return the middle range of a beta distribution of whole parameters, both above 0."""
    tail = (1 - share) / 2
    return _beta_quantile(a, b, tail), _beta_quantile(a, b, 1 - tail)


def _one(scores: Sequence[float], error: float) -> ConformalThreshold:
    """Return the lowest threshold above 0.5 that a new score reaches with probability ``error`` at most."""
    count, needed = len(scores), math.ceil(1 / error) - 1
    rank = math.ceil((count + 1) * (1 - error) - 1e-9)
    if rank > count:
        return ConformalThreshold(None, count, needed, None)
    threshold = round(max(0.5, math.ceil(scores[rank - 1] / _STEP) * _STEP), 3)
    if threshold <= scores[rank - 1]:
        threshold = round(threshold + _STEP, 3)
    if threshold > 1:  # the wrongly called sources are as sure as can be
        return ConformalThreshold(None, count, needed, None)
    low, high = beta_range(count + 1 - rank, rank)
    return ConformalThreshold(threshold, count, needed, (round(low, 4), round(high, 4)))


def _beta_quantile(a: int, b: int, probability: float) -> float:
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if _beta_below(a, b, middle) < probability else (low, middle)
    return (low + high) / 2


def _beta_below(a: int, b: int, x: float) -> float:
    """Return the probability below x: that of a or more hits in a + b - 1 draws of chance x."""
    if not 0 < x < 1:
        return float(x >= 1)
    n = a + b - 1
    terms = (math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * math.log(x)
             + (n - k) * math.log1p(-x) for k in range(a, n + 1))  # fmt: skip
    return math.fsum(map(math.exp, terms))
