"""What happens to a face on its way from a camera to a detector, at the size it has in its clip.

A clip is filmed, filtered, perhaps written upon, and compressed, all at its own size; then a detector cuts the face out
and resizes it once. Training that compresses after resizing shows a codec class worse than the world's, with blocks too
large for the face. Here the face is brought to its size in a clip first (`Framing`), everything else acts there
(`Road`), and `fitted` does the scan's one resize.

Draws depend on the generator alone, never on the picture, so that with the same generator both members of a pair get
the same: quality says nothing about authenticity.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np

from unmask.augment.codec import TUNES, compress_h264
from unmask.augment.covers import covered
from unmask.augment.transforms import (
    Example,
    Rng,
    brightness_contrast,
    flip,
    gaussian_noise,
    hue_saturation_value,
    jpeg,
    motion_blur,
    to_gray,
)
from unmask.types import ImageHW3

Box = tuple[float, float, float, float]
Step = Callable[[Example, Rng], Example]

_LEAST_SIDE_PX = 24


@dataclass(frozen=True, slots=True)
class Framing:
    """How a face is cut out of its picture, and how large it is in its clip."""

    margin: float = 0.125
    """On each side of the box, in its longer side: that of the scan's crop."""
    zoom: tuple[float, float] = (0.82, 1.16)
    """The cut's side is multiplied by this, as detectors' boxes vary."""
    shift: float = 0.04
    """Greatest shift of the cut's middle, in its sides."""
    degrees: float = 8.0
    """Greatest turn, in a third of the cuts."""
    face_px: tuple[float, float] = (48.0, 400.0)
    """Width of faces whose size in a clip is not known; drawn evenly by its logarithm."""
    enlarge: float = 1.3
    """Pictures grow at most by this on their way to that size."""

    def __call__(self, example: Example, box_px: Box, known_px: float, rng: Rng) -> Example:
        """Cut the face out and bring it to a size that it may have had.

        Args:
            example: A picture with its mask.
            box_px: The face's box in it.
            known_px: Width of the face in its clip; 0 where that is not known.
            rng: Draws, the same number for each picture.
        """
        zoom, dx, dy = rng.uniform(*self.zoom), *rng.uniform(-self.shift, self.shift, 2)
        angle = rng.uniform(-self.degrees, self.degrees) * (rng.random() < 1 / 3)
        black, mirrored, size, way = rng.random() < 0.3, rng.random() < 0.5, rng.random(), int(rng.integers(2))
        box_side = max(box_px[2] - box_px[0], box_px[3] - box_px[1])
        side = box_side * (1 + 2 * self.margin) * zoom
        x, y = (box_px[0] + box_px[2]) / 2 + dx * side, (box_px[1] + box_px[3]) / 2 + dy * side
        if angle:
            example = _turned(example, (x, y), angle)
        example = _square(example, x, y, side, black=black)
        if known_px:
            face_px = known_px * (1.0 if size < 0.5 else 0.5 + size)
        else:
            face_px = float(np.exp(np.interp(size, (0, 1), np.log(self.face_px))))
        scale = min(face_px / box_side, self.enlarge)
        native = max(_LEAST_SIDE_PX, round(example.image_HW3.shape[0] * scale))
        example = resized(example, native, enlarging=(cv2.INTER_LINEAR, cv2.INTER_CUBIC)[way])
        return flip(example, rng) if mirrored else example


def framed(image_HW3: ImageHW3, box_px: Box, size_px: int, margin: float = 0.125) -> ImageHW3:
    """Return the crop of a scan: centred on the box, black beyond the picture, resized once."""
    blank = np.zeros(image_HW3.shape[:2], np.uint8)
    side = max(box_px[2] - box_px[0], box_px[3] - box_px[1]) * (1 + 2 * margin)
    x, y = (box_px[0] + box_px[2]) / 2, (box_px[1] + box_px[3]) / 2
    return resized(_square(Example(image_HW3, blank, 0.0), x, y, side, black=True), size_px).image_HW3


def fitted(example: Example, size_px: int) -> Example:
    """Resize as a scan does: averaging areas to shrink, else linear."""
    return resized(example, size_px)


