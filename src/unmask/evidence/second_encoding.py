"""Look for signs that a film was encoded before: pictures that cost more than their neighbours at a steady distance.

An encoder that starts each group of pictures afresh leaves a step in quality there. Encoded a second time, the picture
behind that step costs more bits than those around it, though it is no key frame any more: among the sizes of packets
stands the rhythm of the first encoding (in H.264: Vazquez-Padin et al., WIFS 2012, who count blocks instead).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MIN_FRAMES, MAX_FRAMES = 48, 2000
"""Films of fewer frames tell nothing; of longer ones, so many are looked at."""
PERIODS = range(8, 61)
"""Distances in frames that are tried, the key frames of the first encoding."""
MIN_STRENGTH = 10.0
"""Strength from which there are signs: one of 100 films that were encoded once reached it; see
benchmarks/bench_second_encoding.py for what it gives on others."""
_NEIGHBOURS, _MIN_PLACES, _LEAST_SPREAD = 4, 3, 0.02

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rhythm:
    """The steadiest distance at which pictures cost more than their neighbours."""

    period_frames: int
    """Distance in frames."""
    strength: float
    """Mean excess, in spreads of the film's own, times the root of the number of places; see `MIN_STRENGTH`."""


def find_rhythm(sizes: NDArray[np.int64], is_key: NDArray[np.bool_], is_reordered: NDArray[np.bool_]) -> Rhythm | None:
    """Return the strongest rhythm of a film, None of one that is too short.

    Args:
        sizes: (N,) bytes of each picture, in order of display.
        is_key: (N,) whether it is a key frame of the film as it is; these are passed over.
        is_reordered: (N,) whether it is shown before one that was decoded before it, as B pictures are.
    """
    sizes, is_key, is_reordered = sizes[:MAX_FRAMES], is_key[:MAX_FRAMES], is_reordered[:MAX_FRAMES]
    if len(sizes) < MIN_FRAMES:
        return None
    excess = _excess(np.log(np.maximum(sizes, 1)), [~is_key & is_reordered, ~is_key & ~is_reordered])
    best = Rhythm(0, 0.0)
    for period in PERIODS:
        for start in range(period):
            places = np.arange(start, len(sizes), period)
            places = places[~is_key[places] & (places > 2)]
            if len(places) >= _MIN_PLACES:
                values = excess[places]
                strength = float((np.median(values) + values.mean()) / 2 * np.sqrt(len(places)))
                if strength > best.strength:
                    best = Rhythm(period, strength)
    return best


def _excess(logs: Floats, groups: list[NDArray[np.bool_]]) -> Floats:
    """Return how much larger each picture is than its neighbours of the same kind, in spreads of the film."""
    excess = np.zeros(len(logs))
    for group in groups:
        places = np.flatnonzero(group)
        if len(places) > _NEIGHBOURS:
            for rank, place in enumerate(places):
                around = places[max(0, rank - _NEIGHBOURS) : rank + _NEIGHBOURS + 1]
                excess[place] = logs[place] - np.median(logs[around[around != place]])
    used = excess[excess != 0]
    spread = 1.4826 * float(np.median(np.abs(used))) + _LEAST_SPREAD if len(used) else 1.0
    return np.clip(excess / spread, -3, 8)
