"""Make two short clips from a public-domain portrait: one as it is, one with a self-blended face.

    python examples/make_clips.py demo/

The portrait shows Eileen Collins (NASA, public domain).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from unmask.augment.selfblend import self_blend
from unmask.datasets.synthetic import film, find_landmarks, read_portrait, write_clip
from unmask.types import ImageHW3

PORTRAIT = Path(__file__).parent / "data" / "eileen_collins.png"
FRAMES = 75
SEED = 14


def blend_portrait(portrait_HW3: ImageHW3) -> ImageHW3:
    """Paste a changed copy of the face over itself, with the same draws each time."""
    return self_blend(portrait_HW3, find_landmarks(portrait_HW3), np.random.default_rng(SEED))[0]


def make_clips(folder: Path, frames: int = FRAMES) -> tuple[Path, Path]:
    """Write ``authentic.mp4`` and ``blended.mp4``; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    portrait = read_portrait(PORTRAIT)
    stills = {"authentic.mp4": portrait, "blended.mp4": blend_portrait(portrait)}
    authentic, fake = (
        write_clip((view for view, _ in film(still, frames)), folder / name) for name, still in stills.items()
    )
    return authentic, fake


if __name__ == "__main__":
    for clip in make_clips(Path(sys.argv[1] if len(sys.argv) > 1 else "demo")):
        print(clip)
