"""Choose which frames to look at, from their time stamps alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from unmask.errors import UsageError

_LONGEST_PAUSE_SECONDS = 10.0


def spread_over_time(times_seconds: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Pick ``count`` frames whose time stamps lie as evenly as the frames allow; all of them if there are fewer.

    A frame that stands for minutes, or a clock that jumped, counts as a pause of ten seconds: there is no more to see.

    Args:
        times_seconds: (N,) rising time stamps of the frames that exist.
        count: How many to pick, at least 1.

    Returns:
        (min(count, N),) strictly rising frame indices; from 2 on, the first and the last frame are among them.
    """
    total = len(times_seconds)
    if total <= count:
        return np.arange(total, dtype=np.int64)
    pauses = np.minimum(np.diff(times_seconds), _LONGEST_PAUSE_SECONDS)
    times = np.concatenate([[0.0], np.cumsum(pauses)])
    targets = np.linspace(times[0], times[-1], count)
    middles = (times[1:] + times[:-1]) / 2
    nearest = np.searchsorted(middles, targets)
    steps = np.arange(count)  # a frame is taken once: push doubles apart, then back inside
    rising = np.maximum.accumulate(nearest - steps) + steps
    return np.minimum(rising, total - count + steps).astype(np.int64)


def floor_linspace(times_seconds: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Pick the indices of the challenge winner: floor(linspace(0, N - 1, count)), doubles removed.

    Source: selimsef/dfdc_deepfake_challenge. Doubles stalled the original after the first one.
    """
    return np.unique(np.linspace(0, len(times_seconds) - 1, count).astype(np.int64))


SAMPLINGS: dict[str, Callable[[NDArray[np.float64], int], NDArray[np.int64]]] = {
    "time": spread_over_time,
    "reference": floor_linspace,
}
"""Name -> function (times_seconds, count) -> frame indices."""


def sample_indices(times_seconds: NDArray[np.float64], count: int, sampling: str = "time") -> NDArray[np.int64]:
    """Return the indices of the frames to look at, strictly rising.

    Args:
        times_seconds: (N,) rising time stamps of the frames that exist.
        count: How many to pick, at least 1.
        sampling: A name out of `SAMPLINGS`.

    Raises:
        UsageError: ``count`` is below 1 or ``sampling`` is not one of `SAMPLINGS`.
    """
    if count < 1:
        raise UsageError(f"cannot sample {count} frames; ask for at least 1")
    if sampling not in SAMPLINGS:
        raise UsageError(f"unknown sampling {sampling!r}; use one of {', '.join(SAMPLINGS)}")
    return SAMPLINGS[sampling](times_seconds, count)
