"""Look for signs that a film was encoded before: pictures that cost more than others at a steady distance.

An encoder that starts each group of pictures afresh leaves a step in quality there. Encoded a second time, the picture
behind that step costs more bits than those around it, though it is no key frame any more: among the sizes of packets
stands the rhythm of the first encoding (in H.264: Vazquez-Padin et al., WIFS 2012, who count blocks instead). Where the
encoder uses B pictures, the cost falls to the next picture that is none, and so does not lie at the step itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MIN_FRAMES, MAX_FRAMES = 48, 2000
"""Films of fewer frames tell nothing; of longer ones, so many are looked at."""
PERIODS = range(8, 61)
"""Distances in frames that are tried, the key frames of the first encoding."""
MIN_STRENGTH = 7.5
"""Strength from which there are signs: of 200 films that were encoded once, none reached 7; see
benchmarks/bench_second_encoding.py for what it gives on others."""
_FROM_START = 1.26
"""A rhythm that begins with the first frame, as that of a film from which nothing was cut, needs less: it is one of
fifty, not of two thousand that are tried. None of the same films had 4.2 there."""
_NEIGHBOURS, _MIN_PLACES, _MIN_PICTURES, _LEAST_SPREAD = 4, 3, 12, 0.02
_BOUNDS = (-3.0, 3.0)
"""Of one excess: a cut of the scene counts no more than this."""
_ROUNDS = 5
"""Of the line fit that passes over outliers."""

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Rhythm:
    """The steadiest distance at which pictures cost more than others."""

    period_frames: int
    """Distance in frames."""
    strength: float
    """Excess, between mean and median, in spreads of the film's own, times the root of the number of places; see
    `MIN_STRENGTH`."""


def find_rhythm(sizes: NDArray[np.int64], is_key: Flags, is_reordered: Flags) -> Rhythm | None:
    """Return the strongest rhythm of a film, None of one that is too short.

    Args:
        sizes: (N,) bytes of each picture, in order of display.
        is_key: (N,) whether it is a key frame of the film as it is; these are passed over.
        is_reordered: (N,) whether it is shown before one that was decoded before it, as B pictures are.
    """
    sizes, is_key, is_reordered = sizes[:MAX_FRAMES], is_key[:MAX_FRAMES], is_reordered[:MAX_FRAMES]
    if len(sizes) < MIN_FRAMES:
        return None
    excess = _excess(sizes, is_key, is_reordered)
    best = Rhythm(0, 0.0)
    for period in PERIODS:
        strengths = _strengths(excess, period)
        if strengths.max() > best.strength:
            best = Rhythm(period, float(strengths.max()))
    return best


def _strengths(excess: Floats, period: int) -> Floats:
    """Return the strength of each of the ``period`` places at which a rhythm can begin."""
    rows = np.full(-(-len(excess) // period) * period, np.nan)
    rows[: len(excess)] = excess
    sorted_PN = np.sort(rows.reshape(-1, period).T, 1)  # NaN last
    counts = np.isfinite(sorted_PN).sum(1)
    some = np.maximum(counts, 1)
    place = np.arange(period)
    medians = (sorted_PN[place, (some - 1) // 2] + sorted_PN[place, some // 2]) / 2
    strengths = (medians + np.nansum(sorted_PN, 1) / some) / 2 * np.sqrt(some)
    strengths[0] *= _FROM_START
    return np.where(counts >= _MIN_PLACES, strengths, 0.0)


def _excess(sizes: NDArray[np.int64], is_key: Flags, is_reordered: Flags) -> Floats:
    """Return by how much the picture that would pay for a step at each frame is larger than its neighbours.

    That is the next one that is no B picture. Where it is a key frame, and at the start, the value is NaN.
    """
    excess = np.full(len(sizes), np.nan)
    anchors = np.flatnonzero(~is_reordered)
    before = np.concatenate([[-1], anchors[:-1]])
    paying = ~is_key[anchors] & (anchors > 0)
    places, before = anchors[paying], before[paying]
    if len(places) < _MIN_PICTURES:
        return excess
    logs = _levelled(np.log(np.maximum(sizes[places], 1)), np.log2(places - before))
    found = np.array([logs[rank] - _around(logs, rank) for rank in range(len(logs))])
    spread = 1.4826 * float(np.median(np.abs(found))) + _LEAST_SPREAD
    for start, place, value in zip(before + 1, places, np.clip(found / spread, *_BOUNDS), strict=True):
        excess[start : place + 1] = value
    excess[:_MIN_PLACES] = np.nan  # the first pictures are dearer than others anyway
    return excess


def _around(logs: Floats, rank: int) -> float:
    around = np.concatenate([logs[max(0, rank - _NEIGHBOURS) : rank], logs[rank + 1 : rank + 1 + _NEIGHBOURS]])
    return float(np.median(around))


def _levelled(logs: Floats, distances: Floats) -> Floats:
    """Return sizes as if each picture followed the last one at once: it costs more the farther that one is."""
    if distances.std() == 0:
        return logs
    columns = np.stack([distances, np.ones_like(distances)], 1)
    weights = np.ones_like(logs)
    line: Floats = np.zeros(2)
    for _ in range(_ROUNDS):
        solved = np.linalg.lstsq(columns * weights[:, None], logs * weights, rcond=None)[0]
        line = solved.astype(np.float64)
        rest = logs - columns @ line
        weights = np.sqrt(1 / (1 + (rest / (2 * 1.4826 * np.median(np.abs(rest)) + 1e-6)) ** 2))
    return logs - columns @ line
