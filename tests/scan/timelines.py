"""Timelines of videos that were never made."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unmask.media import Shots
from unmask.scan.timeline import Timeline


def timeline(frames: int, seconds: float, starts: Sequence[int] = (0,), keys: Sequence[int] = (0,)) -> Timeline:
    """Return the timeline of a video with so many frames, each so many seconds after the last one."""
    return Timeline(
        times_seconds=np.arange(frames) * seconds,
        end_seconds=frames * seconds,
        key_indices=np.array(keys, np.int64),
        shots=Shots(np.array(starts, np.int64)),
    )
