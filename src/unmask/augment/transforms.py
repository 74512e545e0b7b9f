"""Change training images at random: light, geometry, and the augmentation lists of published systems.

A transform is a function that takes an `Example` and a generator and returns another example, its
settings bound by `functools.partial`. Nothing is written in place; what a transform leaves alone is passed along
unchanged. All draws come from the generator, so an item looks the same in any worker:

    augment = load_augmentation("winner", size_px=380)
    example = augment(example, rng_for(seed, epoch, index))

The lists follow albumentations 1.0.0 as their authors ran it, rounding down to 8 bits like it, with two exceptions:
`jpeg` gets the colours in the right order (it swapped red and blue), and `fancy_pca` adds along the principal axes (it
transposed them). A pixel's centre has whole coordinates, so mirroring takes x to width - 1 - x.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.errors import UsageError
from unmask.types import ImageHW3

Rng = np.random.Generator
Floats = NDArray[np.float64]
Points = NDArray[np.float32] | NDArray[np.float64] | NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Example:
    """An image on its way into training."""

    image_HW3: ImageHW3
    """RGB, (H, W, 3) uint8."""
    mask_HW: NDArray[np.uint8]
    """Where it was manipulated (difference or blend), 0 to 255; zeros in authentic images."""
    label: float
    """0 real to 1 fake."""
    landmarks_px: Points | None = None
    """(5, 2) x, y of the eyes, nose and mouth corners as in `unmask.types.Face`; None when they are not known."""

    def __post_init__(self) -> None:
        if self.image_HW3.ndim != 3 or self.image_HW3.shape[2] != 3 or self.image_HW3.dtype != np.uint8:
            raise ValueError(f"an image is (H, W, 3) uint8, not {self.image_HW3.shape} {self.image_HW3.dtype}")
        if self.mask_HW.shape != self.image_HW3.shape[:2] or self.mask_HW.dtype != np.uint8:
            raise ValueError(f"the mask of {self!r} is {self.mask_HW.shape} {self.mask_HW.dtype}, not (H, W) uint8")
        if not 0 <= self.label <= 1:
            raise ValueError(f"label {self.label} is not in 0..1")
        if self.landmarks_px is not None and self.landmarks_px.shape != (5, 2):
            raise ValueError(f"landmarks are (5, 2), not {self.landmarks_px.shape}")

    def __repr__(self) -> str:
        return f"Example({self.image_HW3.shape[1]}x{self.image_HW3.shape[0]}, label={self.label:g})"


Transform = Callable[[Example, Rng], Example]
F = TypeVar("F", bound=Callable[..., Transform])

AUGMENTATIONS: dict[str, Callable[..., Transform]] = {}
"""Name -> function that builds a transform from the options of a recipe; `load_augmentation` fills it."""


def register_augmentation(name: str) -> Callable[[F], F]:
    """Enter a transform, or a function that builds one, into `AUGMENTATIONS`."""

    def enter(factory: F) -> F:
        AUGMENTATIONS[name] = factory
        return factory

    return enter


def load_augmentation(name: str, **options: object) -> Transform:
    """Build the transform that a recipe names.

    Raises:
        UsageError: Nothing has that name, or it does not take these options.
    """
    for module in ("dropouts", "codec", "degrade"):  # they build upon this one
        import_module(f"unmask.augment.{module}")
    if name not in AUGMENTATIONS:
        raise UsageError(f"unknown augmentation {name!r}; use one of {', '.join(sorted(AUGMENTATIONS))}")
    try:
        return AUGMENTATIONS[name](**options)
    except TypeError as error:
        raise UsageError(f"augmentation {name!r} does not take {options}: {error}") from error


def rng_for(seed: int, epoch: int, index: int) -> Rng:
    """Return the generator of one item of one epoch: it depends on these three numbers (each >= 0) alone."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(epoch, index)))


@dataclass(frozen=True, slots=True)
class Compose:
    """Applies several transforms, one after the other."""

    transforms: tuple[Transform, ...]

    def __call__(self, example: Example, rng: Rng) -> Example:
        """Apply all of them."""
        for transform in self.transforms:
            example = transform(example, rng)
        return example


@dataclass(frozen=True, slots=True)
class OneOf:
    """Applies one of several transforms, each as likely as the others."""

    transforms: tuple[Transform, ...]

    def __call__(self, example: Example, rng: Rng) -> Example:
        """Apply one of them."""
        return self.transforms[int(rng.integers(len(self.transforms)))](example, rng)


@dataclass(frozen=True, slots=True)
class Sometimes:
    """Applies a transform with probability ``p``."""

    transform: Transform
    p: float

    def __call__(self, example: Example, rng: Rng) -> Example:
        """Apply it or not."""
        return self.transform(example, rng) if rng.random() < self.p else example


