"""A scanner that judges nothing: it opens a file as any scanner does, and notes in a log what it began and ended.

What follows the mark ``stub:`` in a file says what it does: ``wait=0.5`` takes so long, ``die`` ends its process,
``fail`` raises.
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from unmask.media import Limits
from unmask.scan.base import BaseScanner

PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000010000000100802000000909168360000001949444154789c638c8a8a6220053091a47a54c3"
    "a88621a501006d01012edca7bd140000000049454e44ae426082"
)
"""A PNG of 16x16 pixels; what follows it changes the content, not the picture."""


class StubScanner(BaseScanner):
    """Answers by the bytes of a file."""

    def __init__(self, log: str, workers: int | None = None, seconds: float = 0.0, name: str = "stub") -> None:
        models = [{"name": name, "version": "1", "sha256": "0" * 64}]
        settings = {"system": "stub", "frames": 1}
        super().__init__(models, settings, workers=workers, limits=Limits(isolate=False))
        self._log, self._seconds = log, seconds

    def scan_video(self, video, draft):
        """Do what the file says."""
        text = Path(draft.path).read_bytes().partition(b"stub:")[2].rstrip(b" \0").decode()
        self._note("begin", text)
        list(video.decode(np.arange(1)))
        time.sleep(float(found[1]) if (found := re.search(r"wait=([0-9.]+)", text)) else self._seconds)
        if "die" in text:
            os._exit(9)
        if "fail" in text:
            raise RuntimeError(f"the stub fails at {draft.path}")
        self._note("end", text)
        return replace(draft, status="ok", label="real", fake_probability=0.25, reasons=("The stub says so.",))

    def _note(self, what: str, text: str) -> None:
        with open(self._log, "a") as log:
            log.write(f"{what} {text}\n")


def make(models=None, frames=0, limits=None, **options):
    """Return the stub; what the command line says of models is passed over."""
    return StubScanner(**options)
