"""The faults of the challenge winner's released code where they change a number, for those who must repeat his numbers.

    frames      a clip of fewer frames than asked for gives its first frame only; the header's count is believed
    detection   boxes found at half size are doubled, whatever the frame's odd side says
    faces       those beyond the 127th are ignored
    answer      none where there is exactly one face; the challenge's CSV says 0.5 then, as of a video without a face

Source: selimsef/dfdc_deepfake_challenge. Each is one function or constant here, and nothing else knows of it.
A verdict that one of them changed says so in its warnings.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from unmask.faces import Detector, load_detector, scaled_frame
from unmask.media import Video
from unmask.types import DetectorSpec, Face, ImageHW3, Verdict

MOST_FACES = 127
"""The buffer has four places for each of 32 frames, and the last one is never filled."""


def stalled_frames(video: Video, count: int) -> NDArray[np.int64]:
    """Pick floor(linspace(0, N - 1, count)) up to the first index that occurs twice, N being the header's count.

    The reader waits for the same index again, which never comes. Indices of frames that do not exist are left out:
    the reader uses what it has when the file ends.
    """
    claimed = video.facts.frames_claimed or video.facts.frames
    indices = np.linspace(0, claimed - 1, count).astype(np.int64)
    doubles = np.flatnonzero(np.diff(indices) == 0)
    if len(doubles):
        indices = indices[: doubles[0] + 1]
    return indices[indices < len(video.index)]


class HalfSize:
    """Looks for faces in a frame of half size and doubles the boxes."""

    def __init__(self, settings: DetectorSpec) -> None:
        self._settings = settings
        self._detector: Detector = load_detector(replace(settings, scale=1.0))

    def detect(self, image_HW3: ImageHW3) -> list[Face]:
        """Return the faces of an upright RGB frame in its own pixels, largest first."""
        return [_doubled(face) for face in self._detector.detect(scaled_frame(image_HW3, self._settings)[0])]


def _doubled(face: Face) -> Face:
    x1, y1, x2, y2 = face.xyxy_px
    landmarks = None if face.landmarks_px is None else face.landmarks_px * np.float32(2)
    return Face((2 * x1, 2 * y1, 2 * x2, 2 * y2), face.confidence, landmarks)


def restate(verdict: Verdict, frames: int, dropped: int) -> Verdict:
    """Give a verdict the released code's number, and say in its warnings what made it so.

    Args:
        verdict: As it would be.
        frames: How many frames were to be looked at.
        dropped: How many faces came after the 127th.
    """
    warnings, known = [], verdict.media
    if verdict.frames_asked < frames and known is not None and known.frames > 1:
        warnings.append(f"As in the released code, a clip of under {frames} frames is judged by its first one.")
    if dropped:
        warnings.append(f"As in the released code, the last {dropped} faces were ignored: it takes {MOST_FACES}.")
    verdict = replace(verdict, warnings=(*verdict.warnings, *warnings))
    if len(verdict.frames) != 1:
        return verdict
    reason = "Exactly one face was found, of which the released code says nothing but 0.5."
    return replace(verdict, label="inconclusive", fake_probability=None, reasons=(reason,))
