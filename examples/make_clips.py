"""Make two short clips from a public-domain portrait: one as it is, one with a self-blended face.

    python examples/make_clips.py demo/

The portrait shows Eileen Collins (NASA, public domain).
"""

from __future__ import annotations

import sys
from pathlib import Path

from unmask.datasets.synthetic import film, find_face, read_picture, self_blend, write_clip

PORTRAIT = Path(__file__).parent / "data" / "eileen_collins.png"
FRAMES = 75


def make_clips(folder: Path, frames: int = FRAMES) -> tuple[Path, Path]:
    """Write ``authentic.mp4`` and ``blended.mp4``; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    portrait = read_picture(PORTRAIT)
    blended, _ = self_blend(portrait, find_face(portrait))
    stills = {"authentic.mp4": portrait, "blended.mp4": blended}
    authentic, fake = (
        write_clip((view for view, _ in film(still, frames)), folder / name) for name, still in stills.items()
    )
    return authentic, fake


if __name__ == "__main__":
    for clip in make_clips(Path(sys.argv[1] if len(sys.argv) > 1 else "demo")):
        print(clip)
