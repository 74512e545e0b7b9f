"""The seven distortions of DeeperForensics-1.0 at five levels, as far as they change frames, and true JPEG.

Parameters and rules are those of ``perturbation/`` in github.com/EndlessSora/DeeperForensics-1.0 (7589587; arXiv
2001.03024), restated here: they act on each frame by itself, in its own size. Two of its names mislead. What it calls
JPEG shrinks a frame and enlarges it again, without any JPEG; here it is ``pixelation``. Video compression is x264's
constant rate factor and changes no frame before it; `COMPRESSION_CRF` holds its levels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import cv2
import numpy as np

from unmask.errors import UsageError
from unmask.types import ImageHW3

Rng = np.random.Generator
Distortion = Callable[[ImageHW3, float, Rng], ImageHW3]
"""Takes an RGB frame, the parameter of a level, and where chance comes from; gives a frame of the same size."""

LEVELS = (1, 2, 3, 4, 5)
COMPRESSION_CRF = (30, 32, 35, 38, 40)
"""Constant rate factors of video compression, level by level."""
JPEG_QUALITY = (90, 70, 50, 30, 10)
"""Qualities of true JPEG, level by level; these are our own choice."""
_BLOCK_PX, _BLOCK_GREY, _BLOCKS_PER_PX = 8, 128, 256
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_TO_RGB = np.array([[1, 0, 1.403], [1, -0.344, -0.714], [1, 1.773, 0]], np.float32)
"""From luma and both chromas to red, green and blue."""
_NOISE_SCALE = np.array([255 * 255 / 219, 255 * 255 / 224, 255 * 255 / 224], np.float32)
"""Levels of luma and chroma that a deviation of 1 makes: the authors add it in the studio range, 16 to 235 or 240."""


def _saturation(image_HW3: ImageHW3, share: float, _: Rng) -> ImageHW3:
    """Keep a share of the chroma."""
    luma_HW1 = (image_HW3 @ _LUMA)[..., None]
    return _levels(luma_HW1 + share * (image_HW3 - luma_HW1))


def _contrast(image_HW3: ImageHW3, share: float, _: Rng) -> ImageHW3:
    """Multiply all levels by a share, cut to whole levels as the authors do."""
    return (image_HW3 * np.float32(share)).astype(np.uint8)


def _blocks(image_HW3: ImageHW3, count: float, rng: Rng) -> ImageHW3:
    """Lay grey squares of 8 pixels on random places, ``count`` for each whole 256 pixels of the shorter side."""
    changed = image_HW3.copy()
    height, width = image_HW3.shape[:2]
    for _number in range(min(height, width) // _BLOCKS_PER_PX * int(count)):
        left, top = (int(rng.integers(0, side - _BLOCK_PX)) for side in (width, height))
        changed[top : top + _BLOCK_PX, left : left + _BLOCK_PX] = _BLOCK_GREY
    return changed


def _noise(image_HW3: ImageHW3, variance: float, rng: Rng) -> ImageHW3:
    """Add white Gaussian noise to luma and both chromas, each by itself."""
    noise_HW3 = rng.standard_normal(image_HW3.shape, np.float32) * (np.sqrt(np.float32(variance)) * _NOISE_SCALE)
    return _levels(image_HW3 + noise_HW3 @ _TO_RGB.T)


def _blur(image_HW3: ImageHW3, side_px: float, _: Rng) -> ImageHW3:
    """Blur by a Gaussian of this many pixels, whose deviation is a sixth of them."""
    return cv2.GaussianBlur(image_HW3, (int(side_px), int(side_px)), side_px / 6)


def _pixelation(image_HW3: ImageHW3, factor: float, _: Rng) -> ImageHW3:
    """Shrink by a whole factor and enlarge again, both bilinearly and without averaging."""
    height, width = image_HW3.shape[:2]
    small = max(1, width // int(factor)), max(1, height // int(factor))
    return cv2.resize(cv2.resize(image_HW3, small), (width, height))


def _jpeg(image_HW3: ImageHW3, quality: float, _: Rng) -> ImageHW3:
    """Encode as JPEG and decode."""
    bgr_HW3 = np.ascontiguousarray(image_HW3[..., ::-1])
    code = cv2.imencode(".jpg", bgr_HW3, [cv2.IMWRITE_JPEG_QUALITY, int(quality)])[1]
    return np.ascontiguousarray(cast(ImageHW3, cv2.imdecode(code, cv2.IMREAD_COLOR))[..., ::-1])


DISTORTIONS: dict[str, tuple[Distortion, tuple[float, ...]]] = {
    "saturation": (_saturation, (0.4, 0.3, 0.2, 0.1, 0.0)),
    "contrast": (_contrast, (0.85, 0.725, 0.6, 0.475, 0.35)),
    "blocks": (_blocks, (16, 32, 48, 64, 80)),
    "noise": (_noise, (0.001, 0.002, 0.005, 0.01, 0.05)),
    "blur": (_blur, (7, 9, 13, 17, 21)),
    "pixelation": (_pixelation, (2, 3, 4, 5, 6)),
    "jpeg": (_jpeg, JPEG_QUALITY),
}
"""Name -> what changes a frame, and its parameter at each level."""


def distort(image_HW3: ImageHW3, name: str, level: int, rng: Rng) -> ImageHW3:
    """Return a distorted frame.

    Args:
        image_HW3: RGB.
        name: In `DISTORTIONS`.
        level: 1 weakest to 5.
        rng: Where chance comes from, for ``blocks`` and ``noise``.

    Raises:
        UsageError: There is no such distortion or level.
    """
    if name not in DISTORTIONS or level not in LEVELS:
        raise UsageError(f"unknown distortion {name!r} {level}; use one of {', '.join(DISTORTIONS)}, level 1 to 5")
    function, parameters = DISTORTIONS[name]
    return function(image_HW3, parameters[level - 1], rng)


def _levels(values_HW3: np.ndarray) -> ImageHW3:
    return cast(ImageHW3, np.clip(np.rint(values_HW3), 0, 255).astype(np.uint8))
