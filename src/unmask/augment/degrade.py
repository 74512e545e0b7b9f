"""Degrade images as camera and codecs do: distance, focus, noise, compression.

Meant for pairs: with the same generator both images get the same, so that quality says nothing about authenticity.
"""

from __future__ import annotations

from functools import partial

import cv2
import numpy as np

from unmask.augment.codec import H264
from unmask.augment.transforms import (
    Compose,
    Example,
    OneOf,
    Rng,
    Sometimes,
    Transform,
    brightness_contrast,
    flip,
    gaussian_noise,
    hue_saturation_value,
    jpeg,
    register_augmentation,
    resize,
    to_gray,
)

MIN_FACE_PX = 60
_video = H264(crf=(17, 40), p=1.0, p_scale=0.3)


def square_view(example: Example, rng: Rng, *, share: tuple[float, float], shift: float, size_px: int) -> Example:
    """Cut a square out of the middle and resize it.

    Args:
        example: A square image with context around the face.
        rng: Draws size and place.
        share: Min and max side of the cut, in sides of the image.
        shift: Max shift of its centre, in its own sides.
        size_px: Side of the result.
    """
    height, width = example.image_HW3.shape[:2]
    side = max(8, round(min(height, width) * float(rng.uniform(*share))))
    dx, dy = rng.uniform(-shift, shift, 2) * side
    left = int(np.clip((width - side) / 2 + dx, 0, width - side))
    top = int(np.clip((height - side) / 2 + dy, 0, height - side))
    rows, columns = slice(top, top + side), slice(left, left + side)
    points = None if example.landmarks_px is None else example.landmarks_px - np.array([left, top], np.float32)
    cut = Example(example.image_HW3[rows, columns], example.mask_HW[rows, columns], example.label, points)
    return resize(cut, rng, size_px=size_px)


def far_away(example: Example, rng: Rng, *, min_px: int = MIN_FACE_PX) -> Example:
    """Shrink an image, as if it had been filmed smaller, and enlarge it again; the filters are drawn."""
    height, width = example.image_HW3.shape[:2]
    scale = float(rng.uniform(min(1.0, min_px / min(height, width)), 1.0))
    size = max(8, round(width * scale)), max(8, round(height * scale))
    down = (cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC)[int(rng.integers(3))]
    up = (cv2.INTER_LINEAR, cv2.INTER_CUBIC)[int(rng.integers(2))]
    small_HW3 = cv2.resize(example.image_HW3, size, interpolation=down)
    image_HW3 = cv2.resize(small_HW3, (width, height), interpolation=up)
    return Example(image_HW3, example.mask_HW, example.label, example.landmarks_px)


def soft_focus(example: Example, rng: Rng, *, max_sigma_px: float = 1.5) -> Example:
    """Blur with a Gaussian whose sigma is drawn from 0.3 to ``max_sigma_px`` pixels."""
    image_HW3 = cv2.GaussianBlur(example.image_HW3, (0, 0), float(rng.uniform(0.3, max_sigma_px)))
    return Example(image_HW3, example.mask_HW, example.label, example.landmarks_px)


def cut_off(example: Example, rng: Rng, *, max_share: float = 0.2) -> Example:
    """Blacken up to ``max_share`` of the image at one or two of its sides, as where a face leaves its frame."""
    height, width = example.image_HW3.shape[:2]
    image_HW3, mask_HW = example.image_HW3.copy(), example.mask_HW.copy()
    for _ in range(int(rng.integers(1, 3))):
        side, share = int(rng.integers(4)), float(rng.uniform(0, max_share))
        rows = (slice(0, round(share * height)), slice(height - round(share * height), None))
        columns = (slice(0, round(share * width)), slice(width - round(share * width), None))
        gone = (rows[side], slice(None)) if side < 2 else (slice(None), columns[side - 2])
        image_HW3[gone], mask_HW[gone] = 0, 0
    return Example(image_HW3, mask_HW, example.label, example.landmarks_px)


@register_augmentation("degrade")
def degrade_train(size_px: int = 192, share: tuple[float, float] = (0.66, 0.9)) -> Transform:
    """Return the list for training on blends: view, light, then distance, focus, noise and compression."""
    return Compose((*_filmed(size_px, share), OneOf((_video, partial(jpeg, low=40), _unchanged))))


@register_augmentation("degrade_hard")
def degrade_hard(size_px: int = 192, share: tuple[float, float] = (0.66, 0.9)) -> Transform:
    """Return a harder list: half of the images are video, and some leave their frame."""
    return Compose(
        (
            *_filmed(size_px, share),
            OneOf((_video, _video, partial(jpeg, low=40), _unchanged)),
            Sometimes(cut_off, 0.15),
        )
    )


def _filmed(size_px: int, share: tuple[float, float]) -> tuple[Transform, ...]:
    return (
        partial(square_view, share=(share[0], share[1]), shift=0.05, size_px=size_px),
        Sometimes(flip, 0.5),
        Sometimes(OneOf((brightness_contrast, hue_saturation_value)), 0.5),
        Sometimes(to_gray, 0.05),
        Sometimes(far_away, 0.5),
        Sometimes(soft_focus, 0.2),
        Sometimes(partial(gaussian_noise, variance=(2, 40)), 0.2),
    )


@register_augmentation("degrade_val")
def degrade_val(size_px: int = 192, share: float = 0.78) -> Transform:
    """Return the list for validation: the view alone, in the middle."""
    return partial(square_view, share=(share, share), shift=0.0, size_px=size_px)


def _unchanged(example: Example, _: Rng) -> Example:
    return example
