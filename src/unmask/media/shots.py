"""Find the cuts of a video from the signatures of some of its frames.

A cut is a step between two signatures that stands out from the steps around it: what counts as large is measured in
the clip itself. A flash returns to what was there before it, a pan consists of many large steps, and in a dissolve the
frames between are mixtures of its two ends.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NEIGHBOURS = 4
"""Steps on either side that a step is compared with."""
MIN_STEP = 3.5
"""Smallest step that can be a cut, in levels of 255, summed over Y, U and V."""
MIN_RATIO = 2.2
"""A cut is this many times the largest step around it, to which `_NOISE` is added."""
LARGE_STEP, LARGE_RATIO = 35.0, 1.3
"""A step that exchanges the whole image needs to stand out less."""
FLASH_SECONDS = 0.5
"""What is as before after at most this time was a flash, not a cut."""
MAX_DISSOLVE_SECONDS = 1.6
"""Longest dissolve that is found."""
MIN_DISSOLVE = 16.0
"""Smallest distance between the two ends of a dissolve."""
MIN_CHANGED_SHARE, CHANGED_LEVELS = 0.1, 8.0
"""A cut changes at least this share of the blocks by this many levels: what changes in one spot only is no cut."""
SPARSE_SECONDS = (0.09, 0.4)
"""Where frames are further apart than this, one, or two, of the steps around are passed over: they may be cuts too."""
LONG_GAP_SECONDS = 1.5
"""Frames further apart than this are compared with all frames around, not with steps."""
MIN_GAP_STEP = 9.0
"""Smallest distance across a long gap that can be a cut: people move meanwhile."""
_NOISE = 1.0
_RETURN_SHARE = 0.4
_MAX_MIX_RESIDUAL = 0.3
_MAX_DISSOLVE_STEP = 0.7
_MAX_LIKENESS = 0.8
_MAX_MOVE_BLOCKS = (1, 2)
_MAX_REST = 0.25

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Shots:
    """The shots of a video, as far as its decoded frames tell."""

    starts: NDArray[np.int64]
    """(S,) rising index of the first known frame of each shot; the first one is 0."""

    def __len__(self) -> int:
        return len(self.starts)

    def number_of(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the number of the shot, from 0, that each frame index lies in."""
        return np.searchsorted(self.starts, indices, side="right").astype(np.int64) - 1


def find_shots(indices: NDArray[np.int64], times_seconds: NDArray[np.float64], signatures: NDArray[np.uint8]) -> Shots:
    """Return the shots of a video.

    Args:
        indices: (N,) rising indices of the frames whose signatures are known.
        times_seconds: (N,) their time stamps.
        signatures: (N, 3, 9, 16) uint8, see `unmask.media.signature`.
    """
    if len(indices) < 2:
        return Shots(np.zeros(1, np.int64))
    cuts = find_cuts(times_seconds, signatures)
    return Shots(np.concatenate([[0], indices[cuts]]).astype(np.int64))


