"""Find where the frames of one film lie in those of another: cut, scaled, stretched or mirrored.

Points of both are matched, frame by frame, and the placement that most matches agree with counts. One placement holds
for the whole film.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unmask.comparison.fingerprint import Fingerprint, Points

QUERY_FRAMES = 6
"""Frames of the suspect whose points are looked for, at most."""
BEST_PAIRS = 16
"""Pairs of frames that are looked at closely: those with most matches."""
MAX_PLACEMENTS = 6
"""Placements that are tried."""
MIN_INLIERS = 12
"""Points that must agree with a placement."""
MIN_SPREAD = 0.04
"""Share of the smaller picture that they must span: a logo in both films places nothing."""
MAX_SCALE, MAX_STRETCH = 8.0, 1.6
_RATIO = 0.82
_TOLERANCE = 0.006
_DRAWS = 400

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Placement:
    """Leads from pixels of the suspect's upright frames to those of the original's: x' = scale_x * x + shift_x_px."""

    scale_x: float
    """Pixels of the original for one of the suspect, across; below 0 where one of them is mirrored."""
    scale_y: float
    """The same, down; above 0."""
    shift_x_px: float
    """Where the suspect's left edge lies in the original."""
    shift_y_px: float
    """Where its upper edge lies."""

    @property
    def mirrored(self) -> bool:
        """Whether one film shows the other mirrored."""
        return self.scale_x < 0

    @property
    def matrix_23(self) -> Floats:
        """(2, 3) as OpenCV takes it."""
        return np.array([[self.scale_x, 0, self.shift_x_px], [0, self.scale_y, self.shift_y_px]])

    def unmirrored(self, width_px: int) -> Placement:
        """Return the placement in the mirrored original, whose width is ``width_px``."""
        return Placement(-self.scale_x, self.scale_y, width_px - 1 - self.shift_x_px, self.shift_y_px)

    def applied(self, xy_N2: Floats) -> Floats:
        """Return the places (N, 2) in the original of places in the suspect."""
        return xy_N2 * [self.scale_x, self.scale_y] + [self.shift_x_px, self.shift_y_px]


@dataclass(frozen=True, slots=True)
class Fit:
    """A placement, and what speaks for it."""

    placement: Placement
    """The placement."""
    inliers: int
    """Matches that agree with it, in the pair of frames that shows most of them."""


def match_points(one: Points, other: Points) -> NDArray[np.int64]:
    """Return (M, 2) indices of points that look alike: the nearest of the other frame, where no second is as near."""
    if not len(one.xy_N2) or len(other.xy_N2) < 2:
        return np.zeros((0, 2), np.int64)
    likeness_NM = one.descriptors_ND @ other.descriptors_ND.T
    nearest = likeness_NM.argmax(1)
    rows = np.arange(len(nearest))
    best = likeness_NM[rows, nearest]
    likeness_NM[rows, nearest] = -1
    clear = 2 - 2 * best < _RATIO**2 * (2 - 2 * likeness_NM.max(1))
    return np.stack([rows[clear], nearest[clear]], 1)


def find_placements(suspect: Fingerprint, original: Fingerprint) -> list[Fit]:
    """Return how the suspect's frames may lie in the original's, the likeliest first; none where they share too little.

    Where the camera moves, each pair of frames has a placement of its own: that of the same moment is among them.
    """
    fits = [*_fits(suspect, original, is_mirrored=False), *_fits(suspect, original, is_mirrored=True)]
    found: list[Fit] = []
    for fit in sorted(fits, key=lambda fit: -fit.inliers):
        if all(_are_apart(fit.placement, other.placement, suspect, original) for other in found):
            found.append(fit)
    return found[:MAX_PLACEMENTS]


def _fits(suspect: Fingerprint, original: Fingerprint, *, is_mirrored: bool) -> list[Fit]:
    query = _spread(suspect.points, QUERY_FRAMES)
    if is_mirrored:
        query = [points.mirrored(suspect.width_px) for points in query]
    matches = [(one, other, match_points(one, other)) for one in query for other in original.points]
    matches.sort(key=lambda each: -len(each[2]))
    tolerance = max(1.5, _TOLERANCE * max(original.width_px, original.height_px))
    fits = []
    for one, other, pairs in matches[:BEST_PAIRS]:
        a, b = one.xy_N2[pairs[:, 0]].astype(np.float64), other.xy_N2[pairs[:, 1]].astype(np.float64)
        if is_mirrored:
            a[:, 0] = suspect.width_px - 1 - a[:, 0]
        fit = fit_placement(a, b, tolerance, is_mirrored)
        if fit is not None and _spans_enough(fit.placement, a, b, tolerance, suspect, original):
            fits.append(fit)
    return fits


