"""Who was seen in a video and cannot be judged: too briefly, too small, too blurred, or not moving.

A clip is not called real while such a person is in it, with one exception: the background of a crowd. A face that is
both below the model's least side and below `NEGLIGIBLE_SHARE` of the largest judged face says nothing about who the
clip is about; it is counted in a warning. What the detector saw in a single frame does not count either, where it was
small or the detector unsure: that is more often a pattern than a person.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from unmask.models import Card
from unmask.types import FaceQuality, ScoredFace, UnjudgedPerson, WhyUnjudged

NEGLIGIBLE_SHARE = 1 / 3
"""Share of the side of the largest judged face below which a small face is background."""
SURE_CONFIDENCE = 0.99
"""A face seen in one frame only counts as a person from this confidence of the detector on."""


@dataclass(frozen=True, slots=True)
class SmallFace:
    """A face that is too small to be judged."""

    person: int
    """Number of the person, from 1."""
    time_seconds: float
    """Time since the first frame."""
    side_px: float
    """Longer side of its box in pixels."""


def median_quality(group: Sequence[ScoredFace]) -> FaceQuality:
    """Return the median of each measure over the faces of one person; of motion over the known ones."""
    qualities = [face.quality for face in group]

    def median(values: list[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return float(np.median(known)) if known else None

    return FaceQuality(
        side_px=float(np.median([quality.side_px for quality in qualities])),
        sharpness=float(np.median([quality.sharpness for quality in qualities])),
        confidence=float(np.median([quality.confidence for quality in qualities])),
        motion=median([quality.motion for quality in qualities]),
        quantiser=median([quality.quantiser for quality in qualities]),
    )


def find_unjudged(
    people: Mapping[int, Sequence[ScoredFace]], small: Sequence[SmallFace], still: Collection[int], card: Card
) -> tuple[UnjudgedPerson, ...]:
    """Return who cannot be judged, in order of their numbers.

    Args:
        people: Number of each person -> scored faces in order of time.
        small: Faces that are too small, in order of time.
        still: Numbers of the people who never move.
        card: The first model's.
    """
    found = []
    for person, group in people.items():
        why = _why_unjudged(group, person in still, card)
        if why is not None:
            is_sure = len(group) > 1 or group[0].face.confidence >= SURE_CONFIDENCE
            sides = [face.face.side_px for face in group]
            times = [face.time_seconds for face in group]
            found.append(UnjudgedPerson(person, why, times[0], times[-1], len(group), max(sides), is_sure))
    largest = max((face.face.side_px for group in people.values() for face in group), default=0.0)
    small_of: dict[int, list[SmallFace]] = {}
    for face in small:
        if face.person not in people:
            small_of.setdefault(face.person, []).append(face)
    for person, faces in small_of.items():
        side = max(face.side_px for face in faces)
        matters = len(faces) > 1 and side >= NEGLIGIBLE_SHARE * largest
        first, last = faces[0].time_seconds, faces[-1].time_seconds
        found.append(UnjudgedPerson(person, "small", first, last, len(faces), side, matters))
    return tuple(sorted(found, key=lambda each: each.person))


def _why_unjudged(group: Sequence[ScoredFace], is_still: bool, card: Card) -> WhyUnjudged | None:
    if median_quality(group).sharpness < card.floor.sharpness:
        return "blurred"
    if len(group) < card.fusion.min_frames:
        return "brief"
    return "still" if is_still else None
