"""Make fakes for training out of authentic faces alone.

A fake is a target, a source that differs from it, and a mask that says how much of the source shows at each pixel. The
kinds of blend differ in where the source comes from; `BLEND_KINDS` holds them. ``self`` is the self-blended image of
Shiohara and Yamasaki (2022, arXiv 2204.08376), which at strength 1 draws from the same ranges.

    real_HW3, fake_HW3, mask_HW = blend_pair(image_HW3, landmarks_K2, np.random.default_rng(seed))

Half of the time the target is changed in colour and sharpness instead of the source. The real image of a pair is the
target with that change, so neither colour nor sharpness of a whole image tells real from fake.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from unmask.augment.changes import Change, Offset, align, coarsen, grain, move, paste, recolour
from unmask.augment.hulls import WHOLE, FaceFrame, Floats, blend_mask, displace, draw_hull, fill, hull
from unmask.types import ImageHW3

STRIDE_PX = 8
"""Pixels of the crop for each cell of the maps that a network learns."""

SOLID_RATIOS = (0.75, 1.0, 1.0, 1.0)
"""Max weights of sources that are opaque or nearly so; see `hulls.RATIOS`."""

_MIN_AMOUNT = 0.25


@dataclass(frozen=True, slots=True)
class Donor:
    """Another person, whose face may be pasted."""

    image_HW3: ImageHW3
    """RGB image of any size."""
    landmarks_K2: Floats
    """(5, 2) x, y in its pixels."""


@dataclass(frozen=True, slots=True)
class Scene:
    """The images and settings that a fake is made from."""

    target_HW3: ImageHW3
    """RGB image of a face with what is around it, best about twice as wide as the face."""
    landmarks_K2: Floats
    """(5, 2) x, y in its pixels: left eye, right eye, nose, left and right mouth corner (left in the image)."""
    donor: Donor | None = None
    """Another person."""
    strength: float = 1.0
    """How much source and target differ, 0 (hardly visible) to 1 (clearly visible)."""

    def __post_init__(self) -> None:
        for image in (self.target_HW3, *([self.donor.image_HW3] if self.donor else [])):
            if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
                raise ValueError(f"an image is (H, W, 3) uint8, not {image.shape} {image.dtype}")
        if not 0 <= self.strength <= 1:
            raise ValueError(f"strength {self.strength} is not in 0..1")

    @property
    def amount(self) -> float:
        """The factor of all differences: 0.25 at strength 0 to 1 at strength 1."""
        return _MIN_AMOUNT + (1 - _MIN_AMOUNT) * self.strength

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width of the target in pixels."""
        return self.target_HW3.shape[0], self.target_HW3.shape[1]

    @property
    def frame(self) -> FaceFrame:
        """The coordinates of the target's face."""
        return FaceFrame.of(self.landmarks_K2)


@dataclass(frozen=True, slots=True)
class Blend:
    """A fake."""

    image_HW3: ImageHW3
    """RGB image; its label is 1."""
    mask_HW: Floats
    """Weight that the source was pasted with, 0..1. Where it is 0 the image is the target's, to the level."""
    source_kind: str
    """Name of the kind of blend, one of `BLEND_KINDS`."""
    target_HW3: ImageHW3
    """RGB image that the source was pasted onto: the real image of the pair; its label is 0."""


Pasted = tuple[ImageHW3, ImageHW3, Floats]
"""Target (H, W, 3), fake (H, W, 3), and the mask (H, W) between them."""

BlendKind = Callable[[Scene, np.random.Generator], Pasted]

BLEND_KINDS: dict[str, BlendKind] = {}
"""Name -> function that makes a fake from a scene."""

WEIGHTS: dict[str, float] = {}
"""Name -> how often the kind is drawn."""

NEEDS_DONOR = frozenset({"cross"})
"""Kinds of blend that need a donor: they are not drawn for a scene without one."""


def register_blend_kind(name: str, weight: float) -> Callable[[BlendKind], BlendKind]:
    """Enter a kind of blend into `BLEND_KINDS` and `WEIGHTS`."""

    def add(kind: BlendKind) -> BlendKind:
        BLEND_KINDS[name], WEIGHTS[name] = kind, weight
        return kind

    return add


@register_blend_kind("self", 0.45)
def self_blended(scene: Scene, rng: np.random.Generator) -> Pasted:
    """Paste a changed and misplaced copy of the face over itself, as the paper does."""
    target, source, matrix = _unlike(scene, rng)
    polygon = cv2.transform(hull(scene.landmarks_K2, draw_hull(rng))[None], matrix)[0]
    mask = blend_mask(polygon, scene.size_hw, rng)
    return target, paste(source, target, mask), mask


