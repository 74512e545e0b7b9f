"""Scan one clip and say what was found.

    python examples/01_scan.py clip.mp4

Without a clip, two are made from a public-domain portrait: one authentic, one self-blended.
"""

import sys
import tempfile
from pathlib import Path

import unmask
from make_clips import make_clips

scanner = unmask.Scanner()  # the bundled model
with tempfile.TemporaryDirectory() as folder:
    for clip in sys.argv[1:] or make_clips(Path(folder)):
        verdict = scanner.scan(clip)
        print(f"{verdict.label or verdict.status}: {clip}")
        for reason in verdict.reasons:
            print(f"  {reason}")
