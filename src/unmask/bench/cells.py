"""What is done to clips to see how far a model can be trusted: the cells of the robustness table.

Frames that were distorted one by one are written with x264 at crf 23, as DeeperForensics-1.0 writes its own in the end;
its pass through Xvid before that is left out. The cell ``h264 1``, crf 23 alone, tells what the writing costs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from unmask.augment.changes import paste
from unmask.augment.copies import COPIES, Step
from unmask.augment.covers import draw_caption
from unmask.augment.distortions import COMPRESSION_CRF, DISTORTIONS, LEVELS, distort
from unmask.bench.rewriting import chain
from unmask.bench.run import Copy
from unmask.errors import UsageError
from unmask.types import ImageHW3

GOALS = (0.01, 0.02, 0.05, 0.08, 0.12)
"""AUC that the distortions of DeeperForensics-1.0 may cost, level by level."""
DEEPERFORENSICS = ("saturation", "contrast", "blocks", "noise", "blur", "pixelation", "compression")
"""The families that `GOALS` are about."""
_WRITTEN = {"crf": "23", "preset": "veryfast"}
_WINDOW, _DESKTOP, _BAR = 3 / 4, (38, 42, 56), (201, 204, 210)

Steps = Callable[[int], tuple[Step, ...]]
"""Takes a seed, gives the encodings one after the other."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One kind and strength of change."""

    family: str
    """What is done."""
    level: int
    """1 weakest."""
    steps: Steps
    """How."""

    @property
    def name(self) -> str:
        """Family and level."""
        return f"{self.family} {self.level}"

    @property
    def goal(self) -> float | None:
        """The AUC that it may cost; None where no goal is set."""
        return GOALS[self.level - 1] if self.family in DEEPERFORENSICS else None

    def copy(self, source: Path, folder: Path) -> Path:
        """Write the changed copy of a clip; its chance depends on the clip's name alone."""
        seed = int.from_bytes(hashlib.sha256(source.name.encode("utf-8", "surrogatepass")).digest()[:4])
        return chain(source, folder, self.steps(seed))


def all_cells() -> list[Cell]:
    """Return every cell: seven distortions by five levels, JPEG, codecs, platforms, a recorded screen, a caption."""
    cells = [Cell(name, level, _distorted(name, level)) for name in DISTORTIONS for level in LEVELS]
    cells += [Cell("compression", level, _encoded(_x264(crf))) for level, crf in enumerate(COMPRESSION_CRF, 1)]
    cells += [Cell("h264", level, _encoded(_x264(crf))) for level, crf in enumerate((23, 35, 45), 1)]
    cells += [
        Cell(name, 1, _encoded(*COPIES[copy])) for name, copy in (("hevc", "x265"), ("vp9", "vp9"), ("av1", "av1"))
    ]
    feed, repost = _x264(28, 3 / 4), _x264(30, 2 / 3)
    cells += [
        Cell("platforms", 1, _encoded(feed)),
        Cell("platforms", 2, _encoded(feed, repost)),
        Cell("platforms", 3, _encoded(feed, repost, *COPIES["messenger"])),
        Cell("screen", 1, _encoded(Step("libx264", {"crf": "28", "preset": "ultrafast"}, on_a_desktop))),
        Cell("caption", 1, _captioned),
    ]
    return sorted(cells, key=lambda cell: (cell.family not in DEEPERFORENSICS, cell.family != "jpeg"))


def chosen_cells(names: Sequence[str]) -> list[Cell]:
    """Return the cells of these names, which may be those of whole families; all without a name.

    Raises:
        UsageError: There is no such cell.
    """
    cells = all_cells()
    families = list(dict.fromkeys(cell.family for cell in cells))
    for name in names:
        if name not in families and name not in {cell.name for cell in cells}:
            raise UsageError(f"unknown cell {name!r}; use one of {', '.join(families)}, with or without a level")
    return [cell for cell in cells if not names or cell.name in names or cell.family in names]


def copies_of(cells: Sequence[Cell]) -> list[tuple[str, Copy | None]]:
    """Return cells as `unmask.bench.run.jobs_of` takes them."""
    return [(cell.name, cell.copy) for cell in cells]


def on_a_desktop(image_HW3: ImageHW3) -> ImageHW3:
    """Show a frame in a window of three quarters of a screen of its own size, with a title bar."""
    height, width = image_HW3.shape[:2]
    size = max(1, round(width * _WINDOW)), max(1, round(height * _WINDOW))
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    screen = np.full_like(image_HW3, _DESKTOP)
    screen[max(0, top - height // 24) : top, left : left + size[0]] = _BAR
    screen[top : top + size[1], left : left + size[0]] = cv2.resize(image_HW3, size, interpolation=cv2.INTER_LINEAR)
    return screen


def _x264(crf: int, scale: float = 1.0) -> Step:
    return Step("libx264", {**_WRITTEN, "crf": str(crf)}, None, scale)


def _encoded(*steps: Step) -> Steps:
    return lambda _: steps


def _distorted(name: str, level: int) -> Steps:
    def steps(seed: int) -> tuple[Step, ...]:
        rng = np.random.default_rng(seed)
        return (Step("libx264", _WRITTEN, lambda image_HW3: distort(image_HW3, name, level, rng)),)

    return steps


def _captioned(seed: int) -> tuple[Step, ...]:
    """Draw one caption, the same in each frame, over the square in the middle."""
    strokes: dict[int, list[tuple[tuple[int, int, int], np.ndarray]]] = {}

    def draw(image_HW3: ImageHW3) -> ImageHW3:
        changed, (height, width) = image_HW3.copy(), image_HW3.shape[:2]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        square_SS3 = np.ascontiguousarray(changed[top : top + side, left : left + side])
        if side not in strokes:
            strokes[side] = list(draw_caption(side, np.random.default_rng(seed)))
        for colour, weight_SS in strokes[side]:
            square_SS3 = paste(np.full_like(square_SS3, colour), square_SS3, weight_SS)
        changed[top : top + side, left : left + side] = square_SS3
        return changed

    return (Step("libx264", _WRITTEN, draw),)
