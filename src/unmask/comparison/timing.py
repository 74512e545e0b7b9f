"""Find when a film shows what another does: an offset and a rate, by which small frames of both move alike.

Only what changes over time counts, so that a room that two films share does not pass for a shared moment.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.comparison.fingerprint import Fingerprint
from unmask.comparison.placement import Placement

GRID_PX = 48
"""Longer side of the frames that are compared."""
WINDOW_SECONDS = 24.0
"""Length of the piece that is looked for, at most."""
QUERY_FRAMES = 120
"""Frames of it, at most."""
COMPONENTS = 24
"""Numbers that a frame is reduced to in the search."""
MIN_OVERLAP = 0.5
"""Share of the piece that must lie within the other film."""
MIN_SAME_PICTURE = 0.6
"""Correlation of two frames, from which on they show the same ..."""
MAX_GAP_SECONDS = 1.0
"""... and length of a stretch of frames that do not, which is passed over."""
AS_GOOD = 0.005
"""Lines whose likeness differs by less lead as well: that whose speed is nearer to the original's counts."""
MIN_FRAMES = 8
"""Pairs of small frames that a likeness needs."""
RATES = tuple(
    sorted(
        {1.0, 0.5, 2 / 3, 0.75, 1.25, 4 / 3, 1.5, 2.0, 24 / 30, 30 / 24, 25 / 30, 30 / 25, 24 / 25, 25 / 24}
        | {round(1 + 0.01 * step, 2) for step in range(-10, 11)}
    )
)
"""Seconds of the original for one of the suspect that are tried."""

