"""Measure how good predictions are. Arrays in, floats out; 1 is fake, 0 is real.

Where scikit-learn (1.9) has a measure, this one equals it to 1e-12 on lists of float64. All raise `UsageError` when the
lists are empty, differ in length, hold anything but labels and numbers (probabilities: in 0..1), or lack a class that
the measure needs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unmask.errors import UsageError

Floats = NDArray[np.float64]
Metric = Callable[[ArrayLike, ArrayLike], float]
"""Takes labels (n,) and scores (n,), gives a number."""

EPS = float(np.finfo(np.float64).eps)
"""Distance from 0 and 1 that probabilities keep in a log loss, as in scikit-learn from 1.3 on; before, it was 1e-15."""
BINS = 15
WORDS = ("real", "inconclusive", "fake", "none")
"""Columns of `confusion`: the three labels of a verdict, and ``none`` where there is no verdict."""


@dataclass(frozen=True, slots=True, eq=False)
class RocCurve:
    """Shares of fakes and reals at or above each threshold."""

    false_positive_rate: Floats
    """(k,) share of the reals at or above each threshold, rising from 0 to 1."""
    true_positive_rate: Floats
    """(k,) share of the fakes at or above each threshold, rising from 0 to 1."""
    thresholds: Floats
    """(k,) falling; the first is infinite: nothing is called fake."""


@dataclass(frozen=True, slots=True, eq=False)
class RiskCoverage:
    """How often the answers are wrong when only the surest are given."""

    coverage: Floats
    """(k,) share of the samples that are answered, rising to 1."""
    risk: Floats
    """(k,) share of wrong answers among them, 0 to 1."""
    confidence: Floats
    """(k,) lowest |fake probability - 0.5| that is answered, falling, 0 to 0.5."""
    area: float
    """Mean risk over all coverages, 0 to 1; lower is better."""


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """Samples that were given about the same probability."""

    low: float
    """Probabilities above this; the first bin holds 0 too."""
    high: float
    """Probabilities up to this."""
    count: int
    """Samples in it, at least 1."""
    mean_probability: float
    """What they were given on average, 0 to 1."""
    fake_share: float
    """How many of them are fake, 0 to 1; the same as ``mean_probability`` where probabilities are honest."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a measure lies with 95 % confidence."""

    low: float
    """2.5th percentile of the resamples."""
    high: float
    """97.5th percentile of the resamples."""
    ignored: int
    """Resamples that did not count because one of the classes was missing from them."""


def log_loss(labels: ArrayLike, fake_probabilities: ArrayLike, eps: float = EPS) -> float:
    """Mean binary cross entropy in nats, the score of the challenge; 0.5 everywhere gives 0.6931.

    Args:
        labels: (n,) of 0 real or 1 fake.
        fake_probabilities: (n,) in 0..1.
        eps: Probabilities are clipped to eps..1 - eps.
    """
    return float(_losses(*_probabilities(labels, fake_probabilities), eps).mean())


def real_log_loss(labels: ArrayLike, fake_probabilities: ArrayLike, eps: float = EPS) -> float:
    """Log loss on the reals alone, 0 or more."""
    truth, values = _probabilities(labels, fake_probabilities)
    _need(truth, (0,), "the log loss on reals")
    reals = truth == 0
    return float(_losses(truth[reals], values[reals], eps).mean())


def fake_log_loss(labels: ArrayLike, fake_probabilities: ArrayLike, eps: float = EPS) -> float:
    """Log loss on the fakes alone, 0 or more."""
    truth, values = _probabilities(labels, fake_probabilities)
    _need(truth, (1,), "the log loss on fakes")
    fakes = truth == 1
    return float(_losses(truth[fakes], values[fakes], eps).mean())


