"""Cut parts out of both pictures of a pair, so that a network looks at all of a face, and not at whose it is.

Where pictures are few, a network learns people by heart, and which of them were faked. Parts of the face are cut out
before compression, the same ones of the real picture and the fake. They show nothing to be found, so the mask is empty
there; a fake keeps most of its mask. Cf. Cutout (DeVries and Taylor 2017, arXiv 1708.04552) and Face-Cutout (Das et al.
2021, arXiv 2102.09603).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.augment.transforms import Example, Rng

_FILLS = ("colour", "noise", "blur")


@dataclass(frozen=True, slots=True)
class Cutout:
    """Rectangles and what fills them."""

    boxes: tuple[tuple[float, float, float, float], ...]
    """Left, top, right, bottom in shares of the picture's sides."""
    fill: str
    """``colour``, ``noise`` or ``blur`` (the picture itself, unrecognisable)."""
    seed: int
    """Of colour and noise."""

    def slices(self, shape_HW: tuple[int, ...]) -> list[tuple[slice, slice]]:
        """Return rows and columns of each rectangle."""
        height, width = shape_HW[:2]
        return [
            (slice(int(y1 * height), max(int(y1 * height) + 1, int(y2 * height))),
             slice(int(x1 * width), max(int(x1 * width) + 1, int(x2 * width))))
            for x1, y1, x2, y2 in self.boxes
        ]  # fmt: skip

    def hides(self, mask_HW: NDArray[np.uint8]) -> float:
        """Return which share of a mask is cut out, 0 to 1; of an empty one nothing."""
        left_HW = mask_HW.copy()
        for place in self.slices(mask_HW.shape):
            left_HW[place] = 0
        whole = float(mask_HW.sum(dtype=np.int64))
        return 1 - float(left_HW.sum(dtype=np.int64)) / whole if whole else 0.0

    def __call__(self, example: Example) -> Example:
        """Fill the rectangles of a picture and empty its mask there."""
        image_HW3, mask_HW = example.image_HW3.copy(), example.mask_HW.copy()
        rng = np.random.default_rng(self.seed)
        colour, noise = rng.integers(0, 256, 3), rng.integers(0, 256, (8, 8, 3))
        for rows, columns in self.slices(image_HW3.shape):
            part_HW3 = image_HW3[rows, columns]
            size = part_HW3.shape[1], part_HW3.shape[0]
            if self.fill == "colour":
                part_HW3[:] = colour
            elif self.fill == "noise":
                part_HW3[:] = cv2.resize(noise.astype(np.uint8), size, interpolation=cv2.INTER_CUBIC)
            else:
                coarse_HW3 = cv2.resize(part_HW3, (3, 3), interpolation=cv2.INTER_AREA)
                part_HW3[:] = cv2.resize(coarse_HW3, size, interpolation=cv2.INTER_LINEAR)
            mask_HW[rows, columns] = 0
        return replace(example, image_HW3=image_HW3, mask_HW=mask_HW)


@dataclass(frozen=True, slots=True)
class Cutouts:
    """How often and how much is cut out."""

    p: float = 0.3
    """Share of pairs."""
    boxes: tuple[int, int] = (1, 3)
    """Least and greatest number of rectangles."""
    side: tuple[float, float] = (0.15, 0.5)
    """Of a rectangle, in shares of the picture's sides."""
    most_hidden: float = 0.6
    """Share of a fake's mask that may be cut out; where more would be, nothing is."""

    def draw(self, rng: Rng) -> Cutout | None:
        """Return what is cut out of the next pair, or None."""
        if rng.random() >= self.p:
            return None
        boxes = []
        for _ in range(int(rng.integers(self.boxes[0], self.boxes[1], endpoint=True))):
            width, height = rng.uniform(*self.side, 2)
            x, y = rng.uniform(0, 1 - width), rng.uniform(0, 1 - height)
            boxes.append((float(x), float(y), float(x + width), float(y + height)))
        return Cutout(tuple(boxes), _FILLS[int(rng.integers(len(_FILLS)))], int(rng.integers(2**31)))
