"""Cut out parts of faces (the challenge winner's dropouts and others), and mix aligned pairs.

The challenge's winner blackens parts of the raw crop before `unmask.augment.transforms.winner_train`, so that a network
looks at more than the mouth. Cutting out landmarks and half a face leaves the mask as it is. The other cut-outs blacken
the mask too, and never leave a fake with 20 manipulated pixels or less.

Source: selimsef/dfdc_deepfake_challenge, where not said otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.augment.transforms import Example, Floats, Points, Rng, Sometimes, Transform, register_augmentation
from unmask.errors import UsageError

Part = Literal["eyes", "mouth", "nose"]
Bools = NDArray[np.bool_]
Outline = Callable[[Example], Floats | None]
"""Finds the outline of the face in an example: (n, 2) x, y in pixels; None when there is none."""

GUARD_PX = 20
"""A fake has to show more manipulated pixels than this after a guarded dropout."""
ATTEMPTS = 5
"""Draws of a guarded dropout before the example is left as it is."""

_CROSS_33 = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
_DLIB_OUTLINE = [*range(17), *range(26, 16, -1)]
_HALF_OUTLINE = (  # across from the middle in distances of the eyes, down from the eyes in distances eyes-mouth
    (0.45, -0.45), (0.85, -0.35), (1.10, 0.00), (1.05, 0.50), (0.85, 1.10), (0.50, 1.55), (0.20, 1.70),
)  # fmt: skip


def is_valid(example: Example) -> bool:
    """Tell whether an example may be learned from: a real one, or a fake with more than 32 mask pixels above 20.

    The winner asks after the dropouts and `unmask.augment.transforms.padding_part`, before the other transforms.
    """
    return example.label < 0.5 or int(np.count_nonzero(example.mask_HW > 20)) > 32


def mixup(real: Example, fake: Example, rng: Rng) -> Example:
    """Mix an aligned pair: (1 - l) real + l fake with l ~ Beta(0.5, 0.5), and label l (NTechLab).

    The mask is the fake's times l; the landmarks are the fake's.

    Raises:
        UsageError: The two differ in size.
    """
    if real.image_HW3.shape != fake.image_HW3.shape:
        raise UsageError(f"{real!r} and {fake!r} differ in size; mix crops of the same box")
    share = float(rng.beta(0.5, 0.5))
    image_HW3 = cv2.addWeighted(real.image_HW3, 1 - share, fake.image_HW3, share, 0)
    return Example(image_HW3, cv2.convertScaleAbs(fake.mask_HW, alpha=share), share, fake.landmarks_px)


def landmark_region(landmarks_px: Points, part: Part, shape: tuple[int, int]) -> Bools:
    """Return the pixels (H, W) that the blackout of a part covers.

    A line of 2 pixels, from eye to eye, from one corner of the mouth to the other, or from the nose to the middle of
    the eyes, dilated by the cross of 3x3 pixels: by a quarter of the distance of the eyes, for the mouth by a third of
    its width. Below one dilation the line stays as it is.
    """
    points = [(int(x), int(y)) for x, y in landmarks_px]  # int16 would overflow
    (x1, y1), (x2, y2) = points[3:] if part == "mouth" else points[:2]
    distance = float(np.hypot(x2 - x1, y2 - y1))
    line = (points[2], (int((x1 + x2) / 2), int((y1 + y2) / 2))) if part == "nose" else ((x1, y1), (x2, y2))
    region = cv2.line(np.zeros(shape, np.uint8), *line, 1, 2)
    times = int(distance // (3 if part == "mouth" else 4))
    return cv2.dilate(region, _CROSS_33, iterations=times).astype(bool) if times else region.astype(bool)


@register_augmentation("landmark_blackout")
def landmark_blackout() -> Transform:
    """Blacken the eyes (50 %), the mouth (25 %), the nose (12.5 %) or nothing; nothing without landmarks."""
    return _landmark_blackout


def _landmark_blackout(example: Example, rng: Rng) -> Example:
    parts: tuple[Part, ...] = ("eyes", "mouth", "nose")
    part = next((part for part in parts if rng.random() < 0.5), None)
    if example.landmarks_px is None or part is None:
        return example
    return _blackened(example, landmark_region(example.landmarks_px, part, example.mask_HW.shape[:2]))


def five_point_outline(example: Example) -> Floats | None:
    """Return the outline of the face, brows to chin, from its five landmarks.

    In a face seen from the front, whose eyes lie 1 apart, the cheeks are 2.2 apart, and from the eyes it is 0.45 of the
    way to the mouth up to the brows and 1.7 down to the chin. That outline is laid along the line of the eyes and the
    line from eyes to mouth. As a face turns away its eyes come closer, its nose leaves that line, and a cheek shows on
    the other side: so the outline moves away from the nose by as much, and counts the eyes as at least 0.7 of the way
    to the mouth apart. The hull with the landmarks themselves keeps all of them inside.
    """
    if example.landmarks_px is None:
        return None
    points = np.asarray(example.landmarks_px, np.float64)
    eyes = points[:2].mean(0)
    across, down, nose = points[1] - points[0], points[3:].mean(0) - eyes, points[2] - eyes
    across *= max(1.0, 0.7 * float(np.linalg.norm(down)) / max(float(np.linalg.norm(across)), 1e-6))
    sideways = nose - down * (nose @ down) / max(float(down @ down), 1e-6)
    half = np.array(_HALF_OUTLINE)
    both = np.concatenate([half, half * (-1, 1)])
    outline = eyes - sideways + both[:, :1] * across + both[:, 1:] * down
    return cv2.convexHull(np.concatenate([outline, points]).astype(np.float32))[:, 0].astype(np.float64)


@dataclass(frozen=True, slots=True)
class DlibOutline:
    """Outline of jaw and brows from dlib's 68 points, as the winner takes it; needs dlib and a predictor's file."""

    predictor: Path

    def __post_init__(self) -> None:
        load_dlib(self.predictor)  # fails now rather than amid an epoch

    def __call__(self, example: Example) -> Floats | None:
        """Return the 27 points, None when dlib sees no face."""
        detector, predictor = load_dlib(self.predictor)
        faces = detector(example.image_HW3)
        if not faces:
            return None
        points = np.array([(point.x, point.y) for point in predictor(example.image_HW3, faces[0]).parts()], np.float64)
        return points[_DLIB_OUTLINE]


@cache
def load_dlib(predictor: Path) -> tuple[Any, Any]:
    """Load dlib's detector and predictor, once a process, since they cannot be sent to another one.

    Raises:
        UsageError: dlib or the file is missing.
    """
    try:
        import dlib

        return dlib.get_frontal_face_detector(), dlib.shape_predictor(str(predictor))
    except (ImportError, RuntimeError) as error:
        raise UsageError(f"no outline from dlib ({error}); leave the predictor out to use five landmarks") from error


@register_augmentation("half_face")
def half_face_blackout(predictor: str | None = None) -> Transform:
    """Blacken one half of the face, cut through its middle across or down; nothing where no outline is found.

    Args:
        predictor: File of dlib's 68 points; None takes the outline from the five landmarks.
    """
    return partial(_half_face_blackout, outline=DlibOutline(Path(predictor)) if predictor else five_point_outline)


def _half_face_blackout(example: Example, rng: Rng, *, outline: Outline) -> Example:
    points = outline(example)
    across, first = rng.random(2) < 0.5
    if points is None:
        return example
    face = cv2.fillPoly(np.zeros(example.mask_HW.shape, np.uint8), [np.rint(points).astype(np.int32)], 1).astype(bool)
    rows, columns = np.nonzero(face)
    if not len(rows):
        return example
    y, x = (np.arange(side) for side in face.shape)
    before = (y < int(rows.mean()))[:, None] if across else x < int(columns.mean())
    return _blackened(example, face & (before == first))


@register_augmentation("half_image")
def half_image_blackout(exact: bool = True) -> Transform:
    """Blacken the top, bottom, left or right half, or two opposite quarters, where the mask allows it.

    Args:
        exact: Split the rows at half the width like the winner, so that of a tall crop the top is smaller and of one
            more than twice as wide as high all or nothing goes; False splits them at half the height.
    """
    return partial(_half_image_blackout, exact=exact)


def half_image_keeps(height: int, width: int, exact: bool = True) -> list[Bools]:
    """Return the six masks (H, W) of pixels that stay."""
    below = (np.arange(height) >= (width if exact else height) // 2)[:, None]
    right = np.arange(width) >= width // 2
    keeps = (below, ~below, right, ~right, below != right, below == right)
    return [np.broadcast_to(keep, (height, width)) for keep in keeps]


def _half_image_blackout(example: Example, rng: Rng, *, exact: bool) -> Example:
    height, width = example.mask_HW.shape
    keeps = half_image_keeps(height, width, exact)
    return _guarded(example, (keeps[i] for i in rng.integers(6, size=ATTEMPTS)))


@dataclass(frozen=True, slots=True)
class WinnerDropouts:
    """Applies at most one of the challenge winner's three dropouts.

    With landmarks A 70 %, B 6 %, C 2.4 %, none 21.6 %; without B 20 %, C 8 %, none 72 %.
    """

    landmarks: Transform
    """A, where there are landmarks."""
    half_face: Transform
    """B."""
    half_image: Transform
    """C."""

    def __call__(self, example: Example, rng: Rng) -> Example:
        """Apply one or none."""
        if example.landmarks_px is not None and rng.random() < 0.7:
            return self.landmarks(example, rng)
        if rng.random() < 0.2:
            return self.half_face(example, rng)
        if rng.random() < 0.1:
            return self.half_image(example, rng)
        return example


@register_augmentation("winner_dropouts")
def winner_dropouts(predictor: str | None = None, exact: bool = True) -> Transform:
    """Return the winner's dropouts, with the options of `half_face_blackout` and `half_image_blackout`."""
    return WinnerDropouts(landmark_blackout(), half_face_blackout(predictor), half_image_blackout(exact))


