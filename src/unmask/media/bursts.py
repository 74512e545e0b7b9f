"""Find the frames at which something new comes into the picture, from the lengths of packets alone: nothing is decoded.

An encoder describes a frame by what moved since the last one. What was not there before has to be written anew, and
makes a packet longer than those around: a cut, a flash, a hand, and a face that is exchanged for another one, also
where the rest of the picture goes on as it was. Key frames are written anew always and tell nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MOST_BURSTS = 24
"""Frames that are kept, the most outstanding ones."""
APART_SECONDS = 0.5
"""They lie at least so far apart."""
_AROUND = 25
"""Frames on either side that one is compared with."""
_LARGER = 3
"""So many of them may be longer than what the frame is compared with: encoders alternate long and short packets."""
_CHUNK = 4096


def find_bursts(
    lengths_bytes: NDArray[np.int64], key_frames: NDArray[np.int64], times_seconds: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Return the indices (b,) of the frames whose packets stand out most, at most `MOST_BURSTS`, in order of time.

    Args:
        lengths_bytes: (N,) length of each frame's packet.
        key_frames: (K,) indices of the frames that are written anew.
        times_seconds: (N,) rising time stamps.
    """
    if len(lengths_bytes) <= 2 * _AROUND:
        return np.empty(0, np.int64)
    size = np.log(np.maximum(lengths_bytes, 1)).astype(np.float32)
    size[key_frames] = -np.inf
    padded = np.pad(size, _AROUND, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * _AROUND + 1)
    usual = np.empty_like(size)
    for first in range(0, len(size), _CHUNK):
        usual[first : first + _CHUNK] = np.partition(windows[first : first + _CHUNK], -_LARGER, axis=1)[:, -_LARGER]
    known = np.isfinite(size) & np.isfinite(usual)
    excess = np.subtract(size, usual, out=np.full_like(size, -np.inf), where=known)
    chosen: list[int] = []
    for index in np.argsort(-excess, kind="stable").tolist():
        if excess[index] <= 0 or len(chosen) == MOST_BURSTS:
            break
        if not chosen or np.abs(times_seconds[chosen] - times_seconds[index]).min() >= APART_SECONDS:
            chosen.append(index)
    return np.array(sorted(chosen), np.int64)
