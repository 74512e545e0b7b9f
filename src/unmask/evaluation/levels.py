"""Measure one set of samples: clips, or faces of frames, each with its source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unmask import metrics
from unmask.errors import UsageError
from unmask.evaluation.labels import LabelledPrediction
from unmask.evaluation.predictions import Prediction
from unmask.report.csv import KAGGLE_UNKNOWN

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


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """n samples."""

    labels: NDArray[np.int64]
    """(n,) 0 real, 1 fake."""
    scores: NDArray[np.float64]
    """(n,) fake probability, 0 to 1."""
    sources: list[str]
    """Source video of each."""


def samples_of(pairs: Sequence[LabelledPrediction]) -> Samples:
    """Return clips as samples; 0.5 stands for no answer."""
    scores = [KAGGLE_UNKNOWN if p.fake_probability is None else p.fake_probability for p, _ in pairs]
    labels = np.array([clip.label == "fake" for _, clip in pairs], np.int64)
    return Samples(labels, np.array(scores, np.float64), [clip.source for _, clip in pairs])


def frame_samples(pairs: Sequence[LabelledPrediction]) -> Samples:
    """Return each judged face of each frame as a sample."""
    rows = [(clip, face.fake_probability) for prediction, clip in pairs for face in prediction.faces]
    labels = np.array([clip.label == "fake" for clip, _ in rows], np.int64)
    return Samples(labels, np.array([p for _, p in rows], np.float64), [clip.source for clip, _ in rows])


def level_of(samples: Samples, measures: Mapping[str, metrics.Metric], repeats: int, seed: int) -> Level:
    """Measure samples, with intervals over their sources where there are both classes and two sources."""
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


def word_of(prediction: Prediction) -> str | None:
    """Return the word of a prediction; where only a number is known, 0.5 and above is fake."""
    if prediction.label is not None or prediction.fake_probability is None:
        return prediction.label
    return "fake" if prediction.fake_probability >= 0.5 else "real"


def thinned(x: metrics.Floats, y: metrics.Floats) -> Points:
    """Return at most `MAX_CURVE_POINTS` points of a curve, its ends among them."""
    chosen = np.unique(np.linspace(0, len(x) - 1, MAX_CURVE_POINTS).round().astype(int))
    return tuple(zip(x[chosen].tolist(), y[chosen].tolist(), strict=True))
