"""Shrink a frame by averaging over areas, as OpenCV does (INTER_AREA), in half of its time.

OpenCV averages along each row first, then over rows, pixel by pixel. To average over rows first, as products of
matrices, leaves it a third of the pixels.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.types import ImageHW3

_STRIP_ROWS = 32
"""Rows of the result that are made together: what they are made of stays in the processor's cache."""
_BAND_ROWS = 2
"""Rows that are made by one product, which is too small for a library to start threads for."""

Shares = tuple[slice, NDArray[np.float32]]
"""Rows of the image, and their shares (b, k) in b rows of the result."""


def shrink_by_area(image_HW3: ImageHW3, size: tuple[int, int]) -> ImageHW3:
    """Return an image shrunk to ``size``, width and height, each pixel the mean of what it covers.

    Equal to ``cv2.resize`` with ``INTER_AREA``, but where a value lies midway between two levels.
    """
    height, width = image_HW3.shape[:2]
    if height % size[1] == 0 and width % size[0] == 0:  # there OpenCV has a quick way
        return cv2.resize(image_HW3, size, interpolation=cv2.INTER_AREA)
    rows_HC = np.ascontiguousarray(image_HW3).reshape(height, 3 * width)
    small_HW3 = np.empty((size[1], size[0], 3), np.uint8)
    strip_SC = np.empty((_STRIP_ROWS, 3 * width), np.float32)
    bands = shares(height, size[1])
    for top in range(0, size[1], _STRIP_ROWS):
        strip = strip_SC[: size[1] - top]
        for row in range(0, len(strip), _BAND_ROWS):
            covered, shares_BK = bands[(top + row) // _BAND_ROWS]
            np.matmul(shares_BK, rows_HC[covered].astype(np.float32), out=strip[row : row + len(shares_BK)])
        means = cv2.resize(strip.reshape(-1, width, 3), (size[0], len(strip)), interpolation=cv2.INTER_AREA)
        small_HW3[top : top + len(strip)] = np.rint(means)
    return small_HW3


@lru_cache(maxsize=16)
def shares(length: int, count: int) -> list[Shares]:
    """Return of which rows, and by which shares, ``count`` rows are made that cover ``length`` evenly; in bands."""
    scale, bands = length / count, list[Shares]()
    for first in range(0, count, _BAND_ROWS):
        starts_B1 = np.arange(first, min(first + _BAND_ROWS, count))[:, None] * scale
        rows = np.arange(int(starts_B1[0, 0]), min(length, int(np.ceil(starts_B1[-1, 0] + scale))))
        covered_BK = np.minimum(rows + 1, starts_B1 + scale) - np.maximum(rows, starts_B1)
        shares_BK = np.maximum(covered_BK, 0) / scale
        bands.append((slice(int(rows[0]), int(rows[-1]) + 1), shares_BK.astype(np.float32)))
    return bands
