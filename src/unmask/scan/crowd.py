"""Bound what the faces of one file may cost: a frame can show thousands, and a few kilobytes can hold many frames.

The largest faces of a frame are judged. Who is left out is counted, and a clip is not called real while somebody who
is not far smaller than the others was left out.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from unmask.errors import TimedOutError
from unmask.faces import Detector
from unmask.scan.decide import Judgement
from unmask.scan.unjudged import NEGLIGIBLE_SHARE
from unmask.types import Face, ImageHW3

MAX_FACES_A_FRAME = 32
MAX_FACES_A_FILE = 1024
"""Faces that are judged; of a reading of very many frames, `MIN_FACES_A_FRAME` of each all the same."""
MIN_FACES_A_FRAME = 4
_FRAMES_IN_TIME = 64
"""Frames in which faces are looked for within `unmask.media.Limits.seconds` of CPU time; it grows with more."""


class Crowd:
    """Looks for the faces of one file, and bounds their number and the time that finding them takes."""

    def __init__(self, detector: Detector, seconds: float) -> None:
        """Start without frames.

        Args:
            detector: Finds the faces.
            seconds: CPU time that looking for them may take.
        """
        self.left_out = 0
        """Faces that are not judged since a frame showed too many."""
        self.frames = 0
        """Frames in which faces were left out."""
        self.matters = False
        """Whether one of them is not far smaller than the largest face of its frame."""
        self._detector, self._seconds = detector, seconds
        self._looked, self._admitted, self._used_seconds = 0, 0, 0.0

    def look(self, image_HW3: ImageHW3, frames_left: int) -> list[Face]:
        """Return the faces of a frame that are judged.

        Args:
            image_HW3: The frame.
            frames_left: Frames that are still to come at least, this one included.

        Raises:
            TimedOutError: Looking for faces takes too long in this file.
        """
        started = time.thread_time()
        faces = self._detector.detect(image_HW3)
        self._used_seconds += time.thread_time() - started
        self._looked += 1
        if self._used_seconds > self._seconds * max(1.0, self._looked / _FRAMES_IN_TIME):
            raise TimedOutError(
                f"looking for faces took {self._used_seconds:.0f} seconds of CPU time in {self._looked} frames, more "
                "than the limits allow; see --limits seconds="
            )
        return self._admit(faces, frames_left)

    def _admit(self, faces: Sequence[Face], frames_left: int) -> list[Face]:
        share = (MAX_FACES_A_FILE - self._admitted) // max(1, frames_left)
        share = min(MAX_FACES_A_FRAME, max(MIN_FACES_A_FRAME, share))
        if len(faces) <= share:
            self._admitted += len(faces)
            return list(faces)
        order = sorted(range(len(faces)), key=lambda i: -faces[i].side_px)
        self.left_out += len(faces) - share
        self.frames += 1
        self.matters |= faces[order[share]].side_px >= NEGLIGIBLE_SHARE * faces[order[0]].side_px
        self._admitted += share
        return [faces[i] for i in sorted(order[:share])]

    def warnings(self) -> tuple[str, ...]:
        """Say how many were left out."""
        if not self.left_out:
            return ()
        most = f"at most {MAX_FACES_A_FRAME}, and about {MAX_FACES_A_FILE} of a file"
        frames = f"{self.frames} frame{'s' * (self.frames != 1)}"
        return (f"{self.left_out} faces in {frames} were not judged: the largest of each are, {most}.",)

    def limit(self, judgement: Judgement | None) -> Judgement | None:
        """Return a judgement that calls nothing real while somebody who matters was left out."""
        if judgement is None or judgement.label != "real" or not self.matters:
            return judgement
        reason = (
            f"Nothing looks manipulated in the faces that were judged, but {self.left_out} smaller ones were left out. "
            "Cut the frames, or the film, to whom it is about."
        )
        return replace(judgement, label="inconclusive", reasons=(reason, *judgement.reasons))
