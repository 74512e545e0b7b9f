"""Measure predictions against labels: every measure with its interval over source videos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unmask import metrics
from unmask._version import __version__
from unmask.errors import UsageError
from unmask.evaluation.calibrate import CalibrationFit
from unmask.evaluation.labels import TRAITS, LabelledPrediction, Labels, Missing, label_predictions
from unmask.evaluation.predictions import Prediction, without_repeats
from unmask.report.csv import KAGGLE_UNKNOWN

METRICS: dict[str, metrics.Metric] = {
    "log_loss": metrics.log_loss,
    "log_loss_clipped_0.01": partial(metrics.log_loss, eps=0.01),
    "log_loss_reals": metrics.real_log_loss,
    "log_loss_fakes": metrics.fake_log_loss,
    "log_loss_balanced": metrics.balanced_log_loss,
    "auc": metrics.roc_auc,
    "eer": metrics.equal_error_rate,
    "average_precision": metrics.average_precision,
    "tpr_at_fpr_0.01": metrics.tpr_at_fpr,
    "tpr_at_fpr_0.05": partial(metrics.tpr_at_fpr, max_fpr=0.05),
    "accuracy": metrics.accuracy,
    "balanced_accuracy": metrics.balanced_accuracy,
    "brier": metrics.brier,
    "calibration_error": metrics.calibration_error,
    "risk_coverage_area": metrics.risk_coverage_area,
}
"""Name -> measure."""
SLICE_METRICS = {name: METRICS[name] for name in ("auc", "log_loss", "accuracy")}
HISTOGRAM_BINS = 20
MAX_CURVE_POINTS = 400

Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Score:
    """One measure."""

    value: float | None
    """None where a class that it needs is missing."""
    low: float | None = None
    """Lower end of the 95 % interval over sources, None where there is none."""
    high: float | None = None
    """Upper end."""


@dataclass(frozen=True, slots=True)
class Level:
    """All measures of one set of samples."""

    reals: int
    """Authentic samples."""
    fakes: int
    """Manipulated samples."""
    sources: int
    """Source videos they come from: the units of the intervals."""
    scores: dict[str, Score]
    """Name in `METRICS` -> measure."""
    resamples_ignored: int
    """Resamples without both classes."""


@dataclass(frozen=True, slots=True)
class Slice:
    """The clips that share a trait; the fakes of a method stand against all reals."""

    trait: str
    """``method``, ``filmed`` (the method of the reals), or another of `unmask.evaluation.labels.TRAITS`."""
    value: str
    """What they share."""
    level: Level
    """`SLICE_METRICS`, with intervals."""
    reals_called_fake: float | None
    """Share of its reals, 0 to 1; None without reals."""
    fakes_called_real: float | None
    """Share of its fakes, 0 to 1; None without fakes."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All measures of a set of predictions."""

    about: dict[str, str]
    """What was compared with what, in words."""
    seed: int
    """Seed of the resamples."""
    repeats: int
    """Resamples drawn for each interval."""
    answered: Level
    """The clips with a probability."""
    kaggle: Level
    """All matched clips, 0.5 where there is no probability."""
    frames: Level | None
    """Each judged face of each frame by itself; None when only clips were scored."""
    confusion: dict[str, dict[str, int]]
    """True label -> predicted label -> clips; where a prediction has no label, 0.5 and above is fake."""
    slices: tuple[Slice, ...]
    """By method, split, compression, ... where known."""
    roc: Points
    """(false, true positive rate), at most 400 points; empty when a class is missing."""
    calibration_curve: tuple[metrics.CalibrationBin, ...]
    """Probability beside the share of fakes."""
    risk_coverage: Points
    """(coverage, risk), at most 400 points."""
    histogram: tuple[tuple[int, int], ...]
    """Reals and fakes in each of twenty bins of the probability."""
    missing: Missing
    """Which rows these numbers are not about; true when there are any."""
    faults: tuple[str, ...]
    """Faults of the labels, in sentences."""
    notes: tuple[str, ...]
    """What limits these numbers, in sentences."""
    calibration: CalibrationFit | None = None
    """The fit of ``--calibrate``; None where none was asked for."""
    version: str = field(default=__version__)
    """Version of unmask."""

    def to_dict(self) -> dict[str, Any]:
        """Return the evaluation as JSON-ready values."""
        return asdict(self)


