"""Make the picture of a report that README and docs show, from the public-domain portrait in examples/data.

    PYTHONPATH=. python scripts/report_picture.py

A clip of the portrait, whose face is a blended one from the middle on, is scanned, and its page photographed by
Chromium, which must be on the path as ``chromium``.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from pathlib import Path

from examples.make_clips import PORTRAIT, blend_portrait
from PIL import Image

from unmask import Scanner
from unmask.datasets.synthetic import film, read_portrait, write_clip

OUT = Path(__file__).parents[1] / "docs" / "report.jpg"
FRAMES = 100
SIZE_PX = (1000, 1215)
"""What is seen of the page: words, people, timeline, the frame."""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        portrait = read_portrait(PORTRAIT)
        films = zip(film(portrait, FRAMES), film(blend_portrait(portrait), FRAMES), strict=True)
        views = ((both[number >= FRAMES // 2])[0] for number, both in enumerate(films))
        write_clip(views, Path("clip.mp4"))
        Scanner().scan("clip.mp4").save("clip.html")
        photograph(Path("clip.html").absolute(), Path("page.png").absolute())
        with Image.open("page.png") as picture:
            picture.convert("RGB").save(OUT, quality=80, optimize=True)
    print(f"{OUT}: {OUT.stat().st_size} bytes")


def photograph(page: Path, picture: Path) -> None:
    """Have Chromium show a page and write what is seen."""
    command = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    command += ["--hide-scrollbars", f"--user-data-dir={picture.parent / 'browser'}"]
    command += [f"--window-size={SIZE_PX[0]},{SIZE_PX[1]}", f"--screenshot={picture}", page.as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=300, env=os.environ | {"HOME": str(page.parent)})


if __name__ == "__main__":
    main()