# --- light and noise: the image changes, mask and landmarks stay


def jpeg(example: Example, rng: Rng, *, low: int, high: int = 100) -> Example:
    """Save as JPEG and load again, with a whole quality in ``low..high``."""
    quality = int(rng.integers(low, high, endpoint=True))
    bgr = cv2.cvtColor(example.image_HW3, cv2.COLOR_RGB2BGR)
    data = cv2.imencode(".jpg", bgr, (cv2.IMWRITE_JPEG_QUALITY, quality))[1]
    return replace(example, image_HW3=cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB))


def gaussian_noise(example: Example, rng: Rng, *, variance: tuple[float, float] = (10, 50)) -> Example:
    """Add noise to each pixel and channel, of a variance drawn in squared 8-bit levels."""
    sigma = np.float32(rng.uniform(*variance) ** 0.5)
    noisy = example.image_HW3 + sigma * rng.standard_normal(example.image_HW3.shape, np.float32)
    return replace(example, image_HW3=noisy.clip(0, 255).astype(np.uint8))


def gaussian_blur(example: Example, rng: Rng) -> Example:  # noqa: ARG001
    """Blur with the Gaussian kernel of 3x3 pixels."""
    return replace(example, image_HW3=cv2.GaussianBlur(example.image_HW3, (3, 3), 0))


def motion_blur(example: Example, rng: Rng, *, sides_px: tuple[int, ...] = (3, 5, 7)) -> Example:
    """Average along a thin line between two different places of a small square.

    The kernel of albumentations' MotionBlur, which does not centre the line: the image may shift by up to half the
    side, its mask and landmarks do not.
    """
    side = sides_px[int(rng.integers(len(sides_px)))]
    start, end = (int(place) for place in rng.choice(side * side, 2, replace=False))
    kernel = np.zeros((side, side), np.float32)
    cv2.line(kernel, divmod(start, side), divmod(end, side), 1.0)
    return replace(example, image_HW3=cv2.filter2D(example.image_HW3, -1, kernel / kernel.sum()))


def brightness_contrast(example: Example, rng: Rng, *, brightness: float = 0.2, contrast: float = 0.2) -> Example:
    """Turn a level into level * (1 +- contrast) + 255 * (+- brightness)."""
    gain = 1 + rng.uniform(-contrast, contrast)
    levels = np.arange(256) * gain + 255 * rng.uniform(-brightness, brightness)
    return replace(example, image_HW3=cv2.LUT(example.image_HW3, levels.clip(0, 255).astype(np.uint8)))


def fancy_pca(example: Example, rng: Rng, *, sigma: float = 0.1) -> Example:
    """Add alpha times each principal component of the colours, alpha ~ N(0, sigma) (Krizhevsky et al. 2012)."""
    colours_N3 = example.image_HW3.reshape(-1, 3).astype(np.float64)  # sums of whole numbers are exact in any order
    mean = colours_N3.mean(0)
    values, vectors = np.linalg.eigh(colours_N3.T @ colours_N3 / len(colours_N3) - np.outer(mean, mean))
    vectors *= np.where(vectors.sum(0) < 0, -1.0, 1.0)  # eigenvectors come with any sign
    levels_256_3 = np.arange(256)[:, None] + rng.normal(0, sigma) * (vectors @ values) / 255
    return replace(example, image_HW3=cv2.LUT(example.image_HW3, levels_256_3.clip(0, 255).astype(np.uint8)[None]))


def hue_saturation_value(
    example: Example, rng: Rng, *, hue: float = 20, saturation: float = 30, value: float = 20
) -> Example:
    """Shift hue (of 180), saturation and value (of 255), each by up to its limit."""
    levels_256_3 = np.arange(256)[:, None] + rng.uniform(-1, 1, 3) * (hue, saturation, value)
    levels_256_3[:, 0] %= 180
    hsv = cv2.cvtColor(example.image_HW3, cv2.COLOR_RGB2HSV)
    hsv = cv2.LUT(hsv, levels_256_3.clip(0, 255).astype(np.uint8)[None])
    return replace(example, image_HW3=cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB))


def to_gray(example: Example, rng: Rng) -> Example:  # noqa: ARG001
    """Take the colour away."""
    gray = cv2.cvtColor(example.image_HW3, cv2.COLOR_RGB2GRAY)
    return replace(example, image_HW3=cv2.cvtColor(gray, cv2.COLOR_GRAY2RGB))


# --- geometry: image, mask and landmarks move together


def _moved(points_px: Points | None, matrix_23: Floats) -> Points | None:
    """Map landmarks by an affine matrix."""
    return None if points_px is None else (points_px @ matrix_23[:, :2].T + matrix_23[:, 2]).astype(np.float32)


