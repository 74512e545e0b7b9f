"""State what one file may cost."""

from __future__ import annotations

from dataclasses import dataclass

from unmask.errors import UsageError

FRAMES_PER_TIME_LIMIT = 300
"""Frames that one reading may ask for within `Limits.seconds`; the time grows with more of them."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may cost; `unmask.media.decoder` holds its decoder to it."""

    seconds: float = 60.0
    """Longest wait for its decoder, at most 10 s and three times the duration of the video; as much again for each
    `FRAMES_PER_TIME_LIMIT` frames that are wanted beyond as many."""
    memory_bytes: int = 2 << 30
    """Address space of its decoder."""
    frame_pixels: int = 4096 * 4096
    """Pixels of one frame: a few hundred kilobytes can ask for gigabytes."""
    total_pixels: int = 10**12
    """Pixels of all frames that are decoded for one reading."""
    download_bytes: int = 2 << 30
    """Length of a video that has to be fetched first."""
    isolate: bool = True
    """Decode in a process of its own; without, ``seconds`` and ``memory_bytes`` do not hold."""

    def __post_init__(self) -> None:
        if min(self.seconds, self.memory_bytes, self.frame_pixels, self.total_pixels, self.download_bytes) <= 0:
            raise UsageError(f"limits must be above zero: {self}")