@register_augmentation("gridmask")
def gridmask(p: float = 0.5, period: tuple[float, float] = (0.15, 0.4), drop: float = 0.5) -> Transform:
    """Blacken the squares of a grid (Chen et al. 2020, arXiv 2001.04086, without its turning), guarded by the mask.

    Args:
        p: How often, 0 to 1.
        period: Min and max distance of two squares, in shares of the image's shorter side.
        drop: Side of a square in shares of that distance; 0.5 blackens a quarter of the image.
    """
    return Sometimes(partial(_gridmask, period=period, drop=drop), p)


def _gridmask(example: Example, rng: Rng, *, period: tuple[float, float], drop: float) -> Example:
    def keep() -> Bools:
        step = max(2, round(rng.uniform(*period) * min(example.mask_HW.shape)))
        side = min(step - 1, max(1, round(drop * step)))
        y, x = ((np.arange(pixels) + rng.integers(step)) % step < side for pixels in example.mask_HW.shape)
        return ~(y[:, None] & x)

    return _guarded(example, (keep() for _ in range(ATTEMPTS)))


@register_augmentation("pivot")
def pivot_blackout(p_fake: float = 0.8, p_real: float = 0.6) -> Transform:
    """Blacken all on one side of a random row or column in the middle two fifths.

    The winner's code contains it, but never calls it.
    Of 49 draws the first counts that leaves more than 40 mask pixels above 102, or in a real image more than a fifth
    of the pixels that are not black.

    Args:
        p_fake: How often with fakes, 0 to 1.
        p_real: How often with reals, 0 to 1.
    """
    return partial(_pivot_blackout, p_fake=p_fake, p_real=p_real)