def _are_apart(one: Placement, other: Placement, suspect: Fingerprint, original: Fingerprint) -> bool:
    """Tell whether two placements differ by more than points can be off."""
    corners = np.array([[0, 0], [suspect.width_px, suspect.height_px]], np.float64)
    off = np.abs(one.applied(corners) - other.applied(corners)).max()
    return bool(off > 2 * _TOLERANCE * max(original.width_px, original.height_px))


def fit_placement(a_N2: Floats, b_N2: Floats, tolerance_px: float, is_mirrored: bool) -> Fit | None:
    """Return the placement that most of N matches agree with; None with fewer than `MIN_INLIERS`."""
    if len(a_N2) < MIN_INLIERS:
        return None
    draws = np.random.default_rng(0).integers(0, len(a_N2), (_DRAWS, 2))
    apart_a, apart_b = a_N2[draws[:, 0]] - a_N2[draws[:, 1]], b_N2[draws[:, 0]] - b_N2[draws[:, 1]]
    with np.errstate(all="ignore"):
        scales = apart_b / apart_a
        shifts = b_N2[draws[:, 0]] - scales * a_N2[draws[:, 0]]
        usable = _are_plausible(scales, is_mirrored) & (np.abs(apart_b).min(1) > 4 * tolerance_px)
    if not usable.any():
        return None
    scales, shifts = scales[usable], shifts[usable]
    off = np.abs(a_N2[None] * scales[:, None] + shifts[:, None] - b_N2[None]).max(-1)
    counts = (off < tolerance_px).sum(1)
    best = int(counts.argmax())
    placement = Placement(*scales[best].tolist(), *shifts[best].tolist())
    placement = refined(placement, a_N2, b_N2, tolerance_px) or placement
    inliers = _inliers(placement, a_N2, b_N2, tolerance_px)
    distinct = len(np.unique(np.round(b_N2[inliers] / tolerance_px), axis=0))
    return Fit(placement, distinct) if distinct >= MIN_INLIERS else None


def refined(placement: Placement, a_N2: Floats, b_N2: Floats, tolerance_px: float) -> Placement | None:
    """Return the placement that fits those matches best that agree with a given one; None where it would be odd."""
    for _ in range(3):
        chosen = _inliers(placement, a_N2, b_N2, tolerance_px)
        if chosen.sum() < 4 or (np.ptp(a_N2[chosen], axis=0) < 1).any():
            return None
        lines = [np.polyfit(a_N2[chosen, axis], b_N2[chosen, axis], 1) for axis in (0, 1)]
        scales = np.array([[line[0] for line in lines]])
        if not _are_plausible(scales, placement.mirrored)[0]:
            return None
        scale_x, shift_x, scale_y, shift_y = (float(value) for line in lines for value in line)
        placement = Placement(scale_x, scale_y, shift_x, shift_y)
    return placement


def _inliers(placement: Placement, a_N2: Floats, b_N2: Floats, tolerance_px: float) -> NDArray[np.bool_]:
    return np.abs(placement.applied(a_N2) - b_N2).max(1) < tolerance_px


def _are_plausible(scales_N2: Floats, is_mirrored: bool) -> NDArray[np.bool_]:
    x = -scales_N2[:, 0] if is_mirrored else scales_N2[:, 0]
    y = scales_N2[:, 1]
    lowest, highest = 1 / MAX_SCALE, MAX_SCALE
    inside = (x > lowest) & (x < highest) & (y > lowest) & (y < highest)
    return inside & (x < MAX_STRETCH * y) & (y < MAX_STRETCH * x)


def _spans_enough(
    placement: Placement, a_N2: Floats, b_N2: Floats, tolerance_px: float, suspect: Fingerprint, original: Fingerprint
) -> bool:
    """Tell whether the matches that agree span more than a logo does of what both frames show."""
    chosen = b_N2[_inliers(placement, a_N2, b_N2, tolerance_px)]
    low, high = np.percentile(chosen, [10, 90], axis=0)
    corners = placement.applied(np.array([[0, 0], [suspect.width_px, suspect.height_px]], np.float64))
    left, right = np.sort(corners, axis=0).clip(0, [original.width_px, original.height_px])
    shared = float(np.prod(right - left))
    return shared > 0 and float(np.prod(high - low)) > MIN_SPREAD * shared


def _spread(points: Sequence[Points], count: int) -> list[Points]:
    if len(points) <= count:
        return list(points)
    return [points[i] for i in np.unique(np.linspace(0, len(points) - 1, count).round().astype(int))]
