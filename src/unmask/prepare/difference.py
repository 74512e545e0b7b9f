"""Compute where a fake differs from its original."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.types import ImageHW3

WINDOW_PX = 7
_STRIP_PX = 48
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def difference_mask(original_HW3: ImageHW3, fake_HW3: ImageHW3) -> NDArray[np.uint8] | None:
    """Return where two images differ: 255 (1 - SSIM), clipped to 0..255, as grey.

    SSIM (Wang et al. 2004) over a uniform window of 7 pixels, each channel by itself, as the challenge winner's
    scikit-image computes it (whose double precision differs by one level in a few pixels of a thousand). His values
    above 255, of a negative SSIM, wrapped around.

    Args:
        original_HW3: RGB, uint8.
        fake_HW3: RGB, uint8.

    Returns:
        (H, W) uint8; None when the images differ in size or are smaller than the window.
    """
    if original_HW3.shape != fake_HW3.shape or min(fake_HW3.shape[:2]) < WINDOW_PX:
        return None
    levels_HW3 = np.empty_like(fake_HW3)
    for top in range(0, len(fake_HW3), _STRIP_PX):  # strips stay in the CPU's cache
        above, below = max(0, top - WINDOW_PX // 2), top + _STRIP_PX + WINDOW_PX // 2
        similarity_HW3 = _similarity(original_HW3[above:below], fake_HW3[above:below])[top - above :][:_STRIP_PX]
        levels_HW3[top : top + _STRIP_PX] = np.clip(255 * (1 - similarity_HW3), 0, 255)
    return cv2.cvtColor(levels_HW3, cv2.COLOR_RGB2GRAY)


def _similarity(a_HW3: ImageHW3, b_HW3: ImageHW3) -> NDArray[np.float32]:
    """Return the SSIM of each pixel and channel: (2 ab + C1)(2 cov + C2) / (a² + b² + C1)(var + C2).

    Arrays are reused, since memory bandwidth decides the speed.
    """

    def mean(x_HW3: NDArray[np.generic], box: object = cv2.boxFilter) -> NDArray[np.float32]:
        return box(x_HW3, cv2.CV_32F, (WINDOW_PX, WINDOW_PX), borderType=cv2.BORDER_REFLECT)  # type: ignore[operator]

    a, b = mean(a_HW3), mean(b_HW3)
    covariance = mean(cv2.multiply(a_HW3, b_HW3, dtype=cv2.CV_32F))
    variances = mean(a_HW3, cv2.sqrBoxFilter)
    variances += mean(b_HW3, cv2.sqrBoxFilter)
    product = a * b
    a *= a
    b *= b
    a += b  # the squares of both means
    unbiased = np.float32(WINDOW_PX**2 / (WINDOW_PX**2 - 1))
    variances -= a
    variances *= unbiased
    variances += _C2
    a += _C1
    variances *= a
    covariance -= product
    covariance *= 2 * unbiased
    covariance += _C2
    product *= 2
    product += _C1
    covariance *= product
    covariance /= variances
    return covariance
