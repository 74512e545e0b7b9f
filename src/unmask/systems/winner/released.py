"""The faults of the winner's released code where they change a number, for users who must repeat its numbers.

    frames      a clip of fewer frames than asked for gives its first frame only; the header's count is believed
    detection   boxes found at half size are doubled, whatever the frame's odd side says
    faces       those beyond the 127th are ignored
    answer      none where there is exactly one face; the challenge's CSV says 0.5 then, as of a video without a face

Broken frames are no fault of this kind: OpenCV's decoder conceals them, and the released code judged what it showed.
Here they are left out, or the next whole frame takes their place, and the verdict says so.

`ReleasedScanner` is a `Scanner` in which these parts are replaced. A verdict that one of them changed says so.

Source: https://github.com/selimsef/dfdc_deepfake_challenge
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from unmask.errors import UsageError
from unmask.faces import Detector, load_detector, scaled_frame
from unmask.media import Video
from unmask.scan.options import ScanOptions
from unmask.scan.sampler import Sampler
from unmask.scan.scanner import Scanner
from unmask.scan.stop import FullScan, Progress, StopRule
from unmask.sentences import coded
from unmask.types import DetectorSpec, Face, ImageHW3, Verdict

MAX_FACES = 127
"""The buffer has four places for each of 32 frames, and the last one is never filled."""


class ReleasedScanner(Scanner):
    """Judges videos with the faults of the winner's released code."""

    max_faces = MAX_FACES
    finds_lost_turns = False

    def make_sampler(self, options: ScanOptions) -> Sampler:
        """Return the sampler that stalls at the first index that occurs twice."""
        return StalledSampler(options.frames)

    def make_detector(self, spec: DetectorSpec) -> Detector:
        """Return the detector that doubles boxes."""
        return HalfSizeDetector(spec)

    def make_stop_rule(self, options: ScanOptions) -> StopRule:
        """Refuse to stop early.

        Raises:
            UsageError: The scan shall be adaptive.
        """
        if options.adaptive:
            raise UsageError("an exact scan looks at everything; leave out adaptive, or use the preset winner")
        return FullScan()

    def min_decoded(self, asked: int) -> int:  # noqa: ARG002 - the same for any number
        """Return 1: the released code judges whatever could be decoded."""
        return 1

    def conclude(self, video: Video, draft: Verdict, progress: Progress) -> Verdict:
        """Put the judgement into words, and say which faults changed it."""
        verdict, frames = super().conclude(video, draft, progress), self.options.frames
        warnings = list(verdict.warnings)
        if verdict.frames_asked < frames and video.facts.frames > 1:
            warnings.append(f"As in the released code, a clip of under {frames} frames is judged by its first one.")
        if progress.dropped_faces:
            ignored = f"the last {progress.dropped_faces} faces were ignored: it takes {MAX_FACES}"
            warnings.append(f"As in the released code, {ignored}.")
        moved = {frame.index for frame in verdict.frames} - set(progress.wanted.tolist())
        if moved or not progress.is_whole:
            warnings.append(
                "The released code judged what its decoder showed in place of broken frames; here they are left out, "
                "or the next whole frame takes their place, so its number may be another one."
            )
        verdict = replace(verdict, warnings=tuple(warnings))
        if len(verdict.frames) != 1:
            return verdict
        reason = "Exactly one face was found, and the released code gives no score for a single face."
        told = coded("single_face", reason)
        return replace(verdict, label="inconclusive", fake_probability=None, reasons=(told,))


@dataclass(frozen=True, slots=True)
class StalledSampler:
    """Picks floor(linspace(0, N - 1, frames)) up to the first index that occurs twice, N being the header's count.

    The released reader waits for the same index again, which never comes. Indices of frames that do not exist are left
    out: the reader uses what it has when the file ends.
    """

    frames: int
    """How many, at least 1."""

    def pick(self, video: Video) -> NDArray[np.int64]:
        """Return the indices of the frames to look at, strictly rising."""
        claimed = video.facts.frames_claimed or video.facts.frames
        indices = np.linspace(0, claimed - 1, self.frames).astype(np.int64)
        doubles = np.flatnonzero(np.diff(indices) == 0)
        if len(doubles):
            indices = indices[: doubles[0] + 1]
        return indices[indices < len(video.index)]


class HalfSizeDetector:
    """Looks for faces in a frame of half size and doubles the boxes."""

    def __init__(self, spec: DetectorSpec) -> None:
        self._spec = spec
        self._detector: Detector = load_detector(replace(spec, scale=1.0))

    def detect(self, image_HW3: ImageHW3) -> list[Face]:
        """Return the faces of an upright RGB frame in its own pixels, largest first."""
        return [_doubled(face) for face in self._detector.detect(scaled_frame(image_HW3, self._spec)[0])]


def _doubled(face: Face) -> Face:
    x1, y1, x2, y2 = face.xyxy_px
    landmarks = None if face.landmarks_px is None else face.landmarks_px * np.float32(2)
    return Face((2 * x1, 2 * y1, 2 * x2, 2 * y2), face.confidence, landmarks)
