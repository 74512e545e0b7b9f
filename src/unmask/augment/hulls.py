"""Estimate the outline of a face from five landmarks, and make the soft masks through which faces are pasted.

A landmark model of 68 points would draw the outline of a face; five points place a mean one. They span face
coordinates (a, b) that turn, grow and mirror with the face:

- b runs from the middle of the eyes (0) to the middle of the mouth (1), so it follows roll and pitch. The brows of a
  mean face end at -0.4, the hair begins near -0.9, the chin ends at 1.63 (facial proportions after Farkas 1994).
- a runs at right angles from one cheek (-1) to the other (1). Seen from the front a cheek is 1.02 eye distances from
  the middle. The nose stands about 0.4 eye distances before the eyes, so how far it leaves the middle tells the sine
  of the yaw; the cheek it points to comes nearer by up to 0.6 eye distances and the other one goes as far away.
- a = 0 bends from the eyes through the tip of the nose to the mouth, so that half faces and noses turn along.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

MIN_LENGTH_PX = 2.0
"""Distance from eyes to mouth below which landmarks are degenerate."""

RATIOS = (0.25, 0.5, 0.75, 1.0, 1.0, 1.0)
"""Weights of the source in the middle of the mask, each as likely (arXiv 2204.08376)."""

ELASTIC_ALPHA_PX, ELASTIC_SIGMA_PX, ELASTIC_SIDE_PX = 50.0, 7.0, 256
"""Strength and smoothness of the mask's deformation, for an image of this side (arXiv 2204.08376)."""

_FIELD_STEP_PX = 4
_FURTHEST_PX = 1e5

_JAW = ((1.0, 0.0), (1.0, 0.3), (0.96, 0.65), (0.87, 1.0), (0.72, 1.28), (0.45, 1.52), (0.15, 1.63))
_FOREHEAD = ((0.96, -0.35), (0.82, -0.6), (0.5, -0.8), (0.17, -0.86))
_BROWS = ((0.92, -0.25), (0.62, -0.38), (0.2, -0.42))
_MIDDLE = ((0.7, 0.1), (0.68, -0.18), (0.5, -0.34), (0.15, -0.36), (0.62, 0.75), (0.52, 1.08), (0.25, 1.24))
_EYES = ((0.88, 0.0), (0.82, -0.28), (0.5, -0.4), (0.84, 0.22), (0.5, 0.32), (0.1, 0.34))
_NOSE = ((0.12, -0.08), (0.3, 0.5), (0.34, 0.68), (0.2, 0.8))
_MOUTH = ((0.3, 0.66), (0.62, 0.8), (0.72, 1.05), (0.62, 1.3), (0.4, 1.5), (0.12, 1.6))


def _mirrored(points: Sequence[tuple[float, float]]) -> Floats:
    right = np.array(points, np.float32)
    return np.concatenate([right, right * [-1, 1]]).astype(np.float32)


def _half(side: int) -> Floats:
    right = np.array((*_JAW, *_FOREHEAD, (-0.06, -0.86), (-0.06, 1.63)), np.float32)
    return (right * [side, 1]).astype(np.float32)


HULLS = {
    "full": _mirrored((*_JAW, *_FOREHEAD)),
    "brows": _mirrored((*_JAW, *_BROWS)),
    "inner": _mirrored(_MIDDLE),
    "eyes": _mirrored(_EYES),
    "nose": _mirrored(_NOSE),
    "mouth": _mirrored(_MOUTH),
    "left": _half(-1),
    "right": _half(1),
}
"""Corners in face coordinates by name; ``brows`` is what 68 landmarks span, ``left`` and ``right`` are half faces."""

WHOLE = ("full", "brows", "inner")
"""Hulls that hold all five landmarks."""

HULL_WEIGHTS = {
    "full": 0.35, "brows": 0.15, "inner": 0.2, "mouth": 0.1, "left": 0.05, "right": 0.05, "eyes": 0.06, "nose": 0.04
}  # fmt: skip
"""How often each hull is drawn; partial ones in three of ten."""


