"""How well a face can be seen: what a model's calibration, and the rule of who can be judged, depend on."""

from __future__ import annotations

import cv2
import numpy as np

from unmask.types import Face, FaceQuality, ImageHW3

MEASURED_SIDE_PX = 112
"""Faces are resized to this longer side before their sharpness is measured, so that it does not depend on their size
but for what a small face lacks."""
_MIN_SIDE_PX = 8


def measure_quality(image_HW3: ImageHW3, face: Face, *, quantiser: float | None = None) -> FaceQuality:
    """Measure how well one face can be seen.

    Args:
        image_HW3: The upright frame, (H, W, 3) uint8 RGB.
        face: Where the face is.
        quantiser: How coarsely the frame is quantised, 0 to 1; None when unknown.
    """
    return FaceQuality(
        side_px=face.side_px,
        sharpness=sharpness(image_HW3, face),
        confidence=face.confidence,
        quantiser=quantiser,
    )


def sharpness(image_HW3: ImageHW3, face: Face) -> float:
    """Return how much fine detail a face has beside its contrast, from 0; about 0.1 in a sharp photograph.

    The measure is the standard deviation of the finest octave of the luma of the box (what a Gaussian of one pixel
    takes away, after the box was resized to `MEASURED_SIDE_PX`) over that of all of the luma. Blur, enlargement and
    coarse quantisation take the finest octave away. Contrast and brightness cancel.

    Args:
        image_HW3: The upright frame, (H, W, 3) uint8 RGB.
        face: Where the face is.

    Returns:
        The measure; 0 where less than a few pixels of the face are within the frame.
    """
    height, width = image_HW3.shape[:2]
    x1, y1, x2, y2 = (round(value) for value in face.xyxy_px)
    patch_HW3 = image_HW3[max(0, y1) : min(height, y2), max(0, x1) : min(width, x2)]
    if min(patch_HW3.shape[:2]) < _MIN_SIDE_PX:
        return 0.0
    scale = MEASURED_SIDE_PX / max(patch_HW3.shape[:2])
    filtering = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    resized_HW3 = cv2.resize(patch_HW3, None, fx=scale, fy=scale, interpolation=filtering)
    luma_HW = cv2.cvtColor(resized_HW3, cv2.COLOR_RGB2GRAY).astype(np.float32)
    fine_HW = luma_HW - cv2.GaussianBlur(luma_HW, (0, 0), 1.0)
    return float(fine_HW.std() / max(float(luma_HW.std()), 1.0))