def evaluate(
    predictions: Sequence[Prediction],
    truth: Labels,
    *,
    repeats: int = 1000,
    seed: int = 0,
    about: Mapping[str, str] | None = None,
) -> Evaluation:
    """Measure predictions against labels.

    Args:
        predictions: One for each clip.
        truth: What is true of the clips.
        repeats: Resamples for each interval, at least 1.
        seed: Seed of the resamples.
        about: What is compared, in words.

    Raises:
        UsageError: No prediction with a probability is about a labelled clip, or two about one clip differ.
    """
    predictions, repeated = without_repeats(predictions)
    pairs, missing = label_predictions(predictions, truth)
    answered = [pair for pair in pairs if pair[0].fake_probability is not None]
    if not answered:
        raise UsageError(_nothing_in_common(predictions, truth))
    samples, everything, frames = _samples(answered), _samples(pairs), _frame_samples(answered)
    level = _level(samples, METRICS, repeats, seed)
    risk = metrics.risk_coverage(samples.labels, samples.scores)
    return Evaluation(
        about=dict(about or {}),
        seed=seed,
        repeats=repeats,
        answered=level,
        kaggle=_level(everything, METRICS, repeats, seed) if missing.abstained else level,
        frames=_level(frames, METRICS, repeats, seed) if len(frames.labels) else None,
        confusion=metrics.confusion(everything.labels.tolist(), [_word(prediction) for prediction, _ in pairs]),
        slices=tuple(_slices(answered, repeats, seed)),
        roc=_roc(samples),
        calibration_curve=tuple(metrics.calibration_curve(samples.labels, samples.scores)),
        risk_coverage=_thinned(risk.coverage, risk.risk),
        histogram=_histogram(samples),
        missing=missing,
        faults=truth.faults,
        notes=tuple(_notes(level, answered, repeated)),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Samples:
    labels: NDArray[np.int64]
    scores: NDArray[np.float64]
    sources: list[str]


def _samples(pairs: Sequence[LabelledPrediction]) -> _Samples:
    scores = [KAGGLE_UNKNOWN if p.fake_probability is None else p.fake_probability for p, _ in pairs]
    labels = np.array([clip.label == "fake" for _, clip in pairs], np.int64)
    return _Samples(labels, np.array(scores, np.float64), [clip.source for _, clip in pairs])


def _frame_samples(pairs: Sequence[LabelledPrediction]) -> _Samples:
    rows = [(clip, face.fake_probability) for prediction, clip in pairs for face in prediction.faces]
    labels = np.array([clip.label == "fake" for clip, _ in rows], np.int64)
    return _Samples(labels, np.array([p for _, p in rows], np.float64), [clip.source for clip, _ in rows])


def _level(samples: _Samples, measures: Mapping[str, metrics.Metric], repeats: int, seed: int) -> Level:
    labels, scores, sources = samples.labels, samples.scores, samples.sources
    intervals: dict[str, metrics.Interval] = {}
    fakes, distinct = int(labels.sum()), len(set(sources))
    ignored = 0
    if 0 < fakes < len(labels) and distinct > 1:
        try:
            intervals = metrics.bootstrap_intervals(measures, labels, scores, sources, repeats, seed)
        except UsageError:  # of few sources no resample held both classes
            ignored = repeats
    values = {}
    for name, measure in measures.items():
        try:
            value = measure(labels, scores)
        except UsageError:  # a class is missing, which the notes say
            values[name] = Score(None)
        else:
            interval = intervals.get(name)
            values[name] = Score(value, interval.low, interval.high) if interval else Score(value)
    ignored = next((interval.ignored for interval in intervals.values()), ignored)
    return Level(len(labels) - fakes, fakes, distinct, values, ignored)


def _slices(pairs: Sequence[LabelledPrediction], repeats: int, seed: int) -> list[Slice]:
    reals = [pair for pair in pairs if pair[1].label == "real"]
    found = []
    for trait in TRAITS:
        for value in sorted({clip.traits[trait] for _, clip in pairs if trait in clip.traits}):
            own = [pair for pair in pairs if pair[1].traits.get(trait) == value]
            if trait != "method":
                found.append(_slice(trait, value, own, repeats, seed))
                continue
            if fakes := [pair for pair in own if pair[1].label == "fake"]:
                found.append(_slice(trait, value, reals + fakes, repeats, seed))
            if filmed := [pair for pair in own if pair[1].label == "real"]:
                found.append(_slice("filmed", value, filmed, repeats, seed))
    return found


def _slice(trait: str, value: str, pairs: Sequence[LabelledPrediction], repeats: int, seed: int) -> Slice:
    words: dict[str, list[str | None]] = {"real": [], "fake": []}
    for prediction, clip in pairs:
        words[str(clip.label)].append(_word(prediction))
    wrong = {
        label: sum(word == other for word in words[label]) / len(words[label]) if words[label] else None
        for label, other in (("real", "fake"), ("fake", "real"))
    }
    return Slice(trait, value, _level(_samples(pairs), SLICE_METRICS, repeats, seed), wrong["real"], wrong["fake"])


def _word(prediction: Prediction) -> str | None:
    if prediction.label is not None or prediction.fake_probability is None:
        return prediction.label
    return "fake" if prediction.fake_probability >= 0.5 else "real"


def _roc(samples: _Samples) -> Points:
    if len(set(samples.labels.tolist())) < 2:
        return ()
    curve = metrics.roc_curve(samples.labels, samples.scores)
    return _thinned(curve.false_positive_rate, curve.true_positive_rate)


def _thinned(x: metrics.Floats, y: metrics.Floats) -> Points:
    chosen = np.unique(np.linspace(0, len(x) - 1, MAX_CURVE_POINTS).round().astype(int))
    return tuple(zip(x[chosen].tolist(), y[chosen].tolist(), strict=True))


def _histogram(samples: _Samples) -> tuple[tuple[int, int], ...]:
    counts = [
        np.histogram(samples.scores[samples.labels == label], HISTOGRAM_BINS, (0, 1))[0].tolist() for label in (0, 1)
    ]
    return tuple(zip(*counts, strict=True))


def _notes(level: Level, pairs: Sequence[LabelledPrediction], repeated: int) -> list[str]:
    notes = [f"{repeated} predictions are listed more than once, alike; each counts once."] if repeated else []
    for count, name in ((level.reals, "real"), (level.fakes, "fake")):
        if not count:
            notes.append(f"No {name} clip was answered: measures that compare the two are missing.")
    if level.sources == len(pairs):
        notes.append(
            "Each clip counts as a source of its own; if some share an original, say so in a column 'original', or the "
            "intervals are too narrow."
        )
    if level.resamples_ignored:
        notes.append(f"{level.resamples_ignored} resamples held one class only and were ignored.")
    if all(prediction.label is None for prediction, _ in pairs):
        notes.append("The predictions hold no words: in the confusion table 0.5 and above is fake.")
    return notes


def _nothing_in_common(predictions: Sequence[Prediction], truth: Labels) -> str:
    ours, theirs = (", ".join(repr(item.name) for item in items[:2]) for items in (predictions, truth.clips))
    return (
        f"none of {len(predictions)} predictions has a probability and a label; names are compared by path, then by "
        f"base name: {ours or 'nothing'} with {theirs or 'nothing'}"
    )