@dataclass(frozen=True, slots=True)
class FaceFrame:
    """The face coordinates (a, b) of one face; see the docstring of the module."""

    eyes_px: NDArray[np.float64]
    """(2,) x, y of the middle between the eyes."""
    across: NDArray[np.float64]
    """(2,) unit vector from the left to the right of the face as it is seen."""
    down_px: NDArray[np.float64]
    """(2,) vector from the middle of the eyes to the middle of the mouth."""
    cheeks_px: tuple[float, float]
    """Distance from the middle line to the left and to the right outline."""
    nose_px: float
    """How far the nose is from the middle line, to the right."""
    nose_height: float
    """The b of the nose, held in 0.2..0.9."""

    @classmethod
    def of(cls, landmarks_K2: NDArray[np.floating]) -> FaceFrame:
        """Measure a face.

        Args:
            landmarks_K2: (5, 2) x, y in pixels: left eye, right eye, nose, left and right mouth corner.

        Raises:
            ValueError: The landmarks have another shape, are not finite or further than 1e5 px away, or the middle of
                the mouth falls on that of the eyes.
        """
        points = np.asarray(landmarks_K2, np.float64)
        if points.shape != (5, 2) or not (np.abs(points) < _FURTHEST_PX).all():
            raise ValueError(f"landmarks are (5, 2) pixels of an image, not {points.tolist()}")
        eyes = points[:2].mean(0)
        down = points[3:].mean(0) - eyes
        length = float(np.hypot(*down))
        if length < MIN_LENGTH_PX:
            raise ValueError(f"eyes and mouth are {length:.1f} px apart; at least {MIN_LENGTH_PX} are needed")
        across = np.array([down[1], -down[0]]) / length
        x, y = (points - eyes) @ across, (points - eyes) @ down / length**2
        eye_distance = max(float(np.hypot(*(points[1] - points[0]))), 0.8 * length)  # as if seen from the front
        turn = np.clip(x[2] / (0.4 * eye_distance), -1, 1)
        left, right = (
            max(eye_distance * (1.02 - 0.6 * side * turn), (side * x).max() + 0.15 * eye_distance) for side in (-1, 1)
        )
        return cls(eyes, across, down, (float(left), float(right)), float(x[2]), float(np.clip(y[2], 0.2, 0.9)))

    @property
    def length_px(self) -> float:
        """Distance from eyes to mouth."""
        return float(np.hypot(*self.down_px))

    @property
    def size_px(self) -> tuple[float, float]:
        """Width from cheek to cheek and height from brows to chin: what 68 landmarks would span."""
        return sum(self.cheeks_px), 2.03 * self.length_px

    def to_pixels(self, points_P2: NDArray[np.floating]) -> Floats:
        """Return where points (a, b) of the face are in the image, (P, 2) x, y."""
        a, b = np.asarray(points_P2, np.float64).T
        middle = self.nose_px * np.interp(b, [0, self.nose_height, 1], [0, 1, 0])
        x = a * np.where(a < 0, *self.cheeks_px) + middle * (1 - np.abs(a))
        return (self.eyes_px + x[:, None] * self.across + b[:, None] * self.down_px).astype(np.float32)


def hull(landmarks_K2: NDArray[np.floating], name: str = "full") -> Floats:
    """Return the convex outline of a face, or of a part of it.

    Args:
        landmarks_K2: (5, 2) x, y in pixels.
        name: One of `HULLS`; those in `WHOLE` hold all five landmarks.

    Returns:
        (P, 2) corners in pixels; may reach past the border of the image.

    Raises:
        ValueError: The landmarks are degenerate, see `FaceFrame.of`.
    """
    points = FaceFrame.of(landmarks_K2).to_pixels(HULLS[name])
    if name in WHOLE:
        points = np.concatenate([points, np.asarray(landmarks_K2, np.float32)])
    return cv2.convexHull(points)[:, 0]


def draw_hull(rng: np.random.Generator, names: Sequence[str] = tuple(HULLS)) -> str:
    """Draw one of the named hulls by `HULL_WEIGHTS`."""
    weights = np.array([HULL_WEIGHTS[name] for name in names])
    return str(rng.choice(names, p=weights / weights.sum()))


@dataclass(frozen=True, slots=True)
class Softness:
    """How the edge of a mask is blurred (arXiv 2204.08376)."""

    size_HW: tuple[int, int]
    """Height and width at which the mask is made, 192..256 px each."""
    kernels_px: tuple[int, int]
    """Sides of the two Gaussian kernels, odd, 5..25 px: the first shrinks the mask, the second blurs it."""
    sigma_px: int
    """Sigma of the second kernel, 5..45 px."""
    ratio: float
    """Max weight of the source, one of `RATIOS`."""

    @classmethod
    def draw(cls, rng: np.random.Generator, ratios: Sequence[float] = RATIOS) -> Softness:
        """Draw each value independently and uniformly."""
        height, width = (int(side) for side in rng.integers(192, 257, 2))
        first, second = (int(side) for side in rng.choice(np.arange(5, 26, 2), 2))
        return cls((height, width), (first, second), int(rng.integers(5, 46)), float(rng.choice(ratios)))


