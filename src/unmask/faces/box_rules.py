"""The rules by which MTCNN moves, cuts and drops boxes between its networks; see `unmask.faces.mtcnn`.

Shape letters: N boxes, M of them within the image.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def square(boxes_N4: Floats) -> Floats:
    """Widen boxes to squares around their centres."""
    sides = boxes_N4[:, 2:] - boxes_N4[:, :2]
    longest = sides.max(1, keepdims=True)
    corner = boxes_N4[:, :2] + sides * 0.5 - longest * 0.5
    return np.hstack([corner, corner + longest])


def regress(boxes_N4: Floats, shift_N4: Floats, extra_px: int) -> Floats:
    """Move each edge by the network's answer, a share of the box side (plus ``extra_px``)."""
    sides = boxes_N4[:, 2:] - boxes_N4[:, :2] + extra_px
    return boxes_N4 + shift_N4 * np.tile(sides, 2)


def pixel_regions(boxes_N4: Floats, shape: tuple[int, ...]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Truncate boxes to pixels inside the image: coordinates are one-based and inclusive in this network.

    Returns:
        (M, 4) zero-based regions with exclusive ends, and a mask (N,) of the boxes that have any pixel.
    """
    height, width = shape[:2]
    whole = np.trunc(boxes_N4).astype(np.int64)
    regions = np.stack(
        [
            np.maximum(whole[:, 0], 1) - 1,
            np.maximum(whole[:, 1], 1) - 1,
            np.minimum(whole[:, 2], width),
            np.minimum(whole[:, 3], height),
        ],
        1,
    )
    inside = (regions[:, 2] > regions[:, 0]) & (regions[:, 3] > regions[:, 1])
    return regions[inside], inside


def largest_regions(
    regions_M4: NDArray[np.int64], inside_N: NDArray[np.bool_], count: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Keep the largest regions where there are more than ``count``; a frame full of faces has a price all the same.

    Args:
        regions_M4: See `pixel_regions`.
        inside_N: Which boxes they are of.
        count: How many are kept.
    """
    if len(regions_M4) <= count:
        return regions_M4, inside_N
    places = np.flatnonzero(inside_N)
    chosen = np.sort(np.argsort(regions_M4[:, 0] - regions_M4[:, 2], kind="stable")[:count])
    inside = np.zeros_like(inside_N)
    inside[places[chosen]] = True
    return regions_M4[chosen], inside


def nms(boxes_N4: Floats, scores_N: Floats, threshold: float) -> NDArray[np.int64]:
    """Return the indices of boxes that survive non-maximum suppression by intersection over union, best first."""
    if len(boxes_N4) == 0:
        return np.zeros(0, np.int64)
    xywh = np.hstack([boxes_N4[:, :2], boxes_N4[:, 2:] - boxes_N4[:, :2]]).astype(np.float64)
    kept = cv2.dnn.NMSBoxes(xywh, scores_N, 0.0, threshold)  # type: ignore[arg-type]  # arrays will do
    return np.asarray(kept, np.int64).reshape(-1)


def nms_of_smaller(boxes_N4: Floats, scores_N: Floats, threshold: float) -> NDArray[np.int64]:
    """Suppress boxes by the intersection over the smaller area, in inclusive pixels: drops a face inside a face."""
    order, kept = np.argsort(scores_N, kind="stable")[::-1], []  # of equals, the last
    area = (boxes_N4[:, 2] - boxes_N4[:, 0] + 1) * (boxes_N4[:, 3] - boxes_N4[:, 1] + 1)
    while len(order):
        best, rest = order[0], order[1:]
        kept.append(best)
        corner = np.maximum(boxes_N4[best, :2], boxes_N4[rest, :2])
        sides = np.maximum(0, np.minimum(boxes_N4[best, 2:], boxes_N4[rest, 2:]) - corner + 1)
        overlap = sides[:, 0] * sides[:, 1] / np.minimum(area[best], area[rest])
        order = rest[overlap <= threshold]
    return np.asarray(kept, np.int64)