def _cut(example: Example, top: int, left: int, height: int, width: int) -> Example:
    image_HW3 = example.image_HW3[top : top + height, left : left + width].copy()
    mask_HW = example.mask_HW[top : top + height, left : left + width].copy()
    points = _moved(example.landmarks_px, np.array([[1.0, 0, -left], [0, 1, -top]]))
    return Example(image_HW3, mask_HW, example.label, points)


def _resized(example: Example, height: int, width: int, interpolation: int) -> Example:
    y, x = height / example.image_HW3.shape[0], width / example.image_HW3.shape[1]
    image_HW3 = cv2.resize(example.image_HW3, (width, height), interpolation=interpolation)
    mask_HW = cv2.resize(example.mask_HW, (width, height), interpolation=cv2.INTER_NEAREST)
    points = _moved(example.landmarks_px, np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2]]))
    return Example(image_HW3, mask_HW, example.label, points)


def flip(example: Example, rng: Rng) -> Example:  # noqa: ARG001
    """Mirror left and right; the landmarks swap sides with it."""
    points = _moved(example.landmarks_px, np.array([[-1.0, 0, example.image_HW3.shape[1] - 1], [0, 1, 0]]))
    points = None if points is None else points[[1, 0, 2, 4, 3]]
    return Example(cv2.flip(example.image_HW3, 1), cv2.flip(example.mask_HW, 1), example.label, points)


def isotropic_resize(example: Example, rng: Rng, *, size_px: int) -> Example:  # noqa: ARG001
    """Make the longer side ``size_px`` and the other int(side * scale): areas when shrinking, cubic when enlarging."""
    height, width = example.image_HW3.shape[:2]
    longer = max(height, width)
    if longer == size_px:
        return example
    new_height, new_width = (
        size_px if side == longer else max(1, int(side * (size_px / longer))) for side in (height, width)
    )
    return _resized(example, new_height, new_width, cv2.INTER_CUBIC if size_px > longer else cv2.INTER_AREA)


def resize(example: Example, rng: Rng, *, size_px: int) -> Example:  # noqa: ARG001
    """Make it square, linearly, whatever its proportions."""
    return _resized(example, size_px, size_px, cv2.INTER_LINEAR)


def pad(example: Example, rng: Rng, *, size_px: int) -> Example:  # noqa: ARG001
    """Put black borders around it up to ``size_px`` squared, the odd pixel below and to the right."""
    height, width = (max(0, size_px - side) for side in example.image_HW3.shape[:2])
    top, left = height // 2, width // 2
    edges = (top, height - top, left, width - left, cv2.BORDER_CONSTANT)
    image_HW3, mask_HW = (cv2.copyMakeBorder(plane, *edges) for plane in (example.image_HW3, example.mask_HW))
    points = _moved(example.landmarks_px, np.array([[1.0, 0, left], [0, 1, top]]))
    return Example(image_HW3, mask_HW, example.label, points)


def padding_part(example: Example, rng: Rng, *, part: float = 3) -> Example:  # noqa: ARG001
    """Narrow a crop's margin from a third of the face's box to 1 / ``part`` of it; as it is when part <= 3.

    At the top and left a fifth (rounded down) goes, at the bottom and right a fifth (rounded up), and on each side
    int(3/5 side / part) comes back. Source: selimsef/dfdc_deepfake_challenge, change_padding, which cuts the image
    alone; here mask and landmarks follow it.
    """
    height, width = example.image_HW3.shape[:2]
    if part <= 3 or min(height, width) < 2:  # of one pixel nothing would be left
        return example
    (top, rows), (left, columns) = (_narrowed(side, part) for side in (height, width))
    return _cut(example, top, left, rows, columns)


def _narrowed(side: int, part: float) -> tuple[int, int]:
    """Return where the narrowed side starts, and its length."""
    back = int((3 / 5 * side) / part)
    return side // 5 - back, side - side // 5 - -(-side // 5) + 2 * back


def resized_square_crop(example: Example, rng: Rng, *, size_px: int, min_scale: float = 0.88) -> Example:
    """Cut a random square whose area is min_scale² to 1 of the image's, and resize it linearly.

    Where ten draws do not fit into the image, the largest square in its middle is taken.
    """
    height, width = example.image_HW3.shape[:2]
    for share in rng.uniform(min_scale**2, 1, 10):
        side = round((share * height * width) ** 0.5)
        if 0 < side <= min(height, width):
            top, left = (int(rng.integers(room - side, endpoint=True)) for room in (height, width))
            break
    else:
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
    return _resized(_cut(example, top, left, side, side), size_px, size_px, cv2.INTER_LINEAR)


