"""State what one file may cost."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from unmask.errors import UsageError

FRAMES_PER_TIME_LIMIT = 300
"""Frames that one reading may ask for within `Limits.seconds`; the time grows with more of them."""

_MAX_VALUE, _MAX_FRAME_PIXELS = 1 << 62, 1 << 34
"""Above these the system knows no limits, and maps no memory for an image."""


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
    file_bytes: int = 64 << 30
    """Length of a file that is looked at: all of it is hashed, which takes a minute for the default."""
    isolate: bool = True
    """Decode in a process of its own; without, ``seconds`` and ``memory_bytes`` do not hold."""

    def __post_init__(self) -> None:
        values = [value for name, value in asdict(self).items() if name != "isolate"]
        if not (all(0 < value < _MAX_VALUE for value in values) and self.frame_pixels <= _MAX_FRAME_PIXELS):  # nor NaN
            raise UsageError(f"limits must be numbers above zero and within reason: {self}")
