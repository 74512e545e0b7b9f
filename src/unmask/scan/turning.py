"""Find out which way up a video is that lost the note of its rotation.

A face detector hardly finds faces that lie on their side, and is less sure of those it finds. So nothing is tried while
upright faces are found with the usual confidence; else a few small frames are searched in all four orientations.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.faces import Detector
from unmask.media import Video
from unmask.media.signature import SignatureLog
from unmask.sentences import Sentence, coded
from unmask.types import Face, Frame, ImageHW3

Turn = Literal[0, 90, 180, 270]
"""Degrees counter-clockwise by which a frame is turned to be upright."""
TURNS: tuple[Turn, ...] = (0, 90, 180, 270)

TRIED_FRAMES = 4
"""Frames that are kept, small, to be tried."""
TRIED_LONGER_PX = 320
USUAL_CONFIDENCE = 0.999
"""Where the largest faces of half of the frames have this confidence, the video is upright."""
_CLEARLY = 2.0
"""Mean log odds by which an orientation must be better than the one the file states."""
_MAX_CONFIDENCE = 1 - 1e-4
_CODES = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}


def looks_upright(faces_of_frames: Sequence[Sequence[Face]]) -> bool:
    """Say whether the faces that were found leave no doubt about which way up a video is.

    Args:
        faces_of_frames: The faces of each frame that was searched.
    """
    found = sorted(_confidence(faces) for faces in faces_of_frames)
    return bool(found) and found[len(found) // 2] >= USUAL_CONFIDENCE


class TriedFrames:
    """Keeps a few frames in small while a video is looked at, so that no frame is decoded again to be tried."""

    def __init__(self) -> None:
        self.images: list[ImageHW3] = []
        """The frames, small, in order of time."""
        self._wanted: list[int] | None = None

    def expect(self, indices: NDArray[np.int64]) -> None:
        """Choose from the frames that will be looked at, (n,) rising indices; what is looked at later is not kept."""
        if self._wanted is None:
            places = np.linspace(0, len(indices) - 1, min(TRIED_FRAMES, len(indices))).astype(int)
            self._wanted = indices[places].tolist()

    def add(self, frame: Frame) -> None:
        """Keep a frame if it is one of those, or stands in for one that cannot be decoded."""
        if self._wanted and frame.index >= self._wanted[0]:
            self._wanted = [index for index in self._wanted if index > frame.index]
            self.images.append(small_frame(frame.image_HW3))


def small_frame(image_HW3: ImageHW3) -> ImageHW3:
    """Return a frame as it is tried: at most `TRIED_LONGER_PX` along its longer side."""
    scale = TRIED_LONGER_PX / max(image_HW3.shape[:2])
    if scale >= 1:
        return image_HW3
    height, width = (max(1, round(side * scale)) for side in image_HW3.shape[:2])
    return cv2.resize(image_HW3, (width, height), interpolation=cv2.INTER_AREA)


def find_turn(frames: Sequence[ImageHW3], detector: Detector) -> Turn:
    """Return the turn under which the faces of a few small frames are found best; 0 unless another is clearly better.

    Args:
        frames: A few frames, see `small_frame`.
        detector: Looks for the faces.
    """
    scores = {
        turn: float(np.mean([_log_odds(detector.detect(turned(image_HW3, turn))) for image_HW3 in frames]))
        for turn in TURNS
    }
    best = max(TURNS, key=lambda turn: scores[turn])
    return best if scores[best] > scores[0] + _CLEARLY else 0


def turned(image_HW3: ImageHW3, turn: Turn) -> ImageHW3:
    """Turn a frame counter-clockwise."""
    return image_HW3 if turn == 0 else cv2.rotate(image_HW3, _CODES[turn])


def turned_video(video: Video, turn: Turn) -> Video:
    """Return a video whose frames are turned."""

    def decode(indices: NDArray[np.int64], log: SignatureLog | None = None) -> Iterator[Frame]:
        for frame in video.decode(indices, log):
            yield replace(frame, image_HW3=turned(frame.image_HW3, turn))

    return replace(video, decode=decode)


def turn_warnings(turn: int) -> tuple[str, ...]:
    """Say that a video was turned."""
    if not turn:
        return ()
    how = f"it was turned by {turn} degrees counter-clockwise for this scan"
    return (f"The faces do not stand upright, and the file does not say how to turn it: {how}.",)


def no_face_reason(frames: int, *, is_picture: bool = False) -> Sentence:
    """Say that no face was found, and what to do if there is one."""
    if is_picture:
        text = (
            "No face was found in the picture. If there is one: turn it upright, or find a copy of higher resolution."
        )
        return coded("no_face_in_picture", text)
    text = (
        f"No face was found in {frames} frame{'s' * (frames != 1)}. If there is one: turn the video upright, find a "
        "copy of higher resolution, or look at more frames (--frames 96)."
    )
    return coded("no_face", text, frames=frames)


def _confidence(faces: Sequence[Face]) -> float:
    """Return the confidence of the largest face, 0 where there is none."""
    largest = max(faces, key=lambda face: face.side_px, default=None)
    return 0.0 if largest is None else largest.confidence


def _log_odds(faces: Sequence[Face]) -> float:
    """Return how sure the detector is of the largest face; 0 where it is not, or finds none."""
    confidence = min(_confidence(faces), _MAX_CONFIDENCE)
    return max(0.0, math.log(confidence / (1 - confidence))) if confidence > 0 else 0.0
