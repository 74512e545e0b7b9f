"""Change, move, align and recolour faces, so that a pasted face differs from the image around it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.augment.hulls import FaceFrame, Floats
from unmask.types import ImageHW3


@dataclass(frozen=True, slots=True)
class Change:
    """A change of colour and sharpness (arXiv 2204.08376)."""

    rgb: tuple[float, float, float] = (0, 0, 0)
    """Added to red, green and blue: -20..20 levels in three of ten, else 0."""
    hsv: tuple[float, float, float] = (0, 0, 0)
    """Added to hue (of 180), saturation and value: -0.3..0.3 levels, cut to whole ones, so one down or none."""
    brightness: float = 0
    """Added to all, -0.1..0.1 of 255 levels."""
    contrast: float = 0
    """Levels are multiplied with 1 + this, -0.1..0.1."""
    shrink: float | None = None
    """Shrunk this many times without averaging, and enlarged again: 2 or 4, in half of the changes."""
    sharpen: tuple[float, float] | None = None
    """Weight 0.2..0.5 and lightness 0.5..1 of a sharpened image, in the other half."""

    @classmethod
    def draw(cls, rng: np.random.Generator, amount: float = 1.0) -> Change:
        """Draw a change; an ``amount`` below 1 makes it smaller (but for hue, saturation and value)."""
        rgb = rng.uniform(-20, 20, 3) * (amount if rng.random() < 0.3 else 0)
        hsv = rng.uniform(-0.3, 0.3, 3)
        brightness, contrast = (float(value) for value in amount * rng.uniform(-0.1, 0.1, 2))
        shrink, alpha, lightness = int(rng.choice([2, 4])), rng.uniform(0.2, 0.5), rng.uniform(0.5, 1)
        if rng.random() < 0.5:
            return cls(tuple(rgb), tuple(hsv), brightness, contrast, shrink=1 + amount * (shrink - 1))
        return cls(tuple(rgb), tuple(hsv), brightness, contrast, sharpen=(amount * alpha, lightness))

    @classmethod
    def draw_visible(cls, rng: np.random.Generator) -> Change:
        """Draw a change that can be seen: another colour, and a third of the resolution."""
        red, green, blue = rng.choice([-1, 1], 3) * rng.uniform(6, 14, 3)
        return cls(rgb=(float(red), float(green), float(blue)), shrink=3)

    def __call__(self, image_HW3: ImageHW3) -> ImageHW3:
        """Return a changed copy of an RGB image."""
        levels = np.arange(256)[:, None]
        hue, saturation, value = (levels + np.array(self.hsv)).T
        hsv_table = np.stack([hue % 180, saturation.clip(0, 255), value.clip(0, 255)], 1).astype(np.uint8)
        image_HW3 = _look_up(image_HW3, levels + np.array(self.rgb))
        image_HW3 = cv2.LUT(cv2.cvtColor(image_HW3, cv2.COLOR_RGB2HSV), hsv_table[None])
        image_HW3 = cv2.cvtColor(image_HW3, cv2.COLOR_HSV2RGB)
        image_HW3 = _look_up(image_HW3, levels * np.full(3, 1 + self.contrast) + 255 * self.brightness)
        if self.shrink is not None:
            image_HW3 = coarsen(image_HW3, self.shrink, cv2.INTER_NEAREST)
        if self.sharpen is not None:
            alpha, lightness = self.sharpen
            kernel = np.full((3, 3), -alpha, np.float32)
            kernel[1, 1] = alpha * (8 + lightness) + 1 - alpha
            image_HW3 = cv2.filter2D(image_HW3, -1, kernel)
        return image_HW3


@dataclass(frozen=True, slots=True)
class Offset:
    """How far source and mask are moved from their place (arXiv 2204.08376)."""

    shift: tuple[float, float] = (0, 0)
    """Right by -0.03..0.03 of two face widths, down by -0.015..0.015 of 2.4 face heights."""
    zoom: tuple[float, float] = (1, 1)
    """Widened and heightened around the middle of the face, 0.95..1 / 0.95 each."""

    @classmethod
    def draw(cls, rng: np.random.Generator, amount: float = 1.0) -> Offset:
        """Draw an offset; an ``amount`` below 1 makes it smaller."""
        x, y = amount * rng.uniform(-1, 1, 2) * [0.03, 0.015]
        zoom_x, zoom_y = 1 + amount * (rng.uniform(0.95, 1 / 0.95, 2) - 1)
        return cls((float(x), float(y)), (float(zoom_x), float(zoom_y)))

    def matrix(self, frame: FaceFrame) -> Floats:
        """Return the affine map (2, 3) from where pixels are to where they go."""
        width, height = frame.size_px
        centre = frame.to_pixels(np.array([[0, 0.6]]))[0]
        zoom = np.array(self.zoom)
        move = (1 - zoom) * centre + [self.shift[0] * 2 * width, self.shift[1] * 2.4 * height]
        return np.column_stack([np.diag(zoom), move]).astype(np.float32)


def paste(source_HW3: ImageHW3, target_HW3: ImageHW3, mask_HW: Floats) -> ImageHW3:
    """Return mask * source + (1 - mask) * target, rounded.

    Truncating would darken each pixel below a soft edge by half a level on average, and a network could see the mask.
    """
    return cv2.blendLinear(source_HW3, target_HW3, mask_HW, 1 - mask_HW)


def move(image_HW3: ImageHW3, matrix_23: Floats) -> ImageHW3:
    """Return an image moved by an affine map, mirrored beyond its border."""
    return cv2.warpAffine(image_HW3, matrix_23, image_HW3.shape[1::-1], borderMode=cv2.BORDER_REFLECT_101)


def coarsen(image_HW3: ImageHW3, factor: float, shrinking: int = cv2.INTER_AREA) -> ImageHW3:
    """Return an image shrunk by a factor of at least 1 and enlarged again, bilinearly."""
    height, width = image_HW3.shape[:2]
    small = max(1, round(width / factor)), max(1, round(height / factor))
    return cv2.resize(cv2.resize(image_HW3, small, interpolation=shrinking), (width, height))


def align(
    image_HW3: ImageHW3, landmarks_K2: Floats, onto_K2: Floats, shape_HW: tuple[int, int], *, shear: bool
) -> tuple[ImageHW3, Floats]:
    """Lay a face over another one, so that their landmarks coincide as well as possible (least squares).

    Args:
        image_HW3: The face, RGB of any size.
        landmarks_K2: (5, 2) x, y in its pixels.
        onto_K2: (5, 2) x, y where they are to lie in the result.
        shape_HW: Height and width of the result.
        shear: Allow any affine map, not only rotation, scaling and translation.

    Returns:
        The image, mirrored beyond its border, and a mask (H, W) that is 1 inside of the border.

    Raises:
        ValueError: The landmarks lie on a line or a point, or the faces differ in size by more than 50 times.
    """
    matrix = _fit(landmarks_K2.astype(np.float64), onto_K2.astype(np.float64), shear)
    area = np.linalg.det(matrix[:, :2])
    if not 1 / 2500 < area < 2500:
        raise ValueError("the landmarks of one face cannot be laid over those of the other")
    whole = np.full(image_HW3.shape[:2], 1, np.float32)
    if area < 0.5:  # average before pixels are dropped
        scale = float(np.sqrt(area))
        before = np.array(image_HW3.shape[1::-1])
        image_HW3 = cv2.resize(image_HW3, np.maximum(np.rint(before * scale), 1).astype(int), interpolation=3)
        matrix = matrix @ np.diag([*(before / image_HW3.shape[1::-1]), 1])
        whole = np.full(image_HW3.shape[:2], 1, np.float32)
    size = shape_HW[::-1]
    moved = cv2.warpAffine(image_HW3, matrix, size, borderMode=cv2.BORDER_REFLECT_101)
    return moved, (cv2.warpAffine(whole, matrix, size) > 0.999).astype(np.float32)


def misfit(landmarks_K2: Floats, onto_K2: Floats) -> float:
    """Return how badly one face covers another after rotation, scaling and translation.

    That is the mean distance of the five landmarks over the distance from eyes to mouth: near 0.05 for faces with the
    same pose, above 0.12 for others. Among several donors, the one with the lowest value gives the best blend.

    Raises:
        ValueError: The landmarks of the face beneath are degenerate.
    """
    matrix = _fit(landmarks_K2.astype(np.float64), onto_K2.astype(np.float64), shear=False)
    apart = landmarks_K2 @ matrix[:, :2].T + matrix[:, 2] - onto_K2
    return float(np.hypot(*apart.T).mean() / FaceFrame.of(onto_K2).length_px)


def _fit(from_K2: NDArray[np.float64], onto_K2: NDArray[np.float64], shear: bool) -> NDArray[np.float64]:
    """Return the affine map (2, 3), or the similarity, that takes points to points with the least squared error."""
    if shear:
        solution = np.linalg.lstsq(np.column_stack([from_K2, np.ones(len(from_K2))]), onto_K2, rcond=None)[0]
        return np.asarray(solution.T, np.float64)
    start, end = from_K2.mean(0), onto_K2.mean(0)
    p, q = (from_K2 - start) @ [1, 1j], (onto_K2 - end) @ [1, 1j]
    turn = np.vdot(p, q) / max(np.vdot(p, p).real, 1e-9)
    linear = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    return np.column_stack([linear, end - linear @ start])


def recolour(source_HW3: ImageHW3, target_HW3: ImageHW3, region_HW: Floats, share: float) -> ImageHW3:
    """Give a source the colours of a target: mean and deviation in L*a*b* inside a region (Reinhard et al. 2001).

    Args:
        source_HW3: RGB.
        target_HW3: RGB, of the same size.
        region_HW: Not 0 where both are measured.
        share: How much of the difference is removed, 0 none to 1 all.
    """
    region = (region_HW > 0).astype(np.uint8)
    source, target = cv2.cvtColor(source_HW3, cv2.COLOR_RGB2LAB), cv2.cvtColor(target_HW3, cv2.COLOR_RGB2LAB)
    (mean, deviation), (aim, wide) = cv2.meanStdDev(source, mask=region), cv2.meanStdDev(target, mask=region)
    gain = 1 + share * (np.clip(wide / np.maximum(deviation, 1), 0.5, 2) - 1)
    table = (np.arange(256)[:, None] - mean.T) * gain.T + mean.T + share * (aim - mean).T
    return cv2.cvtColor(_look_up(source, table), cv2.COLOR_LAB2RGB)


def grain(shape_HW: tuple[int, int], rng: np.random.Generator) -> Floats:
    """Return noise like that of a generator's last layers, (H, W) with a deviation of about 1.

    Half of the time it is white noise, blurred or not; half of the time the checkerboard of
    transposed convolutions (Odena et al. 2016): one tile of 2 or 4 px, repeated.
    """
    if rng.random() < 0.5:
        noise = rng.standard_normal(shape_HW, np.float32)
        return 2.4 * cv2.GaussianBlur(noise, (3, 3), 0.7) if rng.random() < 0.5 else noise
    side = int(rng.choice([2, 4]))
    tile = rng.standard_normal((side, side), np.float32)
    tile = (tile - tile.mean()) / max(float(tile.std()), 1e-3)
    return np.tile(tile, (shape_HW[0] // side + 1, shape_HW[1] // side + 1))[: shape_HW[0], : shape_HW[1]]


def _look_up(image_HW3: ImageHW3, levels_L3: NDArray[np.floating]) -> ImageHW3:
    """Replace each level of each channel by a (256, 3) table, rounded."""
    return cv2.LUT(image_HW3, np.rint(levels_L3).clip(0, 255).astype(np.uint8)[None])
