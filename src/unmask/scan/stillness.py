"""Whether the film shows one photograph: a face that never moves proves nothing about a person.

Frames are compared small and gray, so that compression noise averages out, and after the best change of brightness and
contrast, so that fades count as still. What remains, in the box of the face and in the whole frame, is measured against
the contrast there. In authentic clips of people who sit and talk it is 0.19 and more; in films of one photograph, with
grain, fades and strong compression, up to 0.05.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.types import ImageHW3

THUMBNAIL_LONGER_PX = 96
MAX_STILL = 0.08
"""Remaining difference, in standard deviations of the image, up to which a face counts as still."""
MIN_SECONDS = 1.0
"""A film is called still only when it was watched for as long."""
_MIN_CONTRAST = 2.0
"""Gray levels; what is flatter, like a black frame of a fade, differs by noise alone."""


@dataclass(frozen=True, slots=True)
class StillView:
    """What is kept of a frame to see whether anything moves in it."""

    gray_HW: NDArray[np.float32]
    """(H, W) luma of the frame, `THUMBNAIL_LONGER_PX` along its longer side, 0 to 255."""
    pixels_per_pixel: float
    """Width of this thumbnail over the width of the frame."""


Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels of the upright frame."""
Times = Sequence[float]


def still_view(image_HW3: ImageHW3) -> StillView:
    """Return the thumbnail of a frame, (H, W, 3) uint8 RGB."""
    step = max(1, max(image_HW3.shape[:2]) // 256)
    thinned_HW3 = image_HW3[::step, ::step]
    scale = min(1.0, THUMBNAIL_LONGER_PX / max(thinned_HW3.shape[:2]))
    height, width = (max(1, round(side * scale)) for side in thinned_HW3.shape[:2])
    small_HW3 = cv2.resize(thinned_HW3, (width, height), interpolation=cv2.INTER_AREA)
    gray_HW = cv2.cvtColor(small_HW3, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return StillView(gray_HW, gray_HW.shape[1] / image_HW3.shape[1])


def is_still(views: Sequence[StillView], boxes_px: Sequence[Box], times_seconds: Times) -> bool:
    """Say whether neither a face nor the frame around it ever moves.

    Args:
        views: Of the n frames that show the face, in order of time.
        boxes_px: The face's boxes in pixels of the frames.
        times_seconds: Of the frames.
    """
    if len(views) < 2 or times_seconds[-1] - times_seconds[0] < MIN_SECONDS:
        return False
    first = views[0]
    if any(view.gray_HW.shape != first.gray_HW.shape for view in views):
        return False
    left, top, right, bottom = (max(0, round(value * first.pixels_per_pixel)) for value in boxes_px[0])
    within = slice(top, max(bottom, top + 1)), slice(left, max(right, left + 1))
    if not first.gray_HW[within].size:
        return False
    return all(
        _difference(first.gray_HW[within], view.gray_HW[within]) <= MAX_STILL
        and _difference(first.gray_HW, view.gray_HW) <= MAX_STILL
        for view in views[1:]
    )


def still_people(
    person_n: Sequence[int], place_n: Sequence[int], boxes_n: Sequence[Box], views: Sequence[StillView], times: Times
) -> frozenset[int]:
    """Return the numbers of the people who never move.

    Args:
        person_n: Number of the person of each of n faces, in order of time.
        place_n: Place of each face's frame among the frames.
        boxes_n: Box of each face in pixels of its frame.
        views: Of all frames.
        times: Of all frames in seconds.
    """
    still, positions = set(), dict[int, list[int]]()
    for position, person in enumerate(person_n):
        positions.setdefault(person, []).append(position)
    for person, own in positions.items():
        places = [place_n[position] for position in own]
        boxes = [boxes_n[position] for position in own]
        if is_still([views[place] for place in places], boxes, [times[place] for place in places]):
            still.add(person)
    return frozenset(still)


def _difference(before_HW: NDArray[np.float32], after_HW: NDArray[np.float32]) -> float:
    """Return what of an image no change of brightness and contrast of another one explains, in its deviations."""
    before, after = before_HW - before_HW.mean(), after_HW - after_HW.mean()
    gain = float((before * after).sum()) / max(float((before * before).sum()), 1e-6)
    return float((after - gain * before).std()) / max(float(after.std()), _MIN_CONTRAST)