def find_cuts(times_seconds: NDArray[np.float64], signatures: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the positions n for which a cut lies between frame n - 1 and frame n, rising.

    Args:
        times_seconds: (N,) rising time stamps.
        signatures: (N, 3, 9, 16) uint8.
    """
    x_NYX = signatures.astype(np.float32)
    steps = distance(x_NYX[1:], x_NYX[:-1])
    gaps_seconds = np.diff(times_seconds)
    found = []
    for step in np.flatnonzero(steps > MIN_STEP).tolist():
        if gaps_seconds[step] > LONG_GAP_SECONDS:
            is_cut = _is_cut_over_gap(step, steps, gaps_seconds, x_NYX)
        else:
            is_cut = _stands_out(step, steps, gaps_seconds) and not _is_flash(step, times_seconds, steps, x_NYX)
        if is_cut and _changed_share(x_NYX[step], x_NYX[step + 1]) >= MIN_CHANGED_SHARE:
            found.append(step + 1)
    return np.array(sorted(found + _dissolves(times_seconds, x_NYX, steps, found)), np.int64)


def distance(a_NYX: NDArray[np.float32], b_NYX: NDArray[np.float32]) -> Floats:
    """Return how far signatures (..., 3, 9, 16) lie apart, in levels of 255 summed over Y, U and V.

    A change of brightness of the whole image does not count.
    """
    apart = a_NYX - b_NYX
    if not apart.size:
        return np.zeros(apart.shape[:-3])
    luma = apart[..., 0, :, :]
    luma -= np.median(luma, axis=(-1, -2), keepdims=True)
    total: Floats = np.abs(apart).mean((-1, -2), dtype=np.float64).sum(-1)
    return total


def _stands_out(step: int, steps: Floats, gaps_seconds: Floats) -> bool:
    """Whether a step is much larger than those around it. Steps over long gaps say nothing about short ones.

    Where frames are far apart, other cuts may be among the steps around, see `SPARSE_SECONDS`; a pan has more steps.
    """
    around = np.r_[max(0, step - NEIGHBOURS) : step, step + 1 : min(len(steps), step + 1 + NEIGHBOURS)]
    around = around[gaps_seconds[around] <= LONG_GAP_SECONDS]
    passed_over = int(np.searchsorted(SPARSE_SECONDS, np.median(gaps_seconds[around]))) if len(around) else 0
    level = float(np.sort(steps[around])[::-1][passed_over:].max(initial=0.0))
    ratio = LARGE_RATIO if steps[step] > LARGE_STEP else MIN_RATIO
    return bool(steps[step] > ratio * (level + _NOISE))


def _is_flash(step: int, times_seconds: Floats, steps: Floats, x_NYX: NDArray[np.float32]) -> bool:
    """Whether a frame soon after the step looks like one shortly before it."""
    before = np.flatnonzero(times_seconds[: step + 1] >= times_seconds[step + 1] - FLASH_SECONDS)[-12:]
    after = step + 1 + np.flatnonzero(times_seconds[step + 1 :] <= times_seconds[step] + FLASH_SECONDS)[:12]
    if not len(before) or not len(after):
        return False
    return bool(distance(x_NYX[before][:, None], x_NYX[after][None]).min() < _RETURN_SHARE * steps[step])


def _is_cut_over_gap(step: int, steps: Floats, gaps_seconds: Floats, x_NYX: NDArray[np.float32]) -> bool:
    """Whether two frames far apart in time differ more than the frames on either side do among themselves."""
    first, last = max(0, step - NEIGHBOURS), min(len(steps), step + 1 + NEIGHBOURS)
    before, after = x_NYX[first : step + 1], x_NYX[step + 1 : last + 1]
    spread = max(float(distance(side[:1], side).max()) for side in (before[::-1], after))
    typical = float(np.median(steps[gaps_seconds > LONG_GAP_SECONDS]))
    return bool(steps[step] > MIN_GAP_STEP and steps[step] > MIN_RATIO * (min(spread, typical) + _NOISE))


def _changed_share(a_NYX: NDArray[np.float32], b_NYX: NDArray[np.float32]) -> float:
    """Return the share of the blocks that differ, whatever the brightness of the whole."""
    apart = a_NYX - b_NYX
    apart[0] -= np.median(apart[0])
    return float((np.abs(apart).sum(0) > CHANGED_LEVELS).mean())


def _dissolves(times_seconds: Floats, x_NYX: NDArray[np.float32], steps: Floats, cuts: list[int]) -> list[int]:
    """Return the positions in the middle of dissolves."""
    ends = np.searchsorted(times_seconds, times_seconds + MAX_DISSOLVE_SECONDS, side="right") - 1
    starts = np.flatnonzero(ends - np.arange(len(ends)) >= 4)
    starts = starts[distance(x_NYX[starts], x_NYX[ends[starts]]) >= MIN_DISSOLVE]
    cuts_before = np.searchsorted(cuts, np.arange(len(x_NYX)), side="right")
    starts = starts[cuts_before[starts] == cuts_before[ends[starts]]]
    found: list[int] = []
    resume_at = 0
    for start, is_calm in zip(starts.tolist(), _are_calm(x_NYX, starts, ends[starts]), strict=True):
        if start < resume_at:
            continue
        end = int(ends[start])
        middle = _middle_of_dissolve(x_NYX[start : end + 1], steps[start:end]) if is_calm else None
        resume_at = start + max(1, (end - start) // 8)
        if middle is not None:
            found.append(start + middle)
            resume_at = end
    return found


def _are_calm(x_NYX: NDArray[np.float32], starts: NDArray[np.int64], ends: NDArray[np.int64]) -> list[bool]:
    """Say, for each start and end, whether little happens right before and right after, as around a dissolve."""
    most = _MAX_REST * distance(x_NYX[starts], x_NYX[ends])
    inside = (starts >= 2) & (ends < len(x_NYX) - 2)  # at the ends of the film nothing is known
    before = distance(x_NYX[np.maximum(0, starts - 2)], x_NYX[starts])
    after = distance(x_NYX[ends], x_NYX[np.minimum(len(x_NYX) - 1, ends + 2)])
    return (inside & (np.maximum(before, after) < most)).tolist()


def _middle_of_dissolve(x_NYX: NDArray[np.float32], steps: Floats) -> int | None:
    """Return the position from which the end outweighs the start; None where the frames are no mixtures of both."""
    start, end = x_NYX[0], x_NYX[-1]
    apart = float(distance(start, end))
    if steps.max() > _MAX_DISSOLVE_STEP * apart or _is_moved(start[0], end[0]):
        return None
    way = (end - start).ravel()
    offsets = (x_NYX - start).reshape(len(x_NYX), -1)
    shares = offsets @ way / (way @ way)
    residuals = np.abs(offsets - shares[:, None] * way).mean(1) / np.abs(way).mean()
    if residuals.max() > _MAX_MIX_RESIDUAL or np.diff(shares).min() < -0.05:
        return None
    return int(np.argmax(shares >= 0.5))


def _is_moved(a_YX: NDArray[np.float32], b_YX: NDArray[np.float32]) -> bool:
    """Whether an image is the other one, moved by up to `_MAX_MOVE_BLOCKS`: a slow camera, whose frames lie between."""
    rows, columns = a_YX.shape
    most_y, most_x = _MAX_MOVE_BLOCKS
    for y in range(-most_y, most_y + 1):
        for x in range(-most_x, most_x + 1):
            of_a = a_YX[max(0, y) : rows + min(0, y), max(0, x) : columns + min(0, x)]
            of_b = b_YX[max(0, -y) : rows + min(0, -y), max(0, -x) : columns + min(0, -x)]
            if _likeness(of_a, of_b) > _MAX_LIKENESS:
                return True
    return False


def _likeness(a_YX: NDArray[np.float32], b_YX: NDArray[np.float32]) -> float:
    """Return the correlation of two images, -1 to 1: the same structure at another brightness has 1."""
    a, b = a_YX - a_YX.mean(), b_YX - b_YX.mean()
    scale = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / scale if scale > 0 else 1.0