def resized(example: Example, side_px: int, enlarging: int = cv2.INTER_LINEAR) -> Example:
    """Resize a square picture and its mask."""
    height = example.image_HW3.shape[0]
    if height == side_px == example.image_HW3.shape[1]:
        return example
    way, size = cv2.INTER_AREA if side_px < height else enlarging, (side_px, side_px)
    mask_HW = cv2.resize(example.mask_HW, size, interpolation=cv2.INTER_AREA if side_px < height else cv2.INTER_LINEAR)
    return Example(cv2.resize(example.image_HW3, size, interpolation=way), mask_HW, example.label)


def _turned(example: Example, centre: tuple[float, float], degrees: float) -> Example:
    matrix_23, size = cv2.getRotationMatrix2D(centre, degrees, 1.0), example.image_HW3.shape[1::-1]
    image_HW3, mask_HW = (
        cv2.warpAffine(plane, matrix_23, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        for plane in (example.image_HW3, example.mask_HW)
    )
    return Example(image_HW3, mask_HW, example.label)


def _square(example: Example, x: float, y: float, side: float, *, black: bool) -> Example:
    """Cut a square out of a picture; where it reaches beyond, it is black there, or smaller and moved inside."""
    height, width = example.image_HW3.shape[:2]
    whole = max(8, round(side))
    if not black:
        whole = min(whole, height, width)
    left, top = round(x - whole / 2), round(y - whole / 2)
    if not black:
        left, top = min(max(left, 0), width - whole), min(max(top, 0), height - whole)
    before = max(0, -left, -top, left + whole - width, top + whole - height)
    planes = example.image_HW3, example.mask_HW
    if before:
        planes = tuple(cv2.copyMakeBorder(p, before, before, before, before, cv2.BORDER_CONSTANT) for p in planes)
    rows, columns = slice(top + before, top + before + whole), slice(left + before, left + before + whole)
    return Example(np.ascontiguousarray(planes[0][rows, columns]), planes[1][rows, columns].copy(), example.label)


# --- along the road


def blurred(example: Example, rng: Rng, *, sigma_px: tuple[float, float] = (0.4, 3.5)) -> Example:
    """Blur by a Gaussian, as out of focus or as a filter does."""
    image_HW3 = cv2.GaussianBlur(example.image_HW3, (0, 0), float(rng.uniform(*sigma_px)))
    return replace(example, image_HW3=image_HW3)


def smoothed(example: Example, rng: Rng) -> Example:
    """Smooth skin and keep edges: beauty filters and denoising."""
    colour, reach = float(rng.uniform(15, 60)), float(rng.uniform(2, 6))
    strength = float(rng.uniform(0.4, 1.0))
    if rng.random() < 0.3:
        smooth_HW3 = cv2.medianBlur(example.image_HW3, 3)
    else:
        smooth_HW3 = cv2.bilateralFilter(example.image_HW3, 7, colour, reach)
    return replace(example, image_HW3=cv2.addWeighted(smooth_HW3, strength, example.image_HW3, 1 - strength, 0))


def sharpened(example: Example, rng: Rng) -> Example:
    """Sharpen by an unsharp mask."""
    amount, sigma = float(rng.uniform(0.3, 1.8)), float(rng.uniform(0.7, 2.0))
    soft_HW3 = cv2.GaussianBlur(example.image_HW3, (0, 0), sigma)
    return replace(example, image_HW3=cv2.addWeighted(example.image_HW3, 1 + amount, soft_HW3, -amount, 0))


def dim(example: Example, rng: Rng) -> Example:
    """Take light away, and bring what is left up again or not; sensors answer with noise."""
    gain, gamma, lifted = float(rng.uniform(0.2, 0.7)), float(rng.uniform(0.7, 1.5)), rng.random() < 0.5
    levels = 255 * (np.arange(256) / 255) ** gamma * gain
    levels += 0.0 if not lifted else (1 - gain) * 90
    dark = replace(example, image_HW3=cv2.LUT(example.image_HW3, levels.clip(0, 255).astype(np.uint8)))
    return gaussian_noise(dark, rng, variance=(4, 80))


def tinted(example: Example, rng: Rng) -> Example:
    """Multiply each colour: lamps, screens, white balance."""
    levels_256_3 = np.arange(256)[:, None] * rng.uniform(0.75, 1.2, 3)
    return replace(example, image_HW3=cv2.LUT(example.image_HW3, levels_256_3.clip(0, 255).astype(np.uint8)[None]))


def smaller(example: Example, rng: Rng) -> Example:
    """Shrink and enlarge again, as clips that were shared in a smaller size; to a third, or a face of 40 px."""
    height, width = example.image_HW3.shape[:2]
    scale = float(rng.uniform(1 / 3, 0.9))
    down = (cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC)[int(rng.integers(3))]
    up = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4)[int(rng.integers(3))]
    stay = rng.random() < 0.4
    scale = max(scale, min(1.0, 50 / height))
    size = max(8, round(width * scale)), max(8, round(height * scale))
    small_HW3 = cv2.resize(example.image_HW3, size, interpolation=down)
    if stay:
        mask_HW = cv2.resize(example.mask_HW, size, interpolation=cv2.INTER_AREA)
        return Example(small_HW3, mask_HW, example.label)
    return replace(example, image_HW3=cv2.resize(small_HW3, (width, height), interpolation=up))


