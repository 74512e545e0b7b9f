"""Link the faces of a clip to tracks: which face of this frame is which of the last one.

Frames are sampled sparsely, so boxes are matched by overlap after a guess at their motion, or by nearness at
similar size. A track does not go on with a face that looks otherwise, for the case that a cut was not seen, and after a
gap only with one that looks alike. A cut ends all tracks: a person who appears in two shots has two tracks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from unmask.faces.likeness import Look, look_distance
from unmask.types import Face

_MIN_IOU = 0.3
_MAX_DISTANCE = 0.6
"""Max distance of two centres of the same face, in box sides."""
_MAX_SIZE_RATIO = 1.6
_MOTION_SECONDS = 1.0
"""Motion is carried forward over gaps up to this long."""
_GAP_SECONDS = 3.0
"""A face that was missed for longer goes on only where it looks alike."""
_ALIKE = 22.0
"""Largest distance of two faces that look alike, see `unmask.faces.likeness.look_distance`."""
_OTHERWISE = 42.0
"""Smallest distance of two faces that look otherwise, whatever the track did before."""
_JUMP_RATIO = 3.5
"""Beyond `_ALIKE`, a face also looks otherwise when the distance is this many times the track's usual one."""
_USUAL_STEPS = 8


@dataclass(slots=True)
class _Track:
    number: int
    box: NDArray[np.float64]
    time_seconds: float
    velocity: NDArray[np.float64]
    gap_seconds: float
    look: Look | None
    missed: bool = False
    steps: deque[float] = field(default_factory=lambda: deque(maxlen=_USUAL_STEPS))

    def predict(self, time_seconds: float) -> NDArray[np.float64]:
        ahead = time_seconds - self.time_seconds
        if max(ahead, self.gap_seconds) > _MOTION_SECONDS:
            return self.box
        return self.box + np.tile(self.velocity * ahead, 2)


class Tracker:
    """Gives each face of a clip the number of its track. Takes the frames in order of time."""

    def __init__(self) -> None:
        self._tracks: list[_Track] = []
        self._count = self._shot = 0

    def update(
        self, time_seconds: float, faces: Sequence[Face], looks: Sequence[Look | None] = (), shot: int = 0
    ) -> list[int]:
        """Return the number of each face's track, from 1 in order of appearance.

        Args:
            time_seconds: Time of the frame.
            faces: The faces in it.
            looks: How each of them looks, see `unmask.faces.likeness`; None where it is not known, empty for none.
            shot: Number of the shot that the frame lies in.
        """
        if shot != self._shot:
            self._tracks.clear()
            self._shot = shot
        boxes = [np.asarray(face.xyxy_px) for face in faces]
        seen = list(looks) or [None] * len(faces)
        numbers = [0] * len(faces)
        predicted = [track.predict(time_seconds) for track in self._tracks]
        matches = [
            (affinity, t, f)
            for affinity, t, f in _affinities(predicted, boxes)
            if _may_be_one(self._tracks[t], seen[f], time_seconds)
        ]
        taken: set[int] = set()
        for _, t, f in sorted(matches, key=lambda match: (self._tracks[match[1]].missed, -match[0])):
            if t in taken or numbers[f]:
                continue
            taken.add(t)
            numbers[f] = self._tracks[t].number
            _move(self._tracks[t], boxes[f], seen[f], time_seconds)
        for t, track in enumerate(self._tracks):
            track.missed = t not in taken
        for f, box in enumerate(boxes):
            if not numbers[f]:
                self._count += 1
                numbers[f] = self._count
                self._tracks.append(_Track(self._count, box, time_seconds, np.zeros(2), np.inf, seen[f]))
        return numbers


def iou(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return the intersection over union of two xyxy boxes, 0 to 1."""
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    if (sides <= 0).any():
        return 0.0
    overlap = float(sides.prod())
    return overlap / (float((a[2:] - a[:2]).prod()) + float((b[2:] - b[:2]).prod()) - overlap)


def _affinities(
    predicted: Sequence[NDArray[np.float64]], boxes: Sequence[NDArray[np.float64]]
) -> list[tuple[float, int, int]]:
    """Return how well boxes match, more is better, with their places; pairs that cannot be one face are left out."""
    if not predicted or not boxes:
        return []
    a_T4, b_F4 = np.stack(predicted)[:, None], np.stack(boxes)
    a_sides, b_sides = a_T4[..., 2:] - a_T4[..., :2], b_F4[:, 2:] - b_F4[:, :2]
    inside = (np.minimum(a_T4[..., 2:], b_F4[:, 2:]) - np.maximum(a_T4[..., :2], b_F4[:, :2])).clip(0).prod(2)
    overlap_TF = inside / (a_sides.prod(2) + b_sides.prod(1) - inside)
    larger, smaller = (pick(a_sides.max(2), b_sides.max(1)) for pick in (np.maximum, np.minimum))
    apart = (a_T4[..., :2] + a_T4[..., 2:] - b_F4[:, :2] - b_F4[:, 2:]) / 2
    distance_TF = np.hypot(apart[..., 0], apart[..., 1]) / larger
    near = (distance_TF < _MAX_DISTANCE) & (larger < _MAX_SIZE_RATIO * smaller)
    pairs = np.argwhere((overlap_TF >= _MIN_IOU) | near).tolist()
    return [(float(overlap_TF[t, f] - distance_TF[t, f]), t, f) for t, f in pairs]


def _may_be_one(track: _Track, look: Look | None, time_seconds: float) -> bool:
    """Tell whether a face may look like the last one of a track."""
    if look is None or track.look is None:
        return True
    distance = look_distance(look, track.look)
    if track.missed and time_seconds - track.time_seconds > _GAP_SECONDS:
        return distance <= _ALIKE
    usual = float(np.median(track.steps)) if len(track.steps) >= 3 else np.inf
    return distance <= max(_ALIKE, min(_OTHERWISE, _JUMP_RATIO * (usual + 1)))


def _move(track: _Track, box: NDArray[np.float64], look: Look | None, time_seconds: float) -> None:
    gap = max(time_seconds - track.time_seconds, 1e-6)
    track.velocity = ((box[:2] + box[2:]) - (track.box[:2] + track.box[2:])) / 2 / gap
    track.box, track.time_seconds, track.gap_seconds = box, time_seconds, gap
    if look is not None:
        if track.look is not None:
            track.steps.append(look_distance(look, track.look))
        track.look = look
