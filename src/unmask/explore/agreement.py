"""Group the faces that several detectors find in a clip, and say which of them are doubtful.

    agreement = Agreement(["mtcnn", "haar"])
    for frame in read_frames(video, wanted):
        agreement.add(frame, {name: detector.detect(frame.image_HW3) for name, detector in detectors.items()})
    for vote in agreement.result():
        vote.votes, [DOUBTS[doubt] for doubt in vote.doubts]

A doubt is a reason to look at a face, not a verdict: each has exceptions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.errors import UsageError
from unmask.faces import crop_face
from unmask.faces.track import iou
from unmask.types import CropSpec, Face, Frame, ImageHW3

Greys = NDArray[np.uint8]

Doubt = Literal["alone", "nested", "torso", "still", "small"]

DOUBTS: dict[Doubt, str] = {
    "alone": "No more than half of the detectors found it.",
    "nested": "It lies inside a larger face.",
    "torso": "It lies below a larger face, where a T-shirt would show it.",
    "still": "It stays in place and unchanged while the video moves: a poster or a screen.",
    "small": "It is much smaller than the faces of this video usually are: a person in the background, or a board.",
}
"""Each doubt in a sentence."""

_SAME_FACE_IOU = 0.3
_SAME_PLACE_IOU = 0.9
_NESTED_SHARE = 0.8
_TORSO_HEIGHTS = (1.0, 4.0)
"""How far below a face, in its heights from centre to centre, a T-shirt shows another."""
_SMALL_SHARE = 0.4
_STILL_FRAMES = 3
_STILL_LEVELS = 2.0
"""Grey levels of 255 by which a poster may change from one sampled frame to the next, on average."""
_MOVING_LEVELS = 0.5
"""Grey levels by which a video changes that is no still itself. One head that moves changes few pixels."""
_PATCH = CropSpec(size_px=32, margin=0)


@dataclass(frozen=True, slots=True)
class Vote:
    """One face in one frame, as several detectors see it."""

    frame_index: int
    """Frame index, see `unmask.types.Frame.index`."""
    time_seconds: float
    """Time since the first frame."""
    faces: dict[str, Face]
    """Detector -> what it found, in the order of the detectors."""
    votes: int
    """Number of detectors that found it, at least 1."""
    doubts: tuple[Doubt, ...] = ()
    """Why it may be no face of a person present, words of `DOUBTS`."""

    @property
    def face(self) -> Face:
        """The box that stands for all: that of the first detector that found it."""
        return next(iter(self.faces.values()))


class Agreement:
    """Collects the detections of one clip, frame by frame in order of time.

    It keeps boxes and images of 32 x 32 pixels, no frames.
    """

    def __init__(self, detectors: Sequence[str]) -> None:
        """Name the detectors, the most trusted first: of the boxes in a group, its box stands for all."""
        self._detectors = tuple(detectors)
        self._votes: list[Vote] = []
        self._posters: list[_Poster] = []
        self._whole: Greys | None = None
        self._changes: list[float] = []

    def add(self, frame: Frame, faces_by_detector: Mapping[str, Sequence[Face]]) -> None:
        """Add what each detector found in a frame; an empty sequence where it found nothing.

        Raises:
            UsageError: These are not the detectors that were named.
        """
        if set(faces_by_detector) != set(self._detectors):
            raise UsageError(f"got the faces of {sorted(faces_by_detector)}, need those of {sorted(self._detectors)}")
        faces = [face for found in faces_by_detector.values() for face in found]
        whole = _greys(cv2.resize(frame.image_HW3, (_PATCH.size_px,) * 2, interpolation=cv2.INTER_AREA))
        if self._whole is None:
            self._posters = [_Poster(face, _patch(frame, face)) for face in faces]
        else:
            self._changes.append(_difference(self._whole, whole))
            self._posters = [poster for poster in self._posters if poster.is_seen_again(frame, faces)]
        self._whole = whole
        self._votes += [
            Vote(frame.index, frame.time_seconds, group, len(group))
            for group in _group(self._detectors, faces_by_detector)
        ]

    def result(self) -> list[Vote]:
        """Return one vote for each face in each frame, in order of time."""
        if not self._votes:
            return []
        median_px = float(np.median([vote.face.side_px for vote in self._votes]))
        enough = len(self._changes) + 1 >= _STILL_FRAMES
        posters = self._posters if enough and np.mean(self._changes) > _MOVING_LEVELS else []
        by_frame: dict[int, list[Face]] = {}
        for vote in self._votes:
            by_frame.setdefault(vote.frame_index, []).append(vote.face)

        def doubts(vote: Vote) -> tuple[Doubt, ...]:
            face, others = vote.face, by_frame[vote.frame_index]
            signs: dict[Doubt, bool] = {
                "alone": len(self._detectors) > 1 and 2 * vote.votes <= len(self._detectors),
                "nested": any(_is_nested(face, other) for other in others),
                "torso": any(_is_on_torso(face, other) for other in others),
                "still": any(poster.is_at(found) for poster in posters for found in vote.faces.values()),
                "small": face.side_px < _SMALL_SHARE * median_px,
            }
            return tuple(doubt for doubt, shows in signs.items() if shows)

        return [replace(vote, doubts=doubts(vote)) for vote in self._votes]


@dataclass(slots=True)
class _Poster:
    """A box of the first frame that has looked the same, and held a face, in every frame since."""

    face: Face
    greys: Greys

    def is_at(self, face: Face) -> bool:
        return _iou(self.face, face) >= _SAME_PLACE_IOU

    def is_seen_again(self, frame: Frame, faces: Sequence[Face]) -> bool:
        """Compare the place of the first box, since the jitter of later boxes would look like a change."""
        before, self.greys = self.greys, _patch(frame, self.face)
        return any(self.is_at(face) for face in faces) and _difference(before, self.greys) < _STILL_LEVELS


def _group(detectors: Sequence[str], faces_by_detector: Mapping[str, Sequence[Face]]) -> list[dict[str, Face]]:
    """Gather boxes that overlap the first box of a group: greedily, each detector at most once in a group."""
    groups: list[dict[str, Face]] = []
    for name in detectors:
        for face in sorted(faces_by_detector[name], key=lambda face: -face.confidence):
            free = [group for group in groups if name not in group]
            best = max(free, key=lambda group: _iou(_first_face(group), face), default=None)
            if best is not None and _iou(_first_face(best), face) >= _SAME_FACE_IOU:
                best[name] = face
            else:
                groups.append({name: face})
    return groups


def _first_face(group: Mapping[str, Face]) -> Face:
    return next(iter(group.values()))


def _is_nested(face: Face, other: Face) -> bool:
    """Tell whether most of a face lies inside another, larger one."""
    x1, y1, x2, y2 = face.xyxy_px
    left, top, right, bottom = other.xyxy_px
    inside = max(0.0, min(x2, right) - max(x1, left)) * max(0.0, min(y2, bottom) - max(y1, top))
    return _area(other) > _area(face) and inside >= _NESTED_SHARE * _area(face)


def _is_on_torso(face: Face, other: Face) -> bool:
    """Tell whether a face lies where a person with another, larger face has their chest or belly."""
    x1, y1, x2, y2 = face.xyxy_px
    left, top, right, bottom = other.xyxy_px
    sideways = abs((x1 + x2) - (left + right)) / 2 / (right - left)
    downward = ((y1 + y2) - (top + bottom)) / 2 / (bottom - top)
    return _area(other) > _area(face) and sideways <= 1 and _TORSO_HEIGHTS[0] <= downward <= _TORSO_HEIGHTS[1]


def _area(face: Face) -> float:
    x1, y1, x2, y2 = face.xyxy_px
    return (x2 - x1) * (y2 - y1)


def _iou(a: Face, b: Face) -> float:
    return iou(np.asarray(a.xyxy_px), np.asarray(b.xyxy_px))


def _patch(frame: Frame, face: Face) -> Greys:
    return _greys(crop_face(frame.image_HW3, face, _PATCH))


def _greys(image_HW3: ImageHW3) -> Greys:
    return cv2.cvtColor(image_HW3, cv2.COLOR_RGB2GRAY)


def _difference(a: Greys, b: Greys) -> float:
    """Return the mean absolute difference in grey levels of 255."""
    return float(cv2.absdiff(a, b).mean())