def jittered_crop(example: Example, rng: Rng, *, size_px: int, sides_px: tuple[int, int] = (224, 340)) -> Example:
    """Make the shorter side a random whole number in ``sides_px``, linearly, and cut a random square out.

    For other sizes than 224 the range is scaled along. Draws do not depend on the image, so that those of one clip
    are cut alike.
    """
    shortest, longest = (round(side * size_px / sides_px[0]) for side in sides_px)
    scale = int(rng.integers(shortest, longest, endpoint=True)) / min(example.image_HW3.shape[:2])
    height, width = (max(size_px, int(side * scale)) for side in example.image_HW3.shape[:2])
    top, left = (int(room * (side - size_px)) for room, side in zip(rng.random(2), (height, width), strict=True))
    return _cut(_resized(example, height, width, cv2.INTER_LINEAR), top, left, size_px, size_px)


def shift_scale_rotate(
    example: Example, rng: Rng, *, shift: float = 0.1, scale: float = 0.2, degrees: float = 10
) -> Example:
    """Turn by +-degrees and scale by 1 +- scale about the middle, shift by +-shift of each side; black outside."""
    height, width = example.image_HW3.shape[:2]
    angle, zoom = rng.uniform(-degrees, degrees), rng.uniform(1 - scale, 1 + scale)
    matrix_23 = cv2.getRotationMatrix2D((width / 2, height / 2), angle, zoom)
    matrix_23[:, 2] += rng.uniform(-shift, shift, 2) * (width, height)
    image_HW3 = cv2.warpAffine(example.image_HW3, matrix_23, (width, height), flags=cv2.INTER_LINEAR)
    mask_HW = cv2.warpAffine(example.mask_HW, matrix_23, (width, height), flags=cv2.INTER_NEAREST)
    return Example(image_HW3, mask_HW, example.label, _moved(example.landmarks_px, matrix_23))


# --- lists


@register_augmentation("winner")
def winner_train(size_px: int = 380) -> Transform:
    """Return the challenge winner's training list, for crops of any size; ends with ``size_px`` squared."""
    colour = OneOf((brightness_contrast, fancy_pca, hue_saturation_value))
    return Compose(
        (
            Sometimes(partial(jpeg, low=60), 0.5),
            Sometimes(gaussian_noise, 0.1),
            Sometimes(gaussian_blur, 0.05),
            Sometimes(flip, 0.5),
            winner_val(size_px),
            Sometimes(colour, 0.7),
            Sometimes(to_gray, 0.2),
            Sometimes(shift_scale_rotate, 0.5),
        )
    )


@register_augmentation("winner_val")
def winner_val(size_px: int = 380) -> Transform:
    """Return the challenge winner's validation list: resize by the longer side and pad."""
    return Compose((partial(isotropic_resize, size_px=size_px), partial(pad, size_px=size_px)))


@register_augmentation("robustforensics")
def robustforensics_train(size_px: int = 299, min_scale: float = 0.88) -> Transform:
    """Return the training list of RobustForensics' image models (fourth place)."""
    return Compose(
        (
            partial(resized_square_crop, size_px=size_px, min_scale=min_scale),
            Sometimes(flip, 0.5),
            Sometimes(partial(brightness_contrast, brightness=0.25, contrast=0.1), 0.5),
            Sometimes(partial(jpeg, low=50), 0.2),
            Sometimes(motion_blur, 0.5),
        )
    )


@register_augmentation("robustforensics_clip")
def robustforensics_clip(size_px: int = 224) -> Transform:
    """Return the training list of RobustForensics' video models; given the same draws, for each frame of a clip."""
    return Compose(
        (
            robustforensics_clip_plain(size_px),
            Sometimes(partial(brightness_contrast, brightness=0.25, contrast=0.1), 0.5),
            Sometimes(partial(jpeg, low=50), 0.2),
        )
    )


@register_augmentation("robustforensics_clip_plain")
def robustforensics_clip_plain(size_px: int = 224) -> Transform:
    """Return the training list of the video models that were trained without changes of colour."""
    return Compose((partial(jittered_crop, size_px=size_px), Sometimes(flip, 0.5)))


@register_augmentation("robustforensics_clip_val")
def robustforensics_clip_val(size_px: int = 224) -> Transform:
    """Return the validation list of the video models: the whole crop at 256 pixels, 8/7 of the training size."""
    return partial(resize, size_px=round(size_px * 8 / 7))


@register_augmentation("robustforensics_val")
def robustforensics_val(size_px: int = 299) -> Transform:
    """Return the validation list of RobustForensics' image models: a plain resize."""
    return partial(resize, size_px=size_px)
