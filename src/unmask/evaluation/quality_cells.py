"""Measure clips by how well their faces can be seen: one cell for each size of the face and each compression."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from unmask import metrics
from unmask.evaluation.labels import LabelledPrediction
from unmask.evaluation.levels import Level, Points, level_of, samples_of, thinned, word_of
from unmask.evaluation.predictions import PredictedFace

SIDES_PX = ((0, 40), (40, 80), (80, 160), (160, np.inf))
"""Bounds of the median side of a clip's faces, in pixels."""
COMPRESSIONS = {"fine": (0.0, 0.5), "middle": (0.5, 0.7), "coarse": (0.7, np.inf)}
"""Name -> bounds of the median quantiser of a clip's frames, as a share of the codec's range; crf 23 is fine."""
UNKNOWN = "not known"
"""Compression of clips whose decoder does not tell the quantiser."""
CELL_METRICS: dict[str, metrics.Metric] = {
    "auc": metrics.roc_auc,
    "calibration_error": metrics.calibration_error,
    "risk_coverage_area": metrics.risk_coverage_area,
    "error": lambda labels, scores: 1 - metrics.accuracy(labels, scores),
}
"""Measures of a cell; ``error`` is that of 0.5 as threshold, the risk at full coverage."""
HALF = 0.5
"""The coverage at which `QualityCell.risk_at_half` is read."""


@dataclass(frozen=True, slots=True)
class QualityCell:
    """The clips whose faces are of one size and compression."""

    side: str
    """Median side of the faces in pixels, e.g. ``80-160``."""
    compression: str
    """Name in `COMPRESSIONS`, or `UNKNOWN`."""
    level: Level
    """`CELL_METRICS`, with intervals."""
    reals_called_fake: float | None
    """Share of its reals, 0 to 1; None without reals."""
    fakes_called_real: float | None
    """Share of its fakes, 0 to 1; None without fakes."""
    risk_at_half: float
    """Share of wrong answers among the surer half of its clips, 0 to 1."""
    risk_coverage: Points
    """(coverage, risk), at most 400 points."""
    calibration_curve: tuple[metrics.CalibrationBin, ...]
    """Probability beside the share of fakes."""


def quality_cells(pairs: Sequence[LabelledPrediction], repeats: int, seed: int) -> Iterator[QualityCell]:
    """Yield the cells that hold clips, the smallest and then the coarsest faces last.

    Args:
        pairs: Answered clips; those without scores of faces whose quality is known are left out.
        repeats: Resamples for each interval.
        seed: Seed of the resamples.
    """
    cells: dict[tuple[int, int], list[LabelledPrediction]] = {}
    for pair in pairs:
        if (place := _place(pair.prediction.faces)) is not None:
            cells.setdefault(place, []).append(pair)
    names = [*COMPRESSIONS, UNKNOWN]
    for (side, compression), own in sorted(cells.items(), key=lambda item: (-item[0][0], item[0][1])):
        yield _cell(_side_name(*SIDES_PX[side]), names[compression], own, repeats, seed)


def _place(faces: Sequence[PredictedFace]) -> tuple[int, int] | None:
    """Return the places of a clip among sides and compressions."""
    known = [face.quality for face in faces if face.quality is not None]
    if not known:
        return None
    side = float(np.median([quality.side_px for quality in known]))
    quantisers = [quality.quantiser for quality in known if quality.quantiser is not None]
    compression = len(COMPRESSIONS)
    if quantisers:
        middle = float(np.median(quantisers))
        compression = next(i for i, (low, high) in enumerate(COMPRESSIONS.values()) if low <= middle < high)
    return next(i for i, (low, high) in enumerate(SIDES_PX) if low <= side < high), compression


def _side_name(low: float, high: float) -> str:
    return f"{low:.0f}-{high:.0f}" if np.isfinite(high) else f"> {low:.0f}"


def _cell(side: str, compression: str, pairs: Sequence[LabelledPrediction], repeats: int, seed: int) -> QualityCell:
    samples = samples_of(pairs)
    risk = metrics.risk_coverage(samples.labels, samples.scores)
    wrong = partial(_called, pairs)
    return QualityCell(
        side,
        compression,
        level_of(samples, CELL_METRICS, repeats, seed),
        wrong("real", "fake"),
        wrong("fake", "real"),
        float(risk.risk[np.searchsorted(risk.coverage, HALF)]),
        thinned(risk.coverage, risk.risk),
        tuple(metrics.calibration_curve(samples.labels, samples.scores)),
    )


def _called(pairs: Sequence[LabelledPrediction], label: str, word: str) -> float | None:
    own = [word_of(prediction) for prediction, truth in pairs if truth.label == label]
    return own.count(word) / len(own) if own else None
