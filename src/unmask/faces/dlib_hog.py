"""dlib's frontal face detector: histograms of oriented gradients (King 2015, arXiv 1502.00046).

dlib is no dependency of unmask, since installing it compiles it; ``pip install dlib`` adds it.
"""

from __future__ import annotations

import math
import threading
from importlib import import_module
from typing import Any

from unmask.errors import UsageError
from unmask.faces.detect import largest_first, register, scaled_frame
from unmask.types import DetectorSpec, Face, ImageHW3

_WINDOW_PX = 80
"""Side of the smallest face that the detector finds in an image as it is."""


@register("dlib")
class DlibHog:
    """dlib's frontal detector. It gives no landmarks.

    Of the settings, ``scale`` and ``min_face_px`` count: where faces below 80 pixels are wanted, the frame is searched
    at twice its size, which finds those from 40 pixels up. One instance serves many threads.

    Raises:
        UsageError: dlib is not installed.
    """

    def __init__(self, settings: DetectorSpec) -> None:
        self.settings = settings
        self._own = _Own(_import_dlib())

    def detect(self, image_HW3: ImageHW3) -> list[Face]:
        """Return the faces of an upright RGB frame in its own pixels, largest first."""
        small, x_scale, y_scale = scaled_frame(image_HW3, self.settings)
        boxes, scores, _ = self._own.detector.run(
            small, upsample_num_times=int(self.settings.min_face_px < _WINDOW_PX), adjust_threshold=0.0
        )
        return largest_first(
            Face(
                # dlib counts the last pixel in, so the box ends one further.
                (box.left() * x_scale, box.top() * y_scale, (box.right() + 1) * x_scale, (box.bottom() + 1) * y_scale),
                score_to_confidence(score),
            )
            for box, score in zip(boxes, scores, strict=True)
            if min(box.width(), box.height()) >= self.settings.min_face_px
        )


def score_to_confidence(score: float) -> float:
    """Map dlib's score to 0..1 by the logistic function.

    The score is the distance from the hyperplane of a support vector machine: any number, 0 at dlib's own threshold,
    above 1 for a clear face. So a reported face has 0.5 or more, and a clear one 0.73 or more. It ranks faces, but is
    no probability, and does not compare with the confidence of another detector.
    """
    return 0.5 * (1.0 + math.tanh(score / 2))  # unlike 1 / (1 + exp(-score)), it cannot overflow


class _Own(threading.local):
    """Each thread's own detector: a detector keeps its feature pyramid while it searches."""

    def __init__(self, dlib: Any) -> None:
        self.detector = dlib.get_frontal_face_detector()


def _import_dlib() -> Any:
    try:
        return import_module("dlib")
    except ImportError as error:
        raise UsageError(
            "the face detector 'dlib' needs dlib, which is not installed; run: pip install dlib"
        ) from error
