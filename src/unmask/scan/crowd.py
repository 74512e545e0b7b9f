"""Bound what the faces of one file may cost: a frame can show thousands, and a few kilobytes can hold many frames.

The largest faces of a frame are judged. Who is left out is counted, and a clip is not called real while somebody who
is not far smaller than the others was left out.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.errors import TimedOutError
from unmask.faces import Detector, detect_around, detect_large, detect_near
from unmask.scan.decide import Judgement
from unmask.scan.unjudged import NEGLIGIBLE_SHARE
from unmask.sentences import coded
from unmask.types import Face, ImageHW3

MAX_FACES_A_FRAME = 32
MAX_FACES_A_FILE, FACES_BEYOND = 2048, 8
"""Once as many faces of a file were admitted as the former says, the latter are of each further frame."""
_FRAMES_IN_TIME = 128
"""Frames in which faces are looked for within `unmask.media.Limits.seconds` of CPU time; it grows with more."""

_LIKE = 40.0
"""By how many of 255 levels two frames in small differ at most that are alike."""
_GROWN, _MOVED = 1.6, 2.5
"""Times that a face grows, and sides that it moves, at most, from one of two frames to the other."""
_MOST_NEAR = 7
"""Frames in a row in which faces are only looked for where they were."""

_CROWD_SECONDS = 6.0, 2.0
"""CPU time for looking at a crowd, and for each second of its film: the rest of what a bad file may cost is judging."""


def in_small(image_HW3: ImageHW3) -> NDArray[np.float32]:
    """Return a frame in 16 by 9 blocks, (9, 16, 3), to compare it with others."""
    step = max(1, min(image_HW3.shape[0] // 90, image_HW3.shape[1] // 160))
    return cv2.resize(image_HW3[::step, ::step], (16, 9), interpolation=cv2.INTER_AREA).astype(np.float32)


def are_alike(some: NDArray[np.float32], others: NDArray[np.float32], most_levels: float) -> bool:
    """Return whether two frames in small differ by less than so many of 255 levels in the mean."""
    return float(np.abs(some - others).mean()) < most_levels


def pairs_of(some: Sequence[Face], others: Sequence[Face]) -> list[tuple[Face, Face]] | None:
    """Return the faces of two frames in pairs that may be one person each; None where one has no counterpart."""
    left, pairs = list(others), list[tuple[Face, Face]]()
    for face in some:
        near = [other for other in left if _may_be_one(face, other)]
        if not near:
            return None
        pairs.append((face, min(near, key=partial(_apart_px, face))))
        left.remove(pairs[-1][1])
    return None if left else pairs


def _apart_px(face: Face, other: Face) -> float:
    (a1, b1, a2, b2), (c1, d1, c2, d2) = face.xyxy_px, other.xyxy_px
    return max(abs(a1 + a2 - c1 - c2), abs(b1 + b2 - d1 - d2)) / 2


def _may_be_one(face: Face, other: Face) -> bool:
    small, large = sorted((face.side_px, other.side_px))
    return large <= _GROWN * small and _apart_px(face, other) <= _MOVED * large


class Crowd:
    """Looks for the faces of one file, and bounds their number and the time that finding them takes."""

    def __init__(self, detector: Detector, seconds: float, duration_seconds: float) -> None:
        """Start without frames.

        Args:
            detector: Finds the faces.
            seconds: CPU time that looking for them may take.
            duration_seconds: Of the film; the time that a crowd gets grows with it.
        """
        self.left_out = 0
        """Faces that are not judged since there are too many."""
        self.frames = 0
        """Frames in which faces were left out."""
        self.matters = False
        """Whether a frame shows more than are ever judged, and the next one is not far smaller than the largest."""
        self.not_searched = 0
        """Frames that were not searched, since those before them took too long."""
        self._detector, self._seconds = detector, seconds
        self._crowd_seconds = min(seconds, _CROWD_SECONDS[0] + _CROWD_SECONDS[1] * duration_seconds)
        self._looked, self._admitted, self._used_seconds = 0, 0, 0.0
        self.found: Sequence[Face] = ()
        """All faces of the last frame, also those that are not judged."""
        self._searched: NDArray[np.float32] | None = None  # the last frame that was searched, in small
        self._near = 0  # frames since then

    def look(
        self, image_HW3: ImageHW3, least_side_px: float = 0.0, between: Sequence[tuple[Face, Face]] | None = None
    ) -> list[Face]:
        """Return the faces of a frame that are judged, in the order in which they are found.

        Args:
            image_HW3: The frame.
            least_side_px: See `unmask.faces.detect_large`. Where it is above 0, and the picture is like the last one
                that was searched, faces as large are looked for where they were; so somebody who is new is missed.
            between: Where each face was in a frame before and in one after, see `pairs_of`: small faces are looked for
                there, see `unmask.faces.detect_around`, and everywhere where another number is found. None looks for
                all everywhere.

        Raises:
            TimedOutError: Looking for faces takes too long in this file.
        """
        if self.left_out and self._used_seconds > self._crowd_seconds:
            self.not_searched += 1
            self.matters = True
            self.found = ()
            return []
        started = time.thread_time()
        faces = self._find(image_HW3, least_side_px) if between is None else self._between(image_HW3, between)
        self._used_seconds += time.thread_time() - started
        self._looked += 1
        if self._used_seconds > self._seconds * max(1.0, self._looked / _FRAMES_IN_TIME):
            raise TimedOutError(
                f"looking for faces took {self._used_seconds:.0f} seconds of CPU time in {self._looked} frames, more "
                "than the limits allow; see --limits seconds="
            )
        self.found = faces
        return self._admit(faces)

    def _find(self, image_HW3: ImageHW3, least_side_px: float) -> list[Face]:
        small, faces = in_small(image_HW3), None
        if least_side_px > 0 and self._near < _MOST_NEAR and self._is_like(small):
            large = [face for face in self.found if face.side_px >= least_side_px]
            faces = detect_near(self._detector, image_HW3, large)
        if faces is None:
            faces, self._searched, self._near = detect_large(self._detector, image_HW3, least_side_px), small, -1
        self._near += 1
        return faces

    def _between(self, image_HW3: ImageHW3, pairs: Sequence[tuple[Face, Face]]) -> list[Face]:
        faces = detect_around(self._detector, image_HW3, pairs)
        return faces if len(faces) == len(pairs) else self._detector.detect(image_HW3)

    def _is_like(self, small: NDArray[np.float32]) -> bool:
        return self._searched is not None and are_alike(small, self._searched, _LIKE)

    def _admit(self, faces: Sequence[Face]) -> list[Face]:
        most = MAX_FACES_A_FRAME if self._admitted < MAX_FACES_A_FILE else FACES_BEYOND
        self._admitted += min(len(faces), most)
        if len(faces) <= most:
            return list(faces)
        order = sorted(range(len(faces)), key=lambda i: -faces[i].side_px)
        self.left_out += len(faces) - most
        self.frames += 1
        if len(faces) > MAX_FACES_A_FRAME:
            next_px = faces[order[MAX_FACES_A_FRAME]].side_px
            self.matters |= next_px >= NEGLIGIBLE_SHARE * faces[order[0]].side_px
        return [faces[i] for i in sorted(order[:most])]

    def warnings(self) -> tuple[str, ...]:
        """Say how many were left out."""
        if not self.left_out:
            return ()
        stopped = (
            f" {self.not_searched} frames were not searched, since a crowd takes long." if self.not_searched else ""
        )
        frames = f"{self.frames} frame{'s' * (self.frames != 1)}"
        most = f"at most {MAX_FACES_A_FRAME}, and {FACES_BEYOND} once {MAX_FACES_A_FILE} of the file were"
        return (f"{self.left_out} faces in {frames} were not judged: the largest of each frame are, {most}.{stopped}",)

    def limit(self, judgement: Judgement | None) -> Judgement | None:
        """Return a judgement that calls nothing real while somebody who matters was left out."""
        if judgement is None or judgement.label != "real" or not self.matters:
            return judgement
        reason = (
            f"Nothing looks manipulated in the faces that were judged, but {self.left_out} smaller ones were left out. "
            "Cut the frames, or the film, to whom it is about."
        )
        told = coded("crowd_left_out", reason, faces=self.left_out)
        return replace(judgement, label="inconclusive", reasons=(told, *judgement.reasons))
