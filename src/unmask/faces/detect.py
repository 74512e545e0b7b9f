"""Define and load face detectors, and scale frames for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from typing import Literal, Protocol, runtime_checkable

import cv2
import numpy as np
from PIL import Image

from unmask.errors import UsageError
from unmask.faces.shrink import shrink_by_area
from unmask.runtime.plug_ins import enter_plug_ins
from unmask.types import DetectorSpec, Face, ImageHW3


class Detector(Protocol):
    """Finds faces in one frame. Safe to call from several threads."""

    def detect(self, image_HW3: ImageHW3) -> list[Face]:
        """Return the faces of an upright RGB frame in its own pixels, largest first."""
        ...


@runtime_checkable
class FindsLarge(Protocol):
    """A detector that takes less time where small faces need not be found."""

    def detect_large(self, image_HW3: ImageHW3, least_side_px: float) -> list[Face]:
        """Return what `Detector.detect` does; faces with a smaller side may be missing."""
        ...


@runtime_checkable
class FindsNear(Protocol):
    """A detector that finds faces again where they were, in a small share of the time."""

    def detect_near(self, image_HW3: ImageHW3, faces: Sequence[Face]) -> list[Face] | None:
        """Return where these faces of an earlier frame are now, largest first; None where one is not found again."""
        ...


@runtime_checkable
class FindsAround(Protocol):
    """A detector that takes less time for a frame between two of one shot, whose faces are known."""

    def detect_around(self, image_HW3: ImageHW3, pairs: Sequence[tuple[Face, Face]]) -> list[Face]:
        """Return what `Detector.detect` does; small faces may be missing that lie on the way of none of the pairs."""
        ...


def detect_around(detector: Detector, image_HW3: ImageHW3, pairs: Sequence[tuple[Face, Face]]) -> list[Face]:
    """Find the faces of a frame between two others; small ones may be missing that are in neither.

    Args:
        detector: Finds them.
        image_HW3: The frame, upright, (H, W, 3) uint8 RGB.
        pairs: Where each face is in the frame before and in the one after.
    """
    if isinstance(detector, FindsAround):
        return detector.detect_around(image_HW3, pairs)
    return detector.detect(image_HW3)


def detect_near(detector: Detector, image_HW3: ImageHW3, faces: Sequence[Face]) -> list[Face] | None:
    """Find the faces of an earlier frame again; None where the detector cannot, or one of them is gone."""
    return detector.detect_near(image_HW3, faces) if faces and isinstance(detector, FindsNear) else None


def detect_large(detector: Detector, image_HW3: ImageHW3, least_side_px: float) -> list[Face]:
    """Find the faces of a frame; those below a side may be missing, where that saves the detector time."""
    if least_side_px > 0 and isinstance(detector, FindsLarge):
        return detector.detect_large(image_HW3, least_side_px)
    return detector.detect(image_HW3)


DETECTORS: dict[str, Callable[[DetectorSpec], Detector]] = {}
"""Name -> function that builds a detector from its settings."""

_BUILT_IN = {
    "mtcnn": "unmask.faces.mtcnn",
    "haar": "unmask.faces.haar",
    "dlib": "unmask.faces.dlib_hog",
    "retinaface": "unmask.faces.retinaface",
}


def register(name: str) -> Callable[[Callable[[DetectorSpec], Detector]], Callable[[DetectorSpec], Detector]]:
    """Enter a detector class (or factory) into `DETECTORS` under ``name``."""

    def enter(factory: Callable[[DetectorSpec], Detector]) -> Callable[[DetectorSpec], Detector]:
        DETECTORS[name] = factory
        return factory

    return enter


def load_detector(settings: DetectorSpec) -> Detector:
    """Build the detector that ``settings`` name: a built-in one or an installed plug-in.

    Raises:
        UsageError: No detector has that name, it needs a package that is not installed, or a plug-in is broken.
    """
    name = settings.detector
    if name in _BUILT_IN:
        import_module(_BUILT_IN[name])
    else:
        enter_plug_ins("unmask.detectors", DETECTORS, name)
    if name not in DETECTORS:
        raise UsageError(f"unknown face detector {name!r}; use one of {', '.join(sorted({*_BUILT_IN, *DETECTORS}))}")
    return DETECTORS[name](settings)


def detector_scale(width: int, height: int, scale: float | Literal["adaptive"] = "adaptive") -> float:
    """Return the factor by which a frame is resized before faces are looked for.

    ``adaptive`` is the rule of the challenge winner, by the longer side L in pixels: 2 below 300, 1 up to
    1000, 0.5 up to 1900, 0.33 above. The winner's released code always used 0.5.
    """
    if scale != "adaptive":
        return scale
    longer = max(width, height)
    if longer < 300:
        return 2.0
    if longer <= 1000:
        return 1.0
    return 0.5 if longer <= 1900 else 0.33


def scaled_frame(image_HW3: ImageHW3, settings: DetectorSpec) -> tuple[ImageHW3, float, float]:
    """Resize a frame as ``settings`` say.

    Returns:
        The image to search, and the factors (x, y) that lead from its pixels back to those of the frame.
    """
    height, width = image_HW3.shape[:2]
    factor = detector_scale(width, height, settings.scale)
    if factor == 1:
        return image_HW3, 1.0, 1.0
    size = (max(1, int(width * factor)), max(1, int(height * factor)))
    if factor < 1 and settings.shrink == "bicubic":
        small = np.asarray(Image.fromarray(image_HW3).resize(size, Image.Resampling.BICUBIC))
    elif factor < 1:
        small = shrink_by_area(image_HW3, size)
    else:
        small = cv2.resize(image_HW3, size, interpolation=cv2.INTER_CUBIC)
    return small, width / size[0], height / size[1]


def largest_first(faces: Iterable[Face]) -> list[Face]:
    """Sort faces by the area of their boxes, those of equal area from left to right."""

    def key(face: Face) -> tuple[float, tuple[float, ...]]:
        x1, y1, x2, y2 = face.xyxy_px
        return -(x2 - x1) * (y2 - y1), face.xyxy_px

    return sorted(faces, key=key)
