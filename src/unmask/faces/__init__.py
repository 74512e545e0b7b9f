"""Find faces in frames, link them to tracks and people, and cut their crops.

A new detector is one file: a class with `Detector.detect`, decorated with ``@register("name")``, imported in
`unmask.faces.detect.load_detector`'s table or offered by an outside package under the entry point group
``unmask.detectors``.
"""

from unmask.faces.crop import crop_face, cut_face
from unmask.faces.detect import (
    DETECTORS,
    Detector,
    detect_around,
    detect_large,
    detect_near,
    detector_scale,
    load_detector,
    scaled_frame,
)
from unmask.faces.track import Tracker

__all__ = [
    "DETECTORS",
    "Detector",
    "Tracker",
    "crop_face",
    "cut_face",
    "detect_around",
    "detect_large",
    "detect_near",
    "detector_scale",
    "load_detector",
    "scaled_frame",
]
