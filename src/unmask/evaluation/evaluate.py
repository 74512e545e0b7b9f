"""Measure predictions against labels: every measure with its interval over source videos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import numpy as np

from unmask import metrics
from unmask._version import __version__
from unmask.errors import UsageError
from unmask.evaluation.calibrate import CalibrationFit
from unmask.evaluation.drift import DriftCheck
from unmask.evaluation.labels import TRAITS, LabelledPrediction, Labels, Missing, label_predictions
from unmask.evaluation.levels import Level, Points, Samples, frame_samples, level_of, samples_of, thinned, word_of
from unmask.evaluation.predictions import Prediction, without_repeats
from unmask.evaluation.quality_cells import QualityCell, quality_cells

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
    quality: tuple[QualityCell, ...] = ()
    """By size of the face and compression, where the predictions tell them."""
    drift: DriftCheck | None = None
    """Whether the thresholds of the model's card hold for these clips; None where the card is not known."""
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
    samples, everything, frames = samples_of(answered), samples_of(pairs), frame_samples(answered)
    level = level_of(samples, METRICS, repeats, seed)
    risk = metrics.risk_coverage(samples.labels, samples.scores)
    return Evaluation(
        about=dict(about or {}),
        seed=seed,
        repeats=repeats,
        answered=level,
        kaggle=level_of(everything, METRICS, repeats, seed) if missing.abstained else level,
        frames=level_of(frames, METRICS, repeats, seed) if len(frames.labels) else None,
        confusion=metrics.confusion(everything.labels.tolist(), [word_of(prediction) for prediction, _ in pairs]),
        slices=tuple(_slices(answered, repeats, seed)),
        roc=_roc(samples),
        calibration_curve=tuple(metrics.calibration_curve(samples.labels, samples.scores)),
        risk_coverage=thinned(risk.coverage, risk.risk),
        histogram=_histogram(samples),
        missing=missing,
        faults=truth.faults,
        notes=tuple(_notes(level, answered, repeated)),
        quality=tuple(quality_cells(answered, repeats, seed)),
    )


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
        words[str(clip.label)].append(word_of(prediction))
    wrong = {
        label: sum(word == other for word in words[label]) / len(words[label]) if words[label] else None
        for label, other in (("real", "fake"), ("fake", "real"))
    }
    return Slice(trait, value, level_of(samples_of(pairs), SLICE_METRICS, repeats, seed), wrong["real"], wrong["fake"])


def _roc(samples: Samples) -> Points:
    if len(set(samples.labels.tolist())) < 2:
        return ()
    curve = metrics.roc_curve(samples.labels, samples.scores)
    return thinned(curve.false_positive_rate, curve.true_positive_rate)


def _histogram(samples: Samples) -> tuple[tuple[int, int], ...]:
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