def video(example: Example, rng: Rng, *, crf: tuple[int, int] = (16, 42)) -> Example:
    """Compress with x264 as one picture of a clip, in a third of the cases at a smaller size."""
    chosen, tune = int(rng.integers(*crf, endpoint=True)), TUNES[int(rng.integers(len(TUNES)))]
    scale = float(rng.uniform(0.4, 1.0)) if rng.random() < 0.25 else 1.0
    return replace(example, image_HW3=compress_h264([example.image_HW3], chosen, scale, tune)[0])


def photograph(example: Example, rng: Rng) -> Example:
    """Compress as JPEG."""
    return jpeg(example, rng, low=35)


def twice(example: Example, rng: Rng) -> Example:
    """Compress two times, as clips that were shared on."""
    return video(video(example, rng, crf=(16, 36)), rng, crf=(18, 38))


def both(example: Example, rng: Rng) -> Example:
    """Compress as a clip, and a picture taken of it as JPEG."""
    return photograph(video(example, rng, crf=(16, 36)), rng)


def untouched(example: Example, rng: Rng) -> Example:  # noqa: ARG001
    """Leave it as it is."""
    return example


@dataclass(frozen=True, slots=True)
class Road:
    """What may happen to a picture at its size in the clip, in this order, each with its probability."""

    steps: tuple[tuple[Step, float], ...] = (
        (brightness_contrast, 0.25),
        (hue_saturation_value, 0.15),
        (tinted, 0.1),
        (dim, 0.05),
        (to_gray, 0.03),
        (blurred, 0.22),
        (motion_blur, 0.04),
        (smoothed, 0.08),
        (sharpened, 0.1),
        (gaussian_noise, 0.12),
        (covered, 0.12),
        (smaller, 0.2),
    )
    """Before compression."""
    codecs: tuple[tuple[Step, float], ...] = (
        (untouched, 0.25), (video, 0.42), (photograph, 0.17), (twice, 0.08), (both, 0.08)
    )  # fmt: skip
    """One of them compresses."""
    spared: float = 0.2
    """Share of pictures that nothing happens to but compression."""

    def __call__(self, example: Example, rng: Rng) -> Example:
        """Send a picture along."""
        spared, chosen = rng.random() < self.spared, rng.random(len(self.steps))
        seeds = rng.integers(2**63, size=len(self.steps) + 1)
        for (step, p), draw, seed in zip(self.steps, chosen, seeds[1:], strict=True):
            if draw < p and not spared:
                example = step(example, np.random.default_rng(seed))
        weights = np.array([weight for _, weight in self.codecs])
        number = int(np.searchsorted(np.cumsum(weights) / weights.sum(), rng.random(), side="right"))
        return self.codecs[min(number, len(self.codecs) - 1)][0](example, np.random.default_rng(seeds[0]))
