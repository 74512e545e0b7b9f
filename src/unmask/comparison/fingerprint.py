"""Describe a film in some megabytes at most, so that it can be found in another: small frames, and points of some.

One reading of a film gives both; nothing of its frames stays in memory, whatever its length.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.media import SAMPLINGS, Video, read_frames
from unmask.types import ImageHW3

FRAMES_A_SECOND = 10.0
"""Small frames that are kept of each second ..."""
MAX_FRAMES = 6000
"""... and at most of a film: ten minutes have as many; of longer films they lie further apart."""
MIN_FRAMES = 24
"""Small frames of a short film, where it has as many."""
SMALL_PX = 96
"""Longer side of a small frame, at most."""
POINTS_A_FRAME = 300
"""Points that are described in one frame, at most: the clearest."""
POINT_SECONDS, MIN_POINT_FRAMES, MAX_POINT_FRAMES = 2.0, 6, 300
"""Frames whose points are described lie so far apart; of short films there are so many, and of long ones at most."""
POINTS_PX = 512
"""Longer side of the frame in which points are found, at most."""

Gray = NDArray[np.uint8]
_REVERSED = [0, 7, 6, 5, 4, 3, 2, 1]


@dataclass(frozen=True, slots=True)
class Points:
    """The points of one frame."""

    time_seconds: float
    """Time of the frame."""
    xy_N2: NDArray[np.float32] = field(repr=False)
    """(N, 2) places in pixels of the upright frame."""
    descriptors_ND: NDArray[np.float32] = field(repr=False)
    """(N, 128) of length 1: RootSIFT."""

    def mirrored(self, width_px: int) -> Points:
        """Return the points as they are found in the mirrored frame, whose width is ``width_px``.

        Mirroring a patch reverses the rows of its descriptor, counted across the patch's direction, and the directions
        of the gradients in it.
        """
        places = self.xy_N2 * np.array([-1, 1], np.float32) + np.array([width_px - 1, 0], np.float32)
        bins = self.descriptors_ND.reshape(-1, 4, 4, 8)[:, ::-1][..., _REVERSED]
        return Points(self.time_seconds, places, np.ascontiguousarray(bins).reshape(-1, 128))


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A film, as it is looked for in another."""

    width_px: int
    """Width of an upright frame."""
    height_px: int
    """Height of an upright frame."""
    times_seconds: NDArray[np.float64] = field(repr=False)
    """(n,) rising times of the small frames."""
    small_nhw: Gray = field(repr=False)
    """(n, h, w) gray small frames."""
    points: tuple[Points, ...] = field(repr=False)
    """Points of some frames, in order of time."""


def fingerprint(video: Video) -> Fingerprint:
    """Read a film once and describe it.

    Raises:
        InputError: As `unmask.media.read_frames`.
    """
    times = video.index.times_seconds
    count = min(len(times), MAX_FRAMES, max(MIN_FRAMES, round(video.facts.duration_seconds * FRAMES_A_SECOND)))
    length = video.facts.duration_seconds
    spacing = max(min(POINT_SECONDS, length / MIN_POINT_FRAMES), length / MAX_POINT_FRAMES)
    sift = cv2.SIFT_create(POINTS_A_FRAME)  # type: ignore[attr-defined]  # cv2 makes it when it is loaded
    seen, small, points = list[float](), list[Gray](), list[Points]()
    width, height, next_seconds = video.facts.width, video.facts.height, 0.0
    for frame in read_frames(video, SAMPLINGS["time"](times, count)):
        gray = _gray(frame.image_HW3, (width, height))
        seen.append(frame.time_seconds)
        small.append(shrunk(gray, SMALL_PX))
        if frame.time_seconds >= next_seconds:
            next_seconds = frame.time_seconds + spacing
            points.append(points_of(sift, gray, frame.time_seconds))
    pixels = np.stack(small) if small else np.zeros((0, 1, 1), np.uint8)
    return Fingerprint(width, height, np.array(seen), pixels, tuple(points))


def _gray(image_HW3: ImageHW3, size: tuple[int, int]) -> Gray:
    """Return a frame in gray, in the size of the film: a stream may change it."""
    gray = cv2.cvtColor(image_HW3, cv2.COLOR_RGB2GRAY)
    return gray if gray.shape == size[::-1] else cv2.resize(gray, size, interpolation=cv2.INTER_AREA)


def shrunk(image: Gray, longest_px: int) -> Gray:
    """Make an image smaller by averaging areas, to a longer side of at most ``longest_px``."""
    height, width = image.shape[:2]
    scale = min(1.0, longest_px / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def points_of(sift: cv2.SIFT, gray: Gray, time_seconds: float) -> Points:
    """Return the clearest points of a frame.

    Args:
        sift: Finds and describes them.
        gray: The frame, (H, W).
        time_seconds: Its time.
    """
    image = shrunk(gray, POINTS_PX)
    found, descriptors = sift.detectAndCompute(image, None)
    if descriptors is None:
        return Points(time_seconds, np.zeros((0, 2), np.float32), np.zeros((0, 128), np.float32))
    scale = np.array([gray.shape[1] / image.shape[1], gray.shape[0] / image.shape[0]], np.float32)
    places = (np.array([point.pt for point in found], np.float32) + 0.5) * scale - 0.5
    root = np.sqrt(descriptors / np.maximum(descriptors.sum(1, keepdims=True), 1e-6))  # Arandjelovic, Zisserman 2012
    return Points(time_seconds, places, root.astype(np.float32))
