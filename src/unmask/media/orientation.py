"""Turn stored frames upright, as players do and PyAV does not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from av.video.frame import VideoFrame

from unmask.media.side_data import side_data_of
from unmask.types import ImageHW3

_MATRIX_BYTES = 36


@dataclass(frozen=True, slots=True)
class Orientation:
    """One of the eight ways to turn and mirror an image by right angles."""

    transpose: bool = False
    """Swap rows and columns first."""
    flip_x: bool = False
    """Then mirror left to right."""
    flip_y: bool = False
    """Then mirror top to bottom."""

    @property
    def mirrored(self) -> bool:
        """Tell whether the result is a mirror image."""
        return self.transpose ^ self.flip_x ^ self.flip_y

    @property
    def rotation_degrees(self) -> int:
        """Counter-clockwise turn; for mirrored images the turn before the left-right mirror."""
        flip_x = self.flip_x ^ self.mirrored
        if self.transpose:
            return 270 if flip_x else 90
        return 180 if flip_x else 0

    def apply(self, image_HW3: ImageHW3) -> ImageHW3:
        """Return the upright image."""
        import cv2  # a process that decodes needs none of it

        if self.transpose:
            image_HW3 = cv2.transpose(image_HW3)
        if self.flip_x or self.flip_y:
            image_HW3 = cv2.flip(image_HW3, -1 if self.flip_x and self.flip_y else int(self.flip_x))
        return image_HW3


def orientation_of(frame: VideoFrame) -> Orientation:
    """Read the display matrix of a decoded frame; anything but right angles counts as upright.

    The matrix [[a, b], [c, d]] (16.16 fixed point, ISO/IEC 14496-12) sends a stored pixel (x, y) to
    (a x + c y, b x + d y).
    """
    data = side_data_of(frame, "DISPLAYMATRIX")
    if data is None or len(data) != _MATRIX_BYTES:
        return Orientation()
    matrix = np.frombuffer(data, np.int32).reshape(3, 3)[:2, :2].astype(np.int64)
    (a, b), (c, d) = np.sign(np.where(np.abs(matrix) > 2**15, matrix, 0)).tolist()
    if a and d and not (b or c):
        return Orientation(False, a < 0, d < 0)
    if b and c and not (a or d):
        return Orientation(True, c < 0, b < 0)
    return Orientation()
