"""The image pyramid in which MTCNN looks for faces, and the averages of pixels that it is made of.

Shape letters: N boxes, H W image, S side of a crop.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.faces.mtcnn_networks import CELL_PX, STRIDE_PX
from unmask.types import ImageHW3

Floats = NDArray[np.float32]
Sums = NDArray[np.int32]
Area = tuple[int, int, int, int]
"""Top, left, bottom and right in pixels of a level, ends exclusive."""

FACTOR = 0.709
"""Side of a level over that of the one before."""
EVERYWHERE_SIDES = 2.8
"""Least sides: between two full searches, faces from so many on are looked for everywhere."""
_SIZES = 3.0
"""Times that a proposal may be larger or smaller than a face that it lies on."""
_MARGIN = 0.5
"""Sides of a face around it, in which proposals may lie that compete with those on it."""
_ROUND_PX = 16
"""Areas have a multiple of this side where they can: networks compile new kernels for each new size."""
_STRIP_ROWS = 64


@dataclass(frozen=True, slots=True)
class Patch:
    """A part of one level of the pyramid."""

    scale: float
    """Width of the level over that of the image."""
    row: int
    """First row of the level that it shows; even, so that P-net's cells lie as in all of the level."""
    column: int
    """First column; even as well."""
    pixels_HW3: Floats
    """(h, w, 3) in -1..1."""


def sums_of(image_HW3: ImageHW3) -> Sums:
    """Return the integral of an image, (H + 1, W + 1, 4) int32.

    The fourth channel is that of an opaque image, and nobody's: numpy takes 16 bytes in a third of the time of 12.
    """
    return cv2.integral(cv2.cvtColor(image_HW3, cv2.COLOR_RGB2RGBA))


def pyramid(sums_HW4: Sums, min_face_px: float, ways_N24: Floats | None = None) -> Iterator[Patch]:
    """Yield the levels of an image, the largest first.

    Args:
        sums_HW4: See `sums_of`.
        min_face_px: Smallest face to look for.
        ways_N24: (N, 2, 4) boxes in pixels of the image, two of each face: of the levels for small faces, only those
            parts are yielded that it may be found in on the way from one to the other. None yields all levels whole.
    """
    height, width = sums_HW4.shape[0] - 1, sums_HW4.shape[1] - 1
    scale = CELL_PX / min_face_px
    while min(height, width) * scale >= CELL_PX:
        size = int(height * scale + 1), int(width * scale + 1)
        areas = [(0, 0, *size)]
        if ways_N24 is not None and CELL_PX / scale < EVERYWHERE_SIDES * min_face_px:
            areas = areas_around(ways_N24, scale, size)
        for area in areas:
            yield Patch(scale, area[0], area[1], area_pool(sums_HW4, size, area))
        scale *= FACTOR


def areas_around(ways_N24: Floats, scale: float, size: tuple[int, int]) -> list[Area]:
    """Return the areas of a level in which faces of its size may be found; no two overlap.

    Args:
        ways_N24: (N, 2, 4) boxes in pixels of the image, where each face comes from and where it goes.
        scale: Of the level.
        size: Height and width of the level.
    """
    areas: list[Area] = []
    for way_24 in ways_N24 * scale:
        sides = (way_24[:, 2:] - way_24[:, :2]).max(1)
        if not (sides.min() <= CELL_PX * _SIZES and sides.max() >= CELL_PX / _SIZES):
            continue
        pad = _MARGIN * float(sides.max())
        (left, top), (right, bottom) = (way_24[:, :2].min(0) - pad).tolist(), (way_24[:, 2:].max(0) + pad).tolist()
        rows, columns = _stretch(top, bottom, size[0]), _stretch(left, right, size[1])
        areas = _joined(areas, (rows[0], columns[0], rows[1], columns[1]), size)
    return areas


def _joined(areas: list[Area], new: Area, size: tuple[int, int]) -> list[Area]:
    """Add an area to others, none of which overlap; it takes those in that it overlaps."""
    for other in areas:
        if new[0] < other[2] and other[0] < new[2] and new[1] < other[3] and other[1] < new[3]:
            top, bottom = _stretch(min(new[0], other[0]), max(new[2], other[2]), size[0])
            left, right = _stretch(min(new[1], other[1]), max(new[3], other[3]), size[1])
            return _joined([area for area in areas if area is not other], (top, left, bottom, right), size)
    return [*areas, new]