@register_blend_kind("cross", 0.2)
def cross_blended(scene: Scene, rng: np.random.Generator) -> Pasted:
    """Paste the donor's face, laid over the target's and recoloured like it.

    At most a tenth of the colour difference is left at strength 0, at most four tenths at strength 1.

    Raises:
        ValueError: The scene has no donor, or its face cannot be laid over the target's.
    """
    if scene.donor is None:
        raise ValueError("a blend across people needs a donor")
    target, donor = _one_changed(scene.target_HW3, scene.donor.image_HW3, Change.draw(rng, scene.amount), rng)
    onto, shear = scene.landmarks_K2, bool(rng.random() < 0.5)
    source, allowed = align(donor, scene.donor.landmarks_K2, onto, scene.size_hw, shear=shear)
    region = fill(hull(onto, "inner"), scene.size_hw) * allowed
    source = recolour(source, target, region, 1 - 0.4 * scene.amount * rng.random())
    mask = blend_mask(hull(onto, draw_hull(rng, WHOLE)), scene.size_hw, rng, ratios=SOLID_RATIOS, allowed_HW=allowed)
    return target, paste(source, target, mask), mask


@register_blend_kind("fwa", 0.1)
def face_warped(scene: Scene, rng: np.random.Generator) -> Pasted:
    """Paste the face after shrinking and enlarging it in an aligned view (face-warping artefacts, Li and Lyu 2018).

    The view is 1.5 to 4 times coarser than the target at strength 1, and blurred with a kernel of 3 or 5 px.
    """
    frame, amount = scene.frame, scene.amount
    factor = 1 + amount * rng.uniform(0.5, 3)
    corners = frame.to_pixels(np.array([[-1.2, -1.1], [1.2, -1.1], [-1.2, 1.9]]))
    width, height = (max(4, round(float(np.hypot(*(end - corners[0]))) / factor)) for end in corners[1:])
    canvas = np.array([[0, 0], [width, 0], [0, height]], np.float32)
    matrix = cv2.getAffineTransform(corners, canvas)
    small = cv2.warpAffine(scene.target_HW3, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101)
    side = int(rng.choice([3, 5]))
    small = cv2.GaussianBlur(small, (side, side), 0.3 + 0.7 * amount * rng.random())
    back = cv2.invertAffineTransform(matrix)
    source = cv2.warpAffine(small, back, scene.size_hw[::-1], borderMode=cv2.BORDER_REFLECT_101)
    mask = blend_mask(hull(scene.landmarks_K2, draw_hull(rng)), scene.size_hw, rng, ratios=SOLID_RATIOS)
    return scene.target_HW3, paste(source, scene.target_HW3, mask), mask


