"""See that the three standard streams are open."""

from __future__ import annotations

import os
import sys


def fill_standard_streams() -> None:
    """Let each standard stream that is closed, as by ``2>&-``, lead nowhere.

    Otherwise the next file that is opened takes its number, and what a library prints is written into that file.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != descriptor:
                os.dup2(nowhere, descriptor)
                os.close(nowhere)


def restore_standard_streams() -> None:
    """Do as `fill_standard_streams`, and let Python write to nowhere where it found a stream closed."""
    fill_standard_streams()
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(descriptor, "w", encoding="utf-8", closefd=False))
