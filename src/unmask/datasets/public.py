"""Name the clips of the public validation set of the Deepfake Detection Challenge."""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def public_validation_ids() -> frozenset[str]:
    """Return the ids of the 400 clips that the challenge's public leaderboard scored; all lie in the parts 0 to 2.

    The challenge released them later as part of the training set. The ids in ``public_validation.txt`` are those of
    ``PUBLIC_SET`` in selimsef/dfdc_deepfake_challenge and of ``publicval_alignedface_png.txt`` in
    Siyu-C/RobustForensics, which agree.
    """
    text = Path(__file__).with_name("public_validation.txt").read_text(encoding="ascii")
    return frozenset(text.split())