@register_blend_kind("clone", 0.05)
def cloned(scene: Scene, rng: np.random.Generator) -> Pasted:
    """Clone the donor's face, or the changed face itself, seamlessly: by its gradients (Pérez et al. 2003)."""
    face, donor, allowed = scene.landmarks_K2, scene.donor, None
    if donor is not None and rng.random() < 0.5:
        target, polygon = scene.target_HW3, hull(face, draw_hull(rng, WHOLE))
        source, allowed = align(donor.image_HW3, donor.landmarks_K2, face, scene.size_hw, shear=False)
    else:
        target, source, _ = _unlike(scene, rng)
        polygon = hull(face, draw_hull(rng))
    mask = blend_mask(polygon, scene.size_hw, rng, ratios=(1.0,), allowed_HW=allowed)
    mask[[0, -1]] = mask[:, [0, -1]] = 0
    region = (mask > 0).astype(np.uint8)
    x, y, width, height = cv2.boundingRect(region)
    if min(width, height) > 2:
        source = cv2.seamlessClone(source, target, 255 * region, (x + width // 2, y + height // 2), cv2.NORMAL_CLONE)
    return target, paste(source, target, mask), mask


@register_blend_kind("reenact", 0.1)
def reenacted(scene: Scene, rng: np.random.Generator) -> Pasted:
    """Move the mouth or the eyes a little and blur them slightly, as reenactment networks do.

    Each of two or three points moves by 0.03 to 0.12 of the distance from eyes to mouth at strength 1; the pixels
    around it move less with growing distance (a Gaussian with a sigma of 0.3 of the distance from eyes to mouth).
    """
    frame, (height, width) = scene.frame, scene.size_hw
    chin = frame.to_pixels(np.array([[0, 1.3]]))
    points = {"eyes": scene.landmarks_K2[:2], "mouth": np.concatenate([scene.landmarks_K2[3:], chin])}
    name = str(rng.choice(list(points)))
    cells_x, cells_y = np.arange(0, width + 4, 4), np.arange(0, height + 4, 4)[:, None]
    field = np.zeros((len(cells_y), len(cells_x), 2), np.float32)
    spread = 0.3 * frame.length_px
    for x, y in points[name]:
        angle, length = rng.uniform(0, 2 * np.pi), frame.length_px * scene.amount * rng.uniform(0.03, 0.12)
        bump = np.exp(-((cells_x - x) ** 2 + (cells_y - y) ** 2) / (2 * spread**2))
        field += bump[..., None] * length * np.array([np.cos(angle), np.sin(angle)])
    field = cv2.resize(field, None, fx=4, fy=4)[:height, :width]
    source = coarsen(displace(scene.target_HW3, field), 1 + scene.amount * rng.random())
    mask = blend_mask(hull(scene.landmarks_K2, name), scene.size_hw, rng, ratios=SOLID_RATIOS)
    return scene.target_HW3, paste(source, scene.target_HW3, mask), mask


@register_blend_kind("generated", 0.1)
def generated(scene: Scene, rng: np.random.Generator) -> Pasted:
    """Smooth the face and give it the grain of a generator's last layers, see `changes.grain`."""
    amount = scene.amount
    sigma = max(0.4, (0.4 + amount * rng.uniform(0.2, 1.2)) * scene.frame.length_px / 50)
    smooth = cv2.GaussianBlur(scene.target_HW3, (0, 0), sigma).astype(np.float32)
    smooth += ((1 + amount * rng.uniform(0.5, 3)) * grain(scene.size_hw, rng))[..., None]
    source = np.rint(smooth).clip(0, 255).astype(np.uint8)
    mask = blend_mask(hull(scene.landmarks_K2, draw_hull(rng)), scene.size_hw, rng, ratios=SOLID_RATIOS)
    return scene.target_HW3, paste(source, scene.target_HW3, mask), mask


def blend(
    target_HW3: ImageHW3,
    landmarks_K2: Floats,
    rng: np.random.Generator,
    donor: Donor | None = None,
    *,
    strength: float = 1.0,
    weights: Mapping[str, float] = WEIGHTS,
) -> Blend:
    """Make a fake from an authentic face.

    Args:
        target_HW3: RGB image, (H, W, 3) uint8, of a face and what is around it, best about twice as wide as the face.
        landmarks_K2: (5, 2) x, y in pixels: left eye, right eye, nose, left and right mouth corner.
        rng: The same state gives the same fake.
        donor: Another person; without one no face of another person is pasted.
        strength: How much source and target differ, 0 (hardly visible) to 1 (clearly visible).
        weights: How often each of `BLEND_KINDS` is drawn, in any unit.

    Raises:
        ValueError: The landmarks are degenerate or outside the image, see `FaceFrame.of` and `blend_mask`; the
            image or the strength is not as above; no kind is left to draw from.
    """
    scene = Scene(target_HW3, np.asarray(landmarks_K2, np.float32), donor, strength)
    usable = {name: weights[name] for name in weights if donor is not None or name not in NEEDS_DONOR}
    total = sum(usable.values())
    if not total > 0:
        raise ValueError(f"no kind of blend can be drawn from {dict(weights)}; use some of {', '.join(BLEND_KINDS)}")
    name = str(rng.choice(list(usable), p=[weight / total for weight in usable.values()]))
    target, image, mask = BLEND_KINDS[name](scene, rng)
    return Blend(image, mask, name, target)


def blend_pair(
    target_HW3: ImageHW3,
    landmarks_K2: Floats,
    rng: np.random.Generator,
    donor: Donor | None = None,
    *,
    strength: float = 1.0,
    weights: Mapping[str, float] = WEIGHTS,
    finish: Callable[[ImageHW3, np.random.Generator], ImageHW3] | None = None,
) -> tuple[ImageHW3, ImageHW3, Floats]:
    """Make a pair of a real and a fake image, with the arguments of `blend`.

    ``finish`` degrades an image; its generator is in the same state for both images, so both are degraded alike.

    Returns:
        Real (H, W, 3), fake (H, W, 3), and the mask (H, W) between them.
    """
    fake = blend(target_HW3, landmarks_K2, rng, donor, strength=strength, weights=weights)
    if finish is None:
        return fake.target_HW3, fake.image_HW3, fake.mask_HW
    seed = int(rng.integers(2**63))
    real, image = (finish(each, np.random.default_rng(seed)) for each in (fake.target_HW3, fake.image_HW3))
    return real, image, fake.mask_HW


def self_blend(image_HW3: ImageHW3, landmarks_K2: Floats, rng: np.random.Generator) -> tuple[ImageHW3, Floats]:
    """Paste a visibly changed copy of a whole face over itself, as a face swap does, in an image of any size.

    Outside the mask the image stays as it is.

    Args:
        image_HW3: RGB image, (H, W, 3) uint8; the face may be small in it.
        landmarks_K2: (5, 2) x, y of the face in pixels of the image.
        rng: The same state gives the same blend: a clip is blended alike when each frame gets a generator of one seed.

    Returns:
        The blended image, and the mask (H, W) that it was blended through, 0..1.

    Raises:
        ValueError: The landmarks are degenerate or outside the image.
    """
    points = np.asarray(landmarks_K2, np.float32)
    rows, columns = _view_around(points, image_HW3.shape[:2])
    points = points - np.array([columns.start, rows.start], np.float32)
    target_HW3 = np.ascontiguousarray(image_HW3[rows, columns])
    change, matrix = Change.draw_visible(rng), Offset.draw(rng).matrix(FaceFrame.of(points))
    source_HW3 = move(change(target_HW3), matrix)
    polygon = cv2.transform(hull(points, draw_hull(rng, ("full", "brows")))[None], matrix)[0]
    pasted_HW = blend_mask(polygon, target_HW3.shape[:2], rng, ratios=(1.0,))
    blended_HW3, mask_HW = image_HW3.copy(), np.zeros(image_HW3.shape[:2], np.float32)
    blended_HW3[rows, columns] = paste(source_HW3, target_HW3, pasted_HW)
    mask_HW[rows, columns] = pasted_HW
    return blended_HW3, mask_HW


def _view_around(landmarks_K2: Floats, shape_HW: tuple[int, int]) -> tuple[slice, slice]:
    """Return rows and columns of the square about twice as wide as a face, cut at the border of its image.

    Raises:
        ValueError: The landmarks are degenerate, or the face lies outside the image.
    """
    frame = FaceFrame.of(landmarks_K2)
    centre = frame.to_pixels(np.array([[0, 0.6]]))[0]
    half = max(frame.size_px)
    left, top = (max(0, int(edge)) for edge in centre - half)
    right, bottom = (min(side, int(edge) + 1) for side, edge in zip(shape_HW[::-1], centre + half, strict=True))
    if right <= left or bottom <= top:
        raise ValueError("the face lies outside the image; nothing can be pasted there")
    return slice(top, bottom), slice(left, right)


def mask_targets(mask_HW: Floats, size_px: int) -> tuple[Floats, Floats]:
    """Return the maps that a network with a mask head learns, on a grid of one cell for each 8 px.

    Args:
        mask_HW: Weight of the source, 0..1, over the whole crop.
        size_px: Side of the crop as the network gets it.

    Returns:
        Region and boundary, (size_px // 8, size_px // 8) in 0..1 each: the mean weight m, and 4 m (1 - m), which is 1
        halfway between source and target (Face X-ray, Li et al. 2020).
    """
    side = max(1, size_px // STRIDE_PX)
    region = cv2.resize(np.asarray(mask_HW, np.float32), (side, side), interpolation=cv2.INTER_AREA).clip(0, 1)
    return region, 4 * region * (1 - region)


def _unlike(scene: Scene, rng: np.random.Generator) -> tuple[ImageHW3, ImageHW3, Floats]:
    """Return target, source and affine map: one of the two is changed, and the source is moved by the map."""
    target, source = _one_changed(scene.target_HW3, scene.target_HW3, Change.draw(rng, scene.amount), rng)
    matrix = Offset.draw(rng, scene.amount).matrix(scene.frame)
    return target, move(source, matrix), matrix


def _one_changed(
    target_HW3: ImageHW3, source_HW3: ImageHW3, change: Change, rng: np.random.Generator
) -> tuple[ImageHW3, ImageHW3]:
    """Return target and source, one of them changed, each half of the time."""
    if rng.random() < 0.5:
        return target_HW3, change(source_HW3)
    return change(target_HW3), source_HW3