def _stretch(start: float, end: float, length: int) -> tuple[int, int]:
    """Widen a stretch to whole cells and a rounded length, within 0 to ``length``."""
    first = max(0, int(start) // STRIDE_PX * STRIDE_PX)
    wanted = max(CELL_PX, -(-int(end - first + 1) // _ROUND_PX) * _ROUND_PX)
    if first + wanted >= length:
        return max(0, length - wanted) // STRIDE_PX * STRIDE_PX, length
    return first, first + wanted


def _bins(length: int | NDArray[np.int64], count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first pixel and the end of each bin of adaptive average pooling (torch's "area" mode).

    Bin i of n covers the pixels from floor(i L / n) to ceil((i + 1) L / n): neighbours may share a pixel, and
    enlarging repeats pixels.
    """
    step = np.arange(count)
    return step * length // count, -(-(step + 1) * length // count)


def area_pool(sums_HW4: Sums, size: tuple[int, int], area: Area | None = None) -> Floats:
    """Average-pool an image to ``size``, or an area of the result: (h, w, 3), (mean - 127.5) / 128.

    Args:
        sums_HW4: Of the image, see `sums_of`.
        size: Height and width of the whole result.
        area: What is wanted of it; None for all.
    """
    top, left, bottom, right = area or (0, 0, *size)
    y_from, y_to = (edge[top:bottom] for edge in _bins(sums_HW4.shape[0] - 1, size[0]))
    x_from, x_to = (edge[left:right] for edge in _bins(sums_HW4.shape[1] - 1, size[1]))
    first = int(x_from[0])
    columns_HW4 = sums_HW4[:, first : int(x_to[-1]) + 1]
    pooled = np.empty((bottom - top, right - left, 3), np.float32)
    per_column = np.repeat(np.float32(1 / 128) / (x_to - x_from).astype(np.float32), 3)
    per_row = 1 / (y_to - y_from).astype(np.float32)[:, None]
    for start in range(0, len(pooled), _STRIP_ROWS):  # a strip stays in the processor's cache
        strip = slice(start, start + _STRIP_ROWS)
        rows = columns_HW4.take(y_to[strip], axis=0)  # whole rows first: they are contiguous
        rows -= columns_HW4.take(y_from[strip], axis=0)
        total = rows.take(x_to - first, axis=1)
        total -= rows.take(x_from - first, axis=1)
        cv2.cvtColor(total.astype(np.float32), cv2.COLOR_RGBA2RGB, dst=pooled[strip])
        means = pooled[strip].reshape(len(total), -1)
        means *= per_column
        means *= per_row[strip]
        means -= np.float32(127.5 / 128)
    return pooled


def area_crops(sums_HW4: Sums, xyxy_N4: NDArray[np.int64], side: int) -> Floats:
    """Average-pool N regions (ends exclusive) of the image as `area_pool` does: (N, side, side, 3)."""
    x_from, x_to = (xyxy_N4[:, :1] + edge for edge in _bins((xyxy_N4[:, 2] - xyxy_N4[:, 0])[:, None], side))
    y_from, y_to = (xyxy_N4[:, 1:2] + edge for edge in _bins((xyxy_N4[:, 3] - xyxy_N4[:, 1])[:, None], side))
    flat, width = sums_HW4.reshape(-1, 4), sums_HW4.shape[1]
    top, bottom, left, right = (y_from * width)[..., None], (y_to * width)[..., None], x_from[:, None], x_to[:, None]
    total = flat.take(bottom + right, axis=0) - flat.take(bottom + left, axis=0)
    total += flat.take(top + left, axis=0) - flat.take(top + right, axis=0)
    area = ((y_to - y_from)[:, :, None] * (x_to - x_from)[:, None])[..., None]
    return total[..., :3] * (np.float32(1 / 128) / area.astype(np.float32)) - np.float32(127.5 / 128)
