"""Calibration that depends on how well a face can be seen.

A model meets a blurred, small or coarsely quantised face with other scores than a face in plain sight, authentic or
not, and tells the two apart less well. Both are measured and undone; with ``logit`` calibrated for faces in plain
sight:

    logit at quality q = (logit - sum of offset_k * lack_k(q)) / (1 + sum of stretch_k * lack_k(q))

where ``lack_k`` counts what a face lacks of a reference in one respect, 0 from the reference on. Offsets and stretches
are 0 or more, so a worse face needs a higher score to look manipulated, and no score of it says as much.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from unmask.types import FaceQuality

Feature = Literal["side", "sharpness", "quantiser"]
FEATURES: tuple[Feature, ...] = get_args(Feature)

Floats = NDArray[np.float64]

_MIN_SHARPNESS = 1e-3


@dataclass(frozen=True, slots=True)
class QualityTerm:
    """What a lack of quality in one respect does to the scores of a model. Part of a model's card."""

    feature: Feature
    """``side`` in pixels, ``sharpness`` as measured, ``quantiser`` as a share of the codec's range."""
    reference: float
    """Value from which on nothing is lacking, above 0."""
    offset: float = 0.0
    """Logits that each unit of lack adds to the point of balance, 0 or more. A unit is a halving of side or sharpness,
    or a tenth of the quantiser's range."""
    stretch: float = 0.0
    """What each unit of lack adds to the temperature, 0 or more."""
    max_lack: float = 3.0
    """Lack beyond this counts as this much, above 0."""

    def __post_init__(self) -> None:
        numbers = (self.reference, self.offset, self.stretch, self.max_lack)
        if not all(map(math.isfinite, numbers)) or min(self.offset, self.stretch) < 0:
            raise ValueError(f"quality term {self.feature}: offset and stretch must be 0 or more, and all finite")
        if self.reference <= 0 or self.max_lack <= 0:
            raise ValueError(f"quality term {self.feature}: reference and max_lack must be above 0")

    def lack(self, qualities: Sequence[FaceQuality]) -> Floats:
        """Return what each of n faces lacks, (n,) in 0..max_lack; 0 where it is not known."""
        values_n = np.array([_value(quality, self.feature) for quality in qualities], np.float64)
        if self.feature == "quantiser":
            lack_n = 10 * (values_n - self.reference)
        else:
            lack_n = np.log2(self.reference / np.maximum(values_n, _MIN_SHARPNESS))
        return np.clip(np.nan_to_num(lack_n, nan=0.0), 0.0, self.max_lack)


def at_quality(logits_n: Floats, qualities: Sequence[FaceQuality], terms: Sequence[QualityTerm]) -> Floats:
    """Return the logits of n faces, calibrated for faces in plain sight, as their quality makes them count."""
    offset_n, stretch_n = _corrections(qualities, terms)
    return (logits_n - offset_n) / stretch_n


def in_plain_sight(logits_n: Floats, qualities: Sequence[FaceQuality], terms: Sequence[QualityTerm]) -> Floats:
    """Undo `at_quality`."""
    offset_n, stretch_n = _corrections(qualities, terms)
    return logits_n * stretch_n + offset_n


def _corrections(qualities: Sequence[FaceQuality], terms: Sequence[QualityTerm]) -> tuple[Floats, Floats]:
    offset_n, stretch_n = np.zeros(len(qualities)), np.ones(len(qualities))
    for term in terms:
        lack_n = term.lack(qualities)
        offset_n += term.offset * lack_n
        stretch_n += term.stretch * lack_n
    return offset_n, stretch_n


def _value(quality: FaceQuality, feature: Feature) -> float:
    value = {"side": quality.side_px, "sharpness": quality.sharpness, "quantiser": quality.quantiser}[feature]
    return math.nan if value is None else value
