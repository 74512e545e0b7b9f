"""Lay something over a face that is no manipulation of it: captions, stock marks, stickers, glasses, masks.

Authentic faces carry these as often as fakes do. They are drawn where faces lie in the crops of
`unmask.augment.filmed.Framing`, by draws that do not depend on the picture, so that both members of a pair get the
same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import cv2
import numpy as np

from unmask.augment.changes import paste
from unmask.augment.hulls import Floats
from unmask.augment.transforms import Example, Rng

Colour = tuple[int, int, int]
Stroke = tuple[Colour, Floats]
"""A colour, and how much of it covers each pixel, 0 to 1: (S, S)."""
Draw = Callable[[int, Rng], Iterator[Stroke]]
"""Takes the side of the picture in pixels."""

_HIDDEN = 0.9
"""From this weight on a stroke hides what lies below."""
_EYE_LINE, _EYES_APART = 0.4, 0.3
"""Height of the eyes, and their distance, in sides of the crop."""
_FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_TRIPLEX)


def covered(example: Example, rng: Rng) -> Example:
    """Lay one of `COVERS` over a square picture; a mask ends where a cover hides the face."""
    side = example.image_HW3.shape[0]
    weights = np.array([weight for _, weight in COVERS.values()])
    draw = list(COVERS.values())[int(rng.choice(len(weights), p=weights / weights.sum()))][0]
    image_HW3, mask_HW = example.image_HW3, example.mask_HW.copy()
    for colour, weight_HW in draw(side, rng):
        image_HW3 = paste(np.full_like(image_HW3, colour), image_HW3, weight_HW)
        mask_HW[weight_HW > _HIDDEN] = 0
    return replace(example, image_HW3=image_HW3, mask_HW=mask_HW)


def draw_caption(side: int, rng: Rng) -> Iterator[Stroke]:
    """Draw one or two lines of text, with an outline or on a bar, mostly at the bottom."""
    lines, kind = int(rng.integers(1, 3)), int(rng.integers(3))
    font, scale = _FONTS[int(rng.integers(len(_FONTS)))], side / 350 * float(rng.uniform(0.6, 1.6))
    height = 34 * scale
    top = side * (float(rng.uniform(0.65, 0.95)) if rng.random() < 0.7 else float(rng.uniform(0.1, 0.6)))
    left, thickness = float(rng.uniform(-0.1, 0.4)) * side, max(1, round(2 * scale))
    colour, behind = _light_and_dark(rng)
    if kind == 0:
        bar = np.zeros((side, side), np.uint8)
        corners = (0, int(top - height)), (side, int(top + (lines - 0.6) * height))
        cv2.rectangle(bar, *corners, 255, -1)
        yield behind, _weight(bar, float(rng.uniform(0.5, 1)))
    for line in range(lines):
        text, at = _text(rng, 8, 24), (int(left), int(top + line * height))
        for thick, shade in ((thickness + 2 + thickness // 2, behind), (thickness, colour))[kind != 1 :]:
            plane = np.zeros((side, side), np.uint8)
            cv2.putText(plane, text, at, font, scale, 255, thick, cv2.LINE_AA)
            yield shade, _weight(plane)


def draw_mark(side: int, rng: Rng) -> Iterator[Stroke]:
    """Draw the see-through mark of a picture agency, once or all over, perhaps with lines across."""
    font, scale = _FONTS[int(rng.integers(len(_FONTS)))], side / 300 * float(rng.uniform(0.5, 1.4))
    text, thickness = _text(rng, 5, 12), max(1, round(float(rng.uniform(1, 4)) * scale))
    plane, wide = np.zeros((side, side), np.uint8), int(float(rng.uniform(18, 24)) * scale * len(text))
    step = max(8, int(float(rng.uniform(50, 120)) * scale)) if rng.random() < 0.5 else 2 * side
    for number, y in enumerate(range(int(float(rng.uniform(0.3, 0.7)) * side) % step, 2 * side, step)):
        start = int(float(rng.uniform(-0.2, 0.3)) * side) - number % 2 * wide // 2
        for x in range(start, side, max(8, wide)) if step < side else (start,):
            cv2.putText(plane, text, (x, y), font, scale, 255, thickness, cv2.LINE_AA)
    if rng.random() < 0.3:
        for ends in (((0, 0), (side, side)), ((0, side), (side, 0))):
            cv2.line(plane, *ends, 255, thickness, cv2.LINE_AA)
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), float(rng.uniform(-45, 45)), 1.0)
    shade = int(rng.choice([0, 128, 255], p=[0.2, 0.2, 0.6]))
    yield (shade,) * 3, _weight(cv2.warpAffine(plane, turn, (side, side)), float(rng.uniform(0.15, 0.6)))


def draw_sticker(side: int, rng: Rng) -> Iterator[Stroke]:
    """Draw a disc with a face, a star, a bar or a frame somewhere."""
    x, y = (int(place) for place in rng.uniform(0.05, 0.95, 2) * side)
    radius, kind, turn = int(float(rng.uniform(0.04, 0.16)) * side), int(rng.integers(4)), float(rng.uniform(0, 360))
    colour, other, strength = _colour(rng), _colour(rng), float(rng.uniform(0.7, 1))
    plane = np.zeros((side, side), np.uint8)
    if kind == 0:
        cv2.circle(plane, (x, y), radius, 255, -1, cv2.LINE_AA)
    elif kind == 1:
        angles, reach = np.radians(turn + 36 * np.arange(10)), radius * (1 - 0.55 * (np.arange(10) % 2))
        points = np.column_stack([x + reach * np.cos(angles), y + reach * np.sin(angles)])
        cv2.fillPoly(plane, [np.rint(points).astype(np.int32)], 255, cv2.LINE_AA)
    else:
        end = x + int(float(rng.uniform(1, 4)) * radius), y + radius
        cv2.rectangle(plane, (x, y), end, 255, -1 if kind == 2 else 1 + side // 100)
    yield colour, _weight(plane, strength)
    if kind == 0 and radius > 4:
        features = np.zeros((side, side), np.uint8)
        for dx in (-1, 1):
            cv2.circle(features, (x + dx * radius // 3, y - radius // 4), max(1, radius // 7), 255, -1, cv2.LINE_AA)
        smile = radius // 2, radius // 2
        cv2.ellipse(features, (x, y), smile, 0, 20, 160, 255, max(1, radius // 8), cv2.LINE_AA)
        yield other, _weight(features, strength)


def draw_glasses(side: int, rng: Rng) -> Iterator[Stroke]:
    """Draw glasses or sunglasses where eyes are: rims, a bridge, temples, and lenses of any darkness."""
    x, y = side * (0.5 + rng.uniform(-0.03, 0.03)), side * (_EYE_LINE + rng.uniform(-0.04, 0.04))
    apart = side * _EYES_APART * float(rng.uniform(0.85, 1.15))
    width, height = apart * float(rng.uniform(0.32, 0.44)), apart * float(rng.uniform(0.22, 0.4))
    round_lens, rim = rng.random() < 0.5, max(1, round(side * float(rng.uniform(0.006, 0.025))))
    turn = cv2.getRotationMatrix2D((x, y), float(rng.uniform(-10, 10)), 1.0)
    lenses, frame = np.zeros((side, side), np.uint8), np.zeros((side, side), np.uint8)
    for sign in (-1, 1):
        centre = int(x + sign * apart / 2), int(y)
        corners = (int(centre[0] - width), int(y - height)), (int(centre[0] + width), int(y + height))
        for plane, thick in ((lenses, -1), (frame, rim)):
            if round_lens:
                cv2.ellipse(plane, centre, (int(width), int(height)), 0, 0, 360, 255, thick, cv2.LINE_AA)
            else:
                cv2.rectangle(plane, *corners, 255, thick)
        edge = centre[0] + sign * width
        cv2.line(frame, (int(edge), int(y)), (int(edge + sign * 0.2 * side), int(y - 0.02 * side)), 255, rim)
    cv2.line(frame, (int(x - apart / 2 + width), int(y)), (int(x + apart / 2 - width), int(y)), 255, rim)
    lens, dark = float(rng.uniform(0.6, 0.97)) if rng.random() < 0.4 else float(rng.uniform(0, 0.15)), _colour(rng, 70)
    yield dark, _weight(cv2.warpAffine(lenses, turn, (side, side)), lens)
    yield _colour(rng, 140), _weight(cv2.warpAffine(frame, turn, (side, side)))


def draw_mask(side: int, rng: Rng) -> Iterator[Stroke]:
    """Draw a mask of cloth over nose and mouth, with folds and its strings."""
    top, wide, turn = (float(value) for value in rng.uniform((0.52, 0.26, -8), (0.6, 0.36, 8)))
    outline = np.array([[-wide, top], [0, top - 0.07], [wide, top], [0.9 * wide, 0.85], [0, 1.0], [-0.9 * wide, 0.85]])
    plane, lines = np.zeros((side, side), np.uint8), np.zeros((side, side), np.uint8)
    cv2.fillPoly(plane, [np.rint((outline + [0.5, 0]) * side).astype(np.int32)], 255, cv2.LINE_AA)
    for height in np.linspace(top + 0.08, 0.88, int(rng.integers(2, 5))):
        ends = (
            (int((0.5 - 0.9 * wide) * side), int(height * side)),
            (int((0.5 + 0.9 * wide) * side), int(height * side)),
        )
        cv2.line(lines, *ends, 255, max(1, side // 120), cv2.LINE_AA)
    for sign in (-1, 1):
        ends = (int((0.5 + sign * wide) * side), int(top * side)), (int((0.5 + sign * 0.5) * side), int(0.42 * side))
        cv2.line(plane, *ends, 255, max(1, side // 80), cv2.LINE_AA)
    matrix = cv2.getRotationMatrix2D((side / 2, side / 2), turn, 1.0)
    colour = _colour(rng)
    yield colour, _weight(cv2.warpAffine(plane, matrix, (side, side)))
    shade = tuple(level // 2 for level in colour)
    yield (shade[0], shade[1], shade[2]), _weight(cv2.warpAffine(lines, matrix, (side, side)), 0.5)


COVERS: dict[str, tuple[Draw, float]] = {
    "caption": (draw_caption, 0.3),
    "mark": (draw_mark, 0.3),
    "sticker": (draw_sticker, 0.2),
    "glasses": (draw_glasses, 0.15),
    "mask": (draw_mask, 0.05),
}
"""Name -> what draws it, and how often, relative to the others; masks are rare, since they may hide all of a fake."""


def _weight(plane_HW: np.ndarray, strength: float = 1.0) -> Floats:
    return plane_HW.astype(np.float32) * np.float32(strength / 255)


def _text(rng: Rng, shortest: int, longest: int) -> str:
    codes = rng.integers(97, 123, int(rng.integers(shortest, longest, endpoint=True)))
    text = "".join(chr(code) if code % 6 else " " for code in codes.tolist())
    return text.upper() if rng.random() < 0.4 else text


def _colour(rng: Rng, brightest: int = 255) -> Colour:
    red, green, blue = (int(level) for level in rng.integers(0, brightest, 3, endpoint=True))
    return red, green, blue


def _light_and_dark(rng: Rng) -> tuple[Colour, Colour]:
    """Return a colour of text and one of what is around it."""
    light, dark = [(255, 255, 255), (255, 235, 60)][int(rng.integers(2))], _colour(rng, 60)
    return (dark, light) if rng.random() < 0.2 else (light, dark)
