"""Measure one model on one dataset: the measures of `unmask.evaluation`, and those of the card's thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from unmask import metrics
from unmask.bench.protocol import predictions_hash, protocol_hash
from unmask.errors import UsageError
from unmask.evaluation import (
    Evaluation,
    LabelledPrediction,
    Labels,
    PredictedFace,
    Prediction,
    evaluate,
    label_predictions,
)
from unmask.evaluation.levels import Score

_WORDS = {"real": 0.0, "inconclusive": 0.5, "fake": 1.0}
"""How the words of verdicts stand among scores."""


@dataclass(frozen=True, slots=True)
class Result:
    """One model on one dataset."""

    model: str
    """Name of the model."""
    dataset: str
    """Name of the dataset."""
    evaluation: Evaluation | None
    """All measures; None where no clip was answered."""
    decided: Score
    """Share of the answered clips that are called real or fake, with its interval."""
    accuracy_of_decided: Score
    """Share of right answers among those, at the card's thresholds."""
    protocol: dict[str, Any]
    """What the numbers depend on."""
    protocol_hash: str
    """Stands for ``protocol``: who has the same hash has done the same."""
    predictions_hash: str
    """Stands for the answers: the same protocol has to give the same."""
    statuses: Mapping[str, int]
    """Status -> clips, e.g. ``no_face``; empty where only numbers are known."""

    def score(self, level: str, measure: str) -> Score:
        """Return a measure of the ``video`` or ``frame`` level; an empty one where it is not known."""
        if self.evaluation is None:
            return Score(None)
        found = self.evaluation.answered if level == "video" else self.evaluation.frames
        return Score(None) if found is None else found.scores[measure]

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON-ready values."""
        return asdict(self)


def measure(
    model: str,
    dataset: str,
    predictions: Sequence[Prediction],
    labels: Labels,
    protocol: dict[str, Any],
    *,
    statuses: Mapping[str, int] | None = None,
    repeats: int = 1000,
    seed: int = 0,
) -> Result:
    """Measure the predictions of one model about one dataset.

    Args:
        model: Name of the model.
        dataset: Name of the dataset.
        predictions: One for each clip.
        labels: What is true of the clips.
        protocol: See `unmask.bench.protocol`.
        statuses: Status -> clips.
        repeats: Resamples for each interval.
        seed: Seed of the resamples.
    """
    single = [replace(item, faces=largest_faces(item.faces)) for item in predictions]
    pairs, _ = label_predictions(single, labels)
    evaluation = None
    if any(pair.prediction.fake_probability is not None for pair in pairs):
        about = {"model": model, "dataset": dataset}
        evaluation = evaluate(single, labels, repeats=repeats, seed=seed, about=about)
    decided, right = _at_thresholds(pairs, repeats, seed)
    return Result(
        model, dataset, evaluation, decided, right, protocol, protocol_hash(protocol), predictions_hash(predictions),
        dict(statuses or {}),
    )  # fmt: skip


def largest_faces(faces: Sequence[PredictedFace]) -> tuple[PredictedFace, ...]:
    """Return the largest face of each frame: the one that the field's tables judge."""
    largest: dict[int, PredictedFace] = {}
    for face in faces:
        if face.frame not in largest or face.side_px > largest[face.frame].side_px:
            largest[face.frame] = face
    return tuple(largest.values())


def _at_thresholds(pairs: Sequence[LabelledPrediction], repeats: int, seed: int) -> tuple[Score, Score]:
    """Return how many clips the words of the verdicts decide, and how many of those rightly."""
    spoken = [(prediction, truth) for prediction, truth in pairs if prediction.label is not None]
    if not spoken:
        return Score(None), Score(None)
    labels = np.array([truth.label == "fake" for _, truth in spoken], np.int64)
    words = np.array([_WORDS[str(prediction.label)] for prediction, _ in spoken])
    sources = [truth.source for _, truth in spoken]
    measures: dict[str, metrics.Metric] = {"decided": _decided, "right": _right_of_decided}
    intervals: dict[str, metrics.Interval] = {}
    if len(set(labels.tolist())) == 2 and len(set(sources)) > 1 and _decided(labels, words) > 0:
        with suppress(UsageError):  # of few sources no resample held both classes
            intervals = metrics.bootstrap_intervals(measures, labels, words, sources, repeats, seed)
    found = []
    for name, function in measures.items():
        value, interval = function(labels, words), intervals.get(name)
        none = not np.isfinite(value)
        bounds = (interval.low, interval.high) if interval and np.isfinite([interval.low, interval.high]).all() else ()
        found.append(Score(None) if none else Score(value, *bounds))
    return found[0], found[1]


def _decided(_: ArrayLike, words: ArrayLike) -> float:
    return float((np.asarray(words) != _WORDS["inconclusive"]).mean())


def _right_of_decided(labels: ArrayLike, words: ArrayLike) -> float:
    truth, said = np.asarray(labels), np.asarray(words)
    chosen = said != _WORDS["inconclusive"]
    return float((said[chosen] == truth[chosen]).mean()) if chosen.any() else float("nan")
