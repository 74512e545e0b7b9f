"""OpenCV's frontal face cascade (Viola and Jones 2001), with the settings of the exploration notebook.

An old and quick detector: upright frontal faces only, and many false alarms. `unmask explore` compares others with it.
"""

from __future__ import annotations

import threading
from pathlib import Path

import cv2
import cv2.data

from unmask.errors import ModelError
from unmask.faces.detect import largest_first, register, scaled_frame
from unmask.types import DetectorSpec, Face, ImageHW3

_SCALE_FACTOR, _MIN_NEIGHBOURS = 1.3, 5
_CASCADE = "haarcascade_frontalface_default.xml"


@register("haar")
class Haar:
    """The cascade of OpenCV. It gives neither scores nor landmarks: every confidence is 1.0.

    One instance serves many threads. Of the settings, ``scale`` and ``min_face_px`` count.

    Raises:
        ModelError: OpenCV came without the cascade.
    """

    def __init__(self, settings: DetectorSpec) -> None:
        self.settings = settings
        self._own = _Own()

    def detect(self, image_HW3: ImageHW3) -> list[Face]:
        """Return the faces of an upright RGB frame in its own pixels, largest first."""
        small, x_scale, y_scale = scaled_frame(image_HW3, self.settings)
        boxes = self._own.cascade.detectMultiScale(
            cv2.cvtColor(small, cv2.COLOR_RGB2GRAY),
            scaleFactor=_SCALE_FACTOR,
            minNeighbors=_MIN_NEIGHBOURS,
            minSize=(round(self.settings.min_face_px), round(self.settings.min_face_px)),
        )
        return largest_first(
            Face((x * x_scale, y * y_scale, (x + w) * x_scale, (y + h) * y_scale), 1.0)
            for x, y, w, h in ([int(value) for value in box] for box in boxes)
        )


class _Own(threading.local):
    """Each thread's own cascade: a cascade changes its state while it searches."""

    def __init__(self) -> None:
        path = Path(cv2.data.haarcascades) / _CASCADE
        self.cascade = cv2.CascadeClassifier(str(path))
        if self.cascade.empty():
            raise ModelError(f"OpenCV has no usable {path}; run: pip install 'opencv-python-headless>=4.10,<5'")