def fill(polygon_P2: Floats, shape_HW: tuple[int, int]) -> Floats:
    """Return a mask (H, W) that is 1 inside a convex polygon in pixels and 0 outside."""
    corners = np.rint(np.clip(polygon_P2, -_FURTHEST_PX, _FURTHEST_PX) * 16).astype(np.int32)
    return cv2.fillConvexPoly(np.zeros(shape_HW, np.float32), corners, 1.0, shift=4)


def elastic_field(shape_HW: tuple[int, int], rng: np.random.Generator) -> Floats:
    """Return a random smooth displacement (H, W, 2), x and y in pixels (Simard et al. 2003).

    It is noise in -1..1 at each pixel, blurred with a sigma of 7 px and multiplied by 50 px, for an image of 256 px,
    and grows with the image. As it is smooth it is drawn on every fourth pixel, with noise of the same density.
    """
    side = ELASTIC_SIDE_PX // _FIELD_STEP_PX
    noise = 2 * rng.random((side, side, 2), np.float32) - 1
    smooth = cv2.GaussianBlur(noise, (0, 0), ELASTIC_SIGMA_PX / _FIELD_STEP_PX)
    height, width = shape_HW
    stretch = np.array([width, height], np.float32) / ELASTIC_SIDE_PX * ELASTIC_ALPHA_PX / _FIELD_STEP_PX
    return cv2.resize(smooth * stretch, (width, height))


def displace(image: NDArray[Any], field_HW2: Floats) -> NDArray[Any]:
    """Return an image or mask whose pixels are taken from where ``field_HW2`` points (x, y offsets in pixels)."""
    height, width = field_HW2.shape[:2]
    x = field_HW2[..., 0] + np.arange(width, dtype=np.float32)
    y = field_HW2[..., 1] + np.arange(height, dtype=np.float32)[:, None]
    return cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def soften(mask_HW: Floats, softness: Softness) -> Floats:
    """Shrink a mask by blurring it and keeping its fully covered pixels, blur it again, and scale its max to 1.

    The first step shrinks the mask by half the first kernel. Where less than a fifth of it would be left, as with the
    small hull of a nose, the kernel is halved.
    """
    first, second = softness.kernels_px
    core = _shrunk(mask_HW, first)
    while first > 3 and core.sum() < 0.2 * mask_HW.sum():
        first = first // 2 | 1
        core = _shrunk(mask_HW, first)
    soft = cv2.GaussianBlur(core, (second, second), softness.sigma_px)
    return np.minimum(soft / soft.max(), 1)


def _shrunk(mask_HW: Floats, kernel_px: int) -> Floats:
    blurred = cv2.GaussianBlur(mask_HW, (kernel_px, kernel_px), 0)
    return (blurred > 0.99999 * blurred.max()).astype(np.float32)


def blend_mask(
    polygon_P2: Floats,
    shape_HW: tuple[int, int],
    rng: np.random.Generator,
    *,
    ratios: Sequence[float] = RATIOS,
    allowed_HW: Floats | None = None,
) -> Floats:
    """Return the weight of the source at each pixel: a hull, deformed and softened (arXiv 2204.08376).

    Args:
        polygon_P2: Convex hull in pixels of the image.
        shape_HW: Height and width of the image; meant to be about twice as wide as the face.
        rng: Generator of all draws.
        ratios: Max weights to draw from, each in 0..1.
        allowed_HW: Not 0 where the source may be pasted.

    Returns:
        (H, W) in 0..1; exactly 0 away from the hull.

    Raises:
        ValueError: The hull lies outside the image, or nothing may be pasted there.
    """
    softness = Softness.draw(rng, ratios)
    height, width = softness.size_HW
    scale = np.array([width / shape_HW[1], height / shape_HW[0]], np.float32)
    mask = fill((polygon_P2 + 0.5) * scale - 0.5, softness.size_HW)
    if allowed_HW is not None:
        mask *= cv2.resize(allowed_HW, (width, height), interpolation=cv2.INTER_NEAREST)
    mask = displace(mask, elastic_field(softness.size_HW, rng))
    if not mask.any():
        raise ValueError("the face lies outside the image; nothing can be pasted there")
    shrinks = height > shape_HW[0] or width > shape_HW[1]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    soft = cv2.resize(soften(mask, softness), shape_HW[::-1], interpolation=interpolation)
    return softness.ratio * np.clip(soft, 0, 1)
