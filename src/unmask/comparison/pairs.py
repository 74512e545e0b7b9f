"""Read pairs of frames that show the same moment of two films, and cut the same part of the scene out of both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.comparison.placement import Placement
from unmask.comparison.timing import TimeLine
from unmask.media import SAMPLINGS, SignatureLog, Video, read_frames
from unmask.types import Frame, ImageHW3

_MARGIN_SECONDS = 0.05

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Moment:
    """A frame of the suspect, and the frames of the original that may show the same moment."""

    suspect: Frame
    """The suspect's."""
    originals: tuple[Frame, ...]
    """The original's, in order of time, at least one."""
    nearest: int = 0
    """Which of them lies nearest in time."""


@dataclass(frozen=True, slots=True)
class When:
    """Which frames of two films may show the same moment."""

    line: TimeLine
    """Leads from the suspect's times to the original's."""
    span_seconds: tuple[float, float]
    """First and last second of the suspect in which both show the same."""
    mirrored: bool = False
    """Whether the original's frames are to be mirrored."""
    near_seconds: float = 0.1
    """Frames of the original that lie as near to a moment of the suspect may show it ..."""
    max_near: int = 7
    """... and at most so many: the nearest."""


def read_moments(
    suspect: Video, original: Video, when: When, count: int, log: SignatureLog | None = None
) -> Iterator[Moment]:
    """Yield moments that both films show, spread evenly over what they share.

    A few frames are in memory at a time, whatever the length of the films.

    Args:
        suspect: The suspect.
        original: The original; both are read once, in order of time.
        when: Which frames show the same moment.
        count: How many moments; fewer where the films share fewer frames.
        log: Takes the signatures of the suspect's frames, see `unmask.media.read_frames`.

    Raises:
        InputError: As `unmask.media.read_frames`.
    """
    times, original_times = suspect.index.times_seconds, original.index.times_seconds
    start, end = when.span_seconds
    in_span = (times >= start - _MARGIN_SECONDS) & (times <= end + _MARGIN_SECONDS)
    shared = np.flatnonzero(in_span & _inside(when.line.applied(times), original_times))
    if not len(shared):
        return
    chosen = shared[SAMPLINGS["time"](times[shared], count)]
    near = [near_frames(original_times, moment, when) for moment in when.line.applied(times[chosen])]
    wanted = np.unique(np.concatenate(near))
    others, held = read_frames(original, wanted), dict[int, Frame]()
    for frame in read_frames(suspect, chosen, log):
        place = min(int(np.searchsorted(chosen, frame.index)), len(chosen) - 1)
        held = {index: kept for index, kept in held.items() if index >= near[place][0]}
        while not held or max(held) < near[place][-1]:
            other = next(others, None)
            if other is None:
                break
            if other.index >= near[place][0]:
                held[other.index] = _mirrored(other) if when.mirrored else other
        found = tuple(held[index] for index in sorted(held) if index <= near[place][-1])
        if found:
            expected = when.line.offset_seconds + when.line.rate * frame.time_seconds
            nearest = min(range(len(found)), key=lambda number: abs(found[number].time_seconds - expected))
            yield Moment(frame, found, nearest)


def _mirrored(frame: Frame) -> Frame:
    return replace(frame, image_HW3=np.ascontiguousarray(frame.image_HW3[:, ::-1]))


def near_frames(times_seconds: Floats, moment_seconds: float, when: When) -> NDArray[np.int64]:
    """Return the rising indices of the frames that may show a moment: the nearest one at least."""
    around = int(np.searchsorted(times_seconds, moment_seconds))
    first = max(0, around - when.max_near)
    apart = np.abs(times_seconds[first : around + when.max_near] - moment_seconds)
    order = np.argsort(apart, kind="stable")[: when.max_near]
    close = first + order[apart[order] <= when.near_seconds]
    order = first + order
    return np.sort(close if len(close) else order[:1]).astype(np.int64)


def _inside(moments: Floats, times_seconds: Floats) -> NDArray[np.bool_]:
    return (moments >= times_seconds[0] - _MARGIN_SECONDS) & (moments <= times_seconds[-1] + _MARGIN_SECONDS)


Region = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels of the suspect's upright frame."""


def cut_view(
    image_HW3: ImageHW3, region: Region, size: tuple[int, int], placement: Placement | None = None
) -> ImageHW3:
    """Cut a part of the scene out of a frame, (h, w, 3) uint8; black where it leaves the frame.

    Args:
        image_HW3: A frame of the suspect, or, with ``placement``, of the original.
        region: The part, in pixels of the suspect.
        size: Width and height of the view.
        placement: Where the suspect's pixels lie in the frame; None for a frame of the suspect.
    """
    left, top, right, bottom = region
    to_suspect = np.array(
        [[(right - left) / size[0], 0, left], [0, (bottom - top) / size[1], top], [0, 0, 1]], np.float64
    )
    to_suspect[:2, 2] += np.diag(to_suspect)[:2] * 0.5 - 0.5  # pixels are counted from their middle
    frame = np.eye(3) if placement is None else np.vstack([placement.matrix_23, [0, 0, 1]])
    return warped(image_HW3, frame @ to_suspect, size)


def warped(image: NDArray[np.uint8], matrix_33: Floats, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resample the part of an image that a view of ``size`` shows; what shrinks is averaged first.

    Args:
        image: (H, W) or (H, W, 3).
        matrix_33: Leads from pixels of the view to those of the image; no rotation.
        size: Width and height of the view.
    """
    corners = matrix_33[:2] @ np.array([[-0.5, size[0] - 0.5], [-0.5, size[1] - 0.5], [1, 1]])
    low = np.floor(corners.min(1)).astype(int) - 4
    high = np.ceil(corners.max(1)).astype(int) + 5
    low, high = low.clip(0, image.shape[1::-1]), high.clip(0, image.shape[1::-1])
    part = image[low[1] : high[1], low[0] : high[0]]
    if not part.size:
        return np.zeros((size[1], size[0], *image.shape[2:]), np.uint8)
    matrix = matrix_33[:2].copy()
    matrix[:, 2] -= low
    size_px = np.array(part.shape[1::-1])
    smaller = np.maximum(1, size_px // np.maximum(1, np.abs(np.diag(matrix))).astype(int))
    if (smaller < size_px).any():
        part = cv2.resize(part, smaller.tolist(), interpolation=cv2.INTER_AREA)
        ratio = smaller / size_px
        matrix = np.diag(ratio) @ matrix
        matrix[:, 2] += 0.5 * ratio - 0.5  # pixels are counted from their middle
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(part, matrix, size, flags=flags, borderMode=cv2.BORDER_CONSTANT)