def _pivot_blackout(example: Example, rng: Rng, *, p_fake: float, p_real: float) -> Example:
    real = example.label < 0.5
    if rng.random() >= (p_real if real else p_fake):
        return example
    strong = example.mask_HW > 102
    lit = (example.image_HW3 > 0).mean(2)
    for _ in range(49):
        axis, first = (int(side) for side in rng.integers(2, size=2))
        side = strong.shape[axis]
        pivot = int(rng.integers(side // 2 - side // 5, side // 2 + side // 5, endpoint=True))
        keep = np.broadcast_to(np.expand_dims((np.arange(side) < pivot) == bool(first), 1 - axis), strong.shape)
        if (real and lit[keep].sum() > lit.size / 5) or np.count_nonzero(strong & keep) > 40:
            return _blackened(example, ~keep, mask_too=True)
    return example


def _guarded(example: Example, keeps: Iterable[Bools]) -> Example:
    """Keep the first of the areas that leaves enough of a fake's mask; any will do for a real."""
    for keep in keeps:
        if example.label < 0.5 or np.count_nonzero(example.mask_HW[keep]) > GUARD_PX:
            return _blackened(example, ~keep, mask_too=True)
    return example


def _blackened(example: Example, region: Bools, *, mask_too: bool = False) -> Example:
    image_HW3 = np.where(region[..., None], np.uint8(0), example.image_HW3)
    return replace(
        example,
        image_HW3=image_HW3,
        mask_HW=np.where(region, np.uint8(0), example.mask_HW) if mask_too else example.mask_HW,
    )