_OFFSETS_AT_A_TIME = 512

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class TimeLine:
    """Leads from seconds of the suspect to those of the original."""

    offset_seconds: float
    """When the original shows what the suspect begins with; below 0 where the suspect begins earlier."""
    rate: float
    """Seconds of the original for one of the suspect: above 1 where the suspect runs faster."""
    likeness: float
    """How alike both change over time, -1 to 1: 1 is the same film."""

    def applied(self, times_seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the times in the original of times in the suspect."""
        return self.offset_seconds + self.rate * times_seconds

    @property
    def inverse(self) -> TimeLine:
        """The line from the original to the suspect."""
        return TimeLine(-self.offset_seconds / self.rate, 1 / self.rate, self.likeness)


def shared_span(
    line: TimeLine,
    suspect_times: NDArray[np.float64],
    own_nD: Floats,
    original_times: NDArray[np.float64],
    other_mD: Floats,
) -> tuple[float, float, float] | None:
    """Return the longest stretch in which both films show the same, and how alike they change in it.

    Returns:
        First and last second of the suspect, and the likeness; None where there is no such stretch.
    """
    wanted = line.applied(suspect_times)
    inside = (wanted >= original_times[0] - 0.1) & (wanted <= original_times[-1] + 0.1)
    nearest = np.searchsorted(_middles(original_times), wanted)
    a = own_nD - own_nD.mean(1, keepdims=True)
    b = other_mD[nearest] - other_mD[nearest].mean(1, keepdims=True)
    scale = np.sqrt((a * a).sum(1) * (b * b).sum(1))
    alike = inside & ((a * b).sum(1) > MIN_SAME_PICTURE * scale)
    places = np.flatnonzero(alike)
    if len(places) < MIN_FRAMES:
        return None
    runs = np.split(places, np.flatnonzero(np.diff(suspect_times[places]) > MAX_GAP_SECONDS) + 1)
    run = max(runs, key=lambda each: float(suspect_times[each[-1]] - suspect_times[each[0]]))
    if len(run) < MIN_FRAMES:
        return None
    start, end = float(suspect_times[run[0]]), float(suspect_times[run[-1]])
    return start, end, likeness(own_nD[run], other_mD[nearest[run]])


def shared_views(suspect: Fingerprint, original: Fingerprint, placement: Placement) -> tuple[Floats, Floats]:
    """Return what both films show of the same part of the scene: (n, D) and (m, D), D pixels."""
    height, width = suspect.height_px, suspect.width_px
    step = max(1.0, max(height, width) / GRID_PX)
    size = max(1, round(width / step)), max(1, round(height / step))
    to_suspect = np.array([[width / size[0], 0, 0], [0, height / size[1], 0], [0, 0, 1]])
    own = _warped(suspect, to_suspect, size)
    other = _warped(original, np.vstack([placement.matrix_23, [0, 0, 1]]) @ to_suspect, size)
    inside = np.isfinite(own[0]) & np.isfinite(other[0])
    return own[:, inside], other[:, inside]


def _warped(film: Fingerprint, to_film_33: NDArray[np.float64], size: tuple[int, int]) -> Floats:
    """Return the small frames of a film on a grid, (n, pixels); NaN where the grid leaves the film."""
    _, height, width = film.small_nhw.shape
    to_small = np.diag([width / film.width_px, height / film.height_px, 1.0]) @ to_film_33
    scale = np.abs([to_small[0, 0], to_small[1, 1]])
    matrix = to_small.copy()
    matrix[:2, 2] += np.diag(to_small)[:2] * 0.5 - 0.5  # pixels are counted from their middle
    frames = []
    for image in film.small_nhw:
        smooth = cv2.GaussianBlur(image, (0, 0), *(np.maximum(0.3, 0.5 * scale)).tolist())
        frames.append(
            cv2.warpAffine(
                smooth.astype(np.float32),
                matrix[:2],
                size,
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_CONSTANT,
                borderValue=(np.nan,),
            ).ravel()
        )
    return np.stack(frames)


def find_time_line(
    suspect_times: NDArray[np.float64], own_nD: Floats, original_times: NDArray[np.float64], other_mD: Floats
) -> TimeLine | None:
    """Return the line by which both films change most alike; None where they cannot be laid on each other.

    Args:
        suspect_times: (n,) rising times of the suspect's views.
        own_nD: (n, D) its views.
        original_times: (m,) rising times of the original's views.
        other_mD: (m, D) its views.
    """
    if min(len(own_nD), len(other_mD)) < MIN_FRAMES or not own_nD.shape[1]:
        return None
    if suspect_times[-1] - suspect_times[0] > original_times[-1] - original_times[0]:
        line = _find(original_times, other_mD, suspect_times, own_nD)
        return None if line is None else line.inverse
    return _find(suspect_times, own_nD, original_times, other_mD)


def _find(
    times_n: NDArray[np.float64], views_nD: Floats, other_times_m: NDArray[np.float64], others_mD: Floats
) -> TimeLine | None:
    """Look for the shorter film, or a piece of it, in the longer one."""
    lines = []
    for piece in _pieces(times_n):
        found = _search(times_n[piece], views_nD[piece], other_times_m, others_mD)
        lines += [_improved(line, times_n[piece], times_n, views_nD, other_times_m, others_mD) for line in found]
    most = max((line.likeness for line in lines), default=0.0)
    as_good = [line for line in lines if line.likeness >= most - AS_GOOD]
    return min(as_good, key=lambda line: abs(math.log(line.rate)), default=None)


def _pieces(times_n: NDArray[np.float64]) -> list[NDArray[np.int64]]:
    """Return the indices of the pieces to look for: all of a short film, three pieces of a long one."""
    length = times_n[-1] - times_n[0]
    if length <= WINDOW_SECONDS:
        starts = [times_n[0]]
    else:
        starts = [times_n[0] + share * (length - WINDOW_SECONDS) for share in (0.5, 0.1, 0.9)]
    pieces = []
    for start in starts:
        inside = np.flatnonzero((times_n >= start) & (times_n <= start + WINDOW_SECONDS))
        count = min(len(inside), QUERY_FRAMES)
        pieces.append(inside[np.unique(np.linspace(0, len(inside) - 1, count).round().astype(int))])
    return [piece for piece in pieces if len(piece) >= MIN_FRAMES]


def _search(
    times_k: NDArray[np.float64], views_kD: Floats, other_times_m: NDArray[np.float64], others_mD: Floats
) -> list[TimeLine]:
    """Return the best line of each rate, the most alike first, a few of them."""
    mean_D = views_kD.mean(0)
    _, strength, basis = np.linalg.svd(views_kD - mean_D, full_matrices=False)
    basis = basis[:COMPONENTS][strength[:COMPONENTS] > 1e-3]
    if not len(basis):
        return []
    own_kC = ((views_kD - mean_D) @ basis.T).astype(np.float32)
    other_mC = ((others_mD - mean_D) @ basis.T).astype(np.float32)
    found = []
    for rate in RATES:
        offsets = _offsets(times_k, rate, other_times_m)
        likeness = _likeness_at_offsets(times_k, own_kC, other_times_m, other_mC, offsets, rate)
        if len(likeness):
            best = int(likeness.argmax())
            found.append(TimeLine(float(offsets[best]), rate, float(likeness[best])))
    found.sort(key=lambda line: -line.likeness)
    return found[:4]


def _offsets(times_k: NDArray[np.float64], rate: float, other_times_m: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the offsets at which enough of the piece lies within the other film, one for each of its frames."""
    first, last = rate * times_k[0], rate * times_k[-1]
    room = (1 - MIN_OVERLAP) * (last - first)
    step = max(float(np.median(np.diff(other_times_m))), 0.02)
    return np.arange(other_times_m[0] - room - first, other_times_m[-1] + room - last + step / 2, step)


def _likeness_at_offsets(
    times_k: NDArray[np.float64],
    own_kC: Floats,
    other_times_m: NDArray[np.float64],
    other_mC: Floats,
    offsets: NDArray[np.float64],
    rate: float,
) -> NDArray[np.float64]:
    """Return what `_likeness_at` gives for each offset, many at a time."""
    found, middles = [], _middles(other_times_m)
    least = max(MIN_FRAMES, MIN_OVERLAP * len(times_k))
    for start in range(0, len(offsets), _OFFSETS_AT_A_TIME):
        wanted_Ok = offsets[start : start + _OFFSETS_AT_A_TIME, None] + rate * times_k
        inside_Ok = ((wanted_Ok >= other_times_m[0] - 0.05) & (wanted_Ok <= other_times_m[-1] + 0.05)).astype(
            np.float32
        )
        counts_O = np.maximum(inside_Ok.sum(1), 1)
        b_OkC = other_mC[np.searchsorted(middles, wanted_Ok)] * inside_Ok[..., None]
        mean_a_OC, mean_b_OC = inside_Ok @ own_kC / counts_O[:, None], b_OkC.sum(1) / counts_O[:, None]
        cov_O = np.einsum("okc,kc->o", b_OkC, own_kC) - counts_O * (mean_a_OC * mean_b_OC).sum(1)
        var_a_O = inside_Ok @ (own_kC**2).sum(1) - counts_O * (mean_a_OC**2).sum(1)
        var_b_O = np.einsum("okc,okc->o", b_OkC, b_OkC) - counts_O * (mean_b_OC**2).sum(1)
        scale_O = np.sqrt(np.maximum(var_a_O, 0) * np.maximum(var_b_O, 0))
        likeness_O = np.where(scale_O > 1e-3, cov_O / np.maximum(scale_O, 1e-3), 0)
        found.append(np.where(inside_Ok.sum(1) >= least, likeness_O, -1.0))
    return np.concatenate(found) if found else np.zeros(0)


def _likeness_at(
    times_k: NDArray[np.float64],
    own_kC: Floats,
    other_times_m: NDArray[np.float64],
    other_mC: Floats,
    offset: float,
    rate: float,
) -> float:
    wanted = offset + rate * times_k
    inside = (wanted >= other_times_m[0] - 0.05) & (wanted <= other_times_m[-1] + 0.05)
    if inside.sum() < max(MIN_FRAMES, MIN_OVERLAP * len(times_k)):
        return -1.0
    nearest = np.searchsorted(_middles(other_times_m), wanted[inside])
    return likeness(own_kC[inside], other_mC[nearest])


def _middles(times: NDArray[np.float64]) -> NDArray[np.float64]:
    return (times[1:] + times[:-1]) / 2


def likeness(a_kD: Floats, b_kD: Floats) -> float:
    """Return how alike k pairs of views change over time, -1 to 1; 0 where one of them does not change."""
    a, b = a_kD - a_kD.mean(0), b_kD - b_kD.mean(0)
    scale = float(np.sqrt((a * a).sum(dtype=np.float64) * (b * b).sum(dtype=np.float64)))
    return float((a * b).sum(dtype=np.float64)) / scale if scale > 1e-6 else 0.0


def _improved(
    line: TimeLine,
    piece_times: NDArray[np.float64],
    times_n: NDArray[np.float64],
    views_nD: Floats,
    other_times_m: NDArray[np.float64],
    others_mD: Floats,
) -> TimeLine:
    """Return a line near a given one by which more and more of the films, and in the end all, change most alike."""
    middle = float(piece_times.mean())
    half = float(piece_times[-1] - piece_times[0]) / 2
    while True:
        inside = np.flatnonzero(np.abs(times_n - middle) <= half + 1e-6)
        chosen = inside[np.unique(np.linspace(0, len(inside) - 1, 2 * QUERY_FRAMES).round().astype(int))]
        line = _climbed(line, middle, times_n[chosen], views_nD[chosen], other_times_m, others_mD)
        if len(inside) == len(times_n):
            return line
        half *= 2


def _climbed(
    line: TimeLine,
    middle: float,
    times_k: NDArray[np.float64],
    views_kD: Floats,
    other_times_m: NDArray[np.float64],
    others_mD: Floats,
) -> TimeLine:
    """Return the best line near a given one, turned around the moment ``middle`` and moved."""

    def at(offset: float, rate: float) -> TimeLine:
        return TimeLine(offset, rate, _likeness_at(times_k, views_kD, other_times_m, others_mD, offset, rate))

    step_rate, step_seconds = min(0.01, 0.2 / max(float(times_k[-1] - times_k[0]), 0.1)), 0.1
    best = at(line.offset_seconds, line.rate)
    for _ in range(4):
        tried = [best]
        for rate_steps in (-1, 0, 1):
            rate = best.rate + rate_steps * step_rate
            pivot = best.offset_seconds + (best.rate - rate) * middle
            tried += [at(pivot + steps * step_seconds, rate) for steps in (-1, 0, 1)]
        best = max(tried, key=lambda each: each.likeness)
        step_rate, step_seconds = step_rate / 2, step_seconds / 2
    return best