def balanced_log_loss(labels: ArrayLike, fake_probabilities: ArrayLike, eps: float = EPS) -> float:
    """Mean of the log losses on reals and on fakes, however many there are of each.

    Source: the challenge winner chose checkpoints by it, selimsef/dfdc_deepfake_challenge.
    """
    truth, values = _both(labels, fake_probabilities, "the balanced log loss")
    return (real_log_loss(truth, values, eps) + fake_log_loss(truth, values, eps)) / 2


def brier(labels: ArrayLike, fake_probabilities: ArrayLike) -> float:
    """Mean squared distance of the probability from the label, 0 to 1; 0.5 everywhere gives 0.25."""
    truth, values = _probabilities(labels, fake_probabilities)
    return float(((values - truth) ** 2).mean())


def roc_auc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Area under the ROC curve: the chance that a fake scores above a real one, ties counted half."""
    truth, values = _both(labels, scores, "the area under the ROC curve")
    fakes, reals = values[truth == 1], values[truth == 0]
    ordered = np.sort(reals)
    below, upto = np.searchsorted(ordered, fakes, "left"), np.searchsorted(ordered, fakes, "right")
    return float((below + upto).sum() / 2 / (len(fakes) * len(reals)))


def roc_curve(labels: ArrayLike, scores: ArrayLike) -> RocCurve:
    """Return the rates at every threshold that makes a difference."""
    truth, values = _both(labels, scores, "the ROC curve")
    thresholds, hits, alarms = _steps(truth, values)
    return RocCurve(np.append(0, alarms / alarms[-1]), np.append(0, hits / hits[-1]), np.append(np.inf, thresholds))


def equal_error_rate(labels: ArrayLike, scores: ArrayLike) -> float:
    """Error rate where as many reals are called fake as fakes are called real, 0 to 1.

    Found by straight lines between the points of the ROC curve.
    """
    curve = roc_curve(labels, scores)
    gap = curve.false_positive_rate - (1 - curve.true_positive_rate)  # strictly rising from -1 to 1
    return float(np.interp(0, gap, curve.false_positive_rate))


def average_precision(labels: ArrayLike, scores: ArrayLike) -> float:
    """Precision, averaged over the steps of the recall, without interpolation; 0 to 1."""
    truth, values = _both(labels, scores, "average precision")
    _, hits, alarms = _steps(truth, values)
    return float((np.diff(hits / hits[-1], prepend=0) * hits / (hits + alarms)).sum())


def tpr_at_fpr(labels: ArrayLike, scores: ArrayLike, max_fpr: float = 0.01) -> float:
    """Share of the fakes that are caught by the threshold that accuses at most ``max_fpr`` of the reals, 0 to 1.

    With fewer than 1 / ``max_fpr`` reals that threshold lies above all of them.
    """
    curve = roc_curve(labels, scores)
    return float(curve.true_positive_rate[curve.false_positive_rate <= max_fpr].max())


def accuracy(labels: ArrayLike, scores: ArrayLike, threshold: float = 0.5) -> float:
    """Share of right answers when ``threshold`` and above is called fake, 0 to 1."""
    truth, values = _checked(labels, scores)
    return float(((values >= threshold) == truth).mean())


def balanced_accuracy(labels: ArrayLike, scores: ArrayLike, threshold: float = 0.5) -> float:
    """Mean of the accuracies on reals and on fakes, 0 to 1; a constant answer gives 0.5."""
    truth, values = _both(labels, scores, "balanced accuracy")
    right = (values >= threshold) == truth
    return float((right[truth == 0].mean() + right[truth == 1].mean()) / 2)


def calibration_curve(labels: ArrayLike, fake_probabilities: ArrayLike, bins: int = BINS) -> list[CalibrationBin]:
    """Compare, in bins of equal width, the probability that was given with the share that is fake; no empty bins."""
    truth, values = _probabilities(labels, fake_probabilities)
    edges, place = _binned(values, bins)
    counts = np.bincount(place, minlength=bins)
    given, fake = (np.bincount(place, weights, bins) for weights in (values, truth))
    return [
        CalibrationBin(float(edges[i]), float(edges[i + 1]), int(n), float(given[i] / n), float(fake[i] / n))
        for i, n in enumerate(counts)
        if n
    ]


def calibration_error(
    labels: ArrayLike, fake_probabilities: ArrayLike, bins: int = BINS, balanced: bool = False
) -> float:
    """Expected calibration error: mean gap between probability and share of fakes over `calibration_curve`, 0 to 1.

    Source: Naeini et al. 2015; Guo et al. 2017, arXiv 1706.04599.

    Args:
        labels: (n,) of 0 real or 1 fake.
        fake_probabilities: (n,) in 0..1.
        bins: Number of bins of equal width.
        balanced: Weigh the classes as if half of the samples were fake.
    """
    truth, values = _probabilities(labels, fake_probabilities)
    weights = np.full(len(truth), 1 / len(truth))
    if balanced:
        _need(truth, (0, 1), "the balanced calibration error")
        weights = np.where(truth == 1, 0.5 / truth.sum(), 0.5 / (1 - truth).sum())
    _, place = _binned(values, bins)
    return float(np.abs(np.bincount(place, weights * (truth - values), bins)).sum())


def risk_coverage(labels: ArrayLike, fake_probabilities: ArrayLike) -> RiskCoverage:
    """Answer the surest samples first, by |fake probability - 0.5|, and count the wrong answers (0.5 says fake).

    Samples of equal confidence are answered together; for the area their errors are shared out evenly, so the order
    of the samples does not matter. Source: Geifman and El-Yaniv 2017, arXiv 1705.08500.
    """
    truth, values = _probabilities(labels, fake_probabilities)
    confidence, wrong, right = _steps(((values >= 0.5) != truth).astype(float), np.abs(values - 0.5))
    answered = wrong + right
    sizes, errors = np.diff(answered, prepend=0).astype(int), np.diff(wrong, prepend=0)
    one_by_one = np.cumsum(np.repeat(errors / sizes, sizes))
    area = float((one_by_one / np.arange(1, len(truth) + 1)).mean())
    return RiskCoverage(answered / len(truth), wrong / answered, confidence, area)


def risk_coverage_area(labels: ArrayLike, fake_probabilities: ArrayLike) -> float:
    """Return `RiskCoverage.area`, 0 to 1; lower is better."""
    return risk_coverage(labels, fake_probabilities).area


def confusion(labels: Sequence[int], words: Sequence[str | None]) -> dict[str, dict[str, int]]:
    """Count answers in words: truth (``real``, ``fake``) -> word of `WORDS` -> number of samples.

    Args:
        labels: (n,) of 0 real or 1 fake.
        words: The answers; None where there is none.
    """
    counts = Counter(zip(labels, (word or "none" for word in words), strict=True))
    return {name: {word: counts[label, word] for word in WORDS} for label, name in enumerate(("real", "fake"))}


def bootstrap_interval(
    metric: Metric, labels: ArrayLike, scores: ArrayLike, groups: Sequence[object], repeats: int = 1000, seed: int = 0
) -> Interval:
    """Return the 95 % percentile interval of a measure, see `bootstrap_intervals`."""
    return bootstrap_intervals({"": metric}, labels, scores, groups, repeats, seed)[""]


def bootstrap_intervals(
    metrics: Mapping[str, Metric],
    labels: ArrayLike,
    scores: ArrayLike,
    groups: Sequence[object],
    repeats: int = 1000,
    seed: int = 0,
) -> dict[str, Interval]:
    """Return 95 % percentile intervals of several measures, all from the same resamples.

    Whole groups are drawn with replacement, as many as there are: the fakes made from one video are no independent
    samples. Source: Efron and Tibshirani 1993, chapter 13, with the clusters as the units.

    Args:
        metrics: Name -> measure.
        labels: (n,) of 0 real or 1 fake.
        scores: (n,).
        groups: (n,) source of each sample.
        repeats: Resamples, at least 1; those without both classes are ignored.
        seed: Seed of the draws.

    Raises:
        UsageError: One of the classes is missing, from the samples or from every resample; or fewer than two groups.
    """
    truth, values = _both(labels, scores, "an interval")
    names = {name: i for i, name in enumerate(sorted(set(groups), key=str))}
    group_of = np.array([names[name] for name in groups])
    if len(group_of) != len(truth) or len(names) < 2 or repeats < 1:
        raise UsageError("an interval needs a group for each sample, two groups, and at least one resample")
    rng = np.random.default_rng(seed)
    found = [
        [metric(*samples) for metric in metrics.values()]
        for samples in _resamples(truth, values, group_of, repeats, rng)
        if 0 < samples[0].sum() < len(samples[0])
    ]
    if not found:
        raise UsageError("an interval needs real and fake samples together, but no resample held both; add groups")
    bounds = np.quantile(np.array(found), (0.025, 0.975), axis=0).T.tolist()
    return {name: Interval(low, high, repeats - len(found)) for name, (low, high) in zip(metrics, bounds, strict=True)}


def _resamples(
    truth: Floats, values: Floats, group_of: NDArray[np.int64], repeats: int, rng: np.random.Generator
) -> Iterator[tuple[Floats, Floats]]:
    falling = np.argsort(-values, kind="stable")  # resamples then are in order, and the measures sort them much faster
    truth, values, group_of = truth[falling], values[falling], group_of[falling]
    groups = group_of.max() + 1
    for _ in range(repeats):
        times = np.bincount(rng.integers(0, groups, groups), minlength=groups)
        drawn = np.repeat(np.arange(len(truth)), times[group_of])
        yield truth[drawn], values[drawn]


def _losses(truth: Floats, values: Floats, eps: float) -> Floats:
    clipped = np.clip(values, eps, 1 - eps)
    return -np.log(np.where(truth == 1, clipped, 1 - clipped))


def _steps(truth: Floats, scores: Floats) -> tuple[Floats, Floats, Floats]:
    """Return each distinct score, falling, and how many ones and zeros of ``truth`` score at least that."""
    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    ones = np.cumsum(truth[order])[last]
    return scores[order][last], ones, last + 1 - ones


def _binned(values: Floats, bins: int) -> tuple[Floats, NDArray[np.intp]]:
    """Return the edges (bins + 1,) of bins of equal width, closed above, and the bin of each value."""
    edges = np.linspace(0, 1, bins + 1)
    return edges, np.searchsorted(edges[1:-1], values)


def _checked(labels: ArrayLike, scores: ArrayLike) -> tuple[Floats, Floats]:
    truth, values = np.asarray(labels, np.float64), np.asarray(scores, np.float64)
    if truth.shape != values.shape or truth.ndim != 1 or not len(truth):
        raise UsageError(f"labels {truth.shape} and scores {values.shape} must be two lists of one length, not empty")
    if not np.isin(truth, (0, 1)).all() or not np.isfinite(values).all():
        raise UsageError("labels must be 0 (real) or 1 (fake), and scores must be numbers")
    return truth, values


def _probabilities(labels: ArrayLike, scores: ArrayLike) -> tuple[Floats, Floats]:
    truth, values = _checked(labels, scores)
    if values.min() < 0 or values.max() > 1:
        raise UsageError(f"fake probabilities lie in 0..1, these run from {values.min():g} to {values.max():g}")
    return truth, values


def _both(labels: ArrayLike, scores: ArrayLike, what: str) -> tuple[Floats, Floats]:
    truth, values = _checked(labels, scores)
    _need(truth, (0, 1), what)
    return truth, values


def _need(truth: Floats, classes: tuple[int, ...], what: str) -> None:
    names = ("real", "fake")
    if missing := [names[label] for label in classes if not (truth == label).any()]:
        needed = " and ".join(names[label] for label in classes)
        raise UsageError(f"{what} needs {needed} samples; there are no {missing[0]} ones")
