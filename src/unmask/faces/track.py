"""Link the faces of a clip to tracks: which face of this frame is which of the last one.

Frames are sampled sparsely, so boxes are matched by overlap after a guess at their motion, or by nearness at
similar size. A cut ends all tracks: a person who appears in two shots has two tracks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from unmask.types import Face, Frame, ImageHW3

_MIN_IOU = 0.3
_MAX_DISTANCE = 0.6
"""Max distance of two centres of the same face, in box sides."""
_MAX_SIZE_RATIO = 1.6
_MOTION_SECONDS = 1.0
"""Motion is carried forward over gaps up to this long."""
_CUT_DISTANCE = 0.4
"""Colour histograms that differ by more than this share of their mass lie on two sides of a cut."""


@dataclass(slots=True)
class _Track:
    number: int
    box: NDArray[np.float64]
    time_seconds: float
    velocity: NDArray[np.float64]
    gap_seconds: float

    def predict(self, time_seconds: float) -> NDArray[np.float64]:
        ahead = time_seconds - self.time_seconds
        if max(ahead, self.gap_seconds) > _MOTION_SECONDS:
            return self.box
        return self.box + np.tile(self.velocity * ahead, 2)


class Tracker:
    """Gives each face of a clip the number of its track. Takes the frames in order of time."""

    def __init__(self) -> None:
        self._tracks: list[_Track] = []
        self._count = 0
        self._histogram: NDArray[np.float64] | None = None

    def update(self, frame: Frame, faces: Sequence[Face]) -> list[int]:
        """Return the number of each face's track, from 1 in order of appearance."""
        if self._is_cut(frame.image_HW3):
            self._tracks.clear()
        boxes = [np.asarray(face.xyxy_px) for face in faces]
        numbers = [0] * len(faces)
        matches = [
            (affinity, t, f)
            for t, track in enumerate(self._tracks)
            for f, box in enumerate(boxes)
            if (affinity := _affinity(track.predict(frame.time_seconds), box)) is not None
        ]
        taken: set[int] = set()
        for _, t, f in sorted(matches, key=lambda match: -match[0]):
            if t in taken or numbers[f]:
                continue
            taken.add(t)
            numbers[f] = self._tracks[t].number
            _move(self._tracks[t], boxes[f], frame.time_seconds)
        for f, box in enumerate(boxes):
            if not numbers[f]:
                self._count += 1
                numbers[f] = self._count
                self._tracks.append(_Track(self._count, box, frame.time_seconds, np.zeros(2), np.inf))
        return numbers

    def _is_cut(self, image_HW3: ImageHW3) -> bool:
        bins = (_thinned(image_HW3) // 64).reshape(-1, 3) @ np.array([16, 4, 1], np.uint8)
        histogram = np.bincount(bins, minlength=64) / len(bins)
        before, self._histogram = self._histogram, histogram
        return before is not None and float(np.abs(histogram - before).sum()) / 2 > _CUT_DISTANCE


def sketch(frame: Frame) -> Frame:
    """Return the few pixels of a frame that `Tracker.update` looks at, to keep until all frames are there."""
    return replace(frame, image_HW3=_thinned(frame.image_HW3).copy())


def _thinned(image_HW3: ImageHW3) -> ImageHW3:
    """Drop rows and columns at equal distances, so that 64 to 127 pixels are left along the longer side."""
    step = max(1, max(image_HW3.shape[:2]) // 64)
    return image_HW3[::step, ::step]


def iou(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return the intersection over union of two xyxy boxes, 0 to 1."""
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    if (sides <= 0).any():
        return 0.0
    overlap = float(sides.prod())
    return overlap / (float((a[2:] - a[:2]).prod()) + float((b[2:] - b[:2]).prod()) - overlap)


def _affinity(predicted: NDArray[np.float64], box: NDArray[np.float64]) -> float | None:
    """Return how well two boxes match, more is better; None when they cannot be one face."""
    overlap = iou(predicted, box)
    side_a, side_b = float((predicted[2:] - predicted[:2]).max()), float((box[2:] - box[:2]).max())
    distance = float(np.linalg.norm((predicted[:2] + predicted[2:] - box[:2] - box[2:]) / 2)) / max(side_a, side_b)
    near = distance < _MAX_DISTANCE and max(side_a, side_b) < _MAX_SIZE_RATIO * min(side_a, side_b)
    return overlap - distance if overlap >= _MIN_IOU or near else None


def _move(track: _Track, box: NDArray[np.float64], time_seconds: float) -> None:
    gap = max(time_seconds - track.time_seconds, 1e-6)
    track.velocity = ((box[:2] + box[2:]) - (track.box[:2] + track.box[2:])) / 2 / gap
    track.box, track.time_seconds, track.gap_seconds = box, time_seconds, gap
