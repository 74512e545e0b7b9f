"""Find when and where one film shows what another does: roughly by fingerprints, then by pairs of frames."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.comparison.fingerprint import Fingerprint, points_of
from unmask.comparison.pairs import Moment, When, cut_view, read_moments
from unmask.comparison.placement import Fit, Placement, find_placements, fit_placement, match_points
from unmask.comparison.timing import RATES, TimeLine, find_time_line, shared_span, shared_views
from unmask.media import Video

MIN_LIKENESS = 0.75
"""Films are the same footage where they change over time at least as alike, see `unmask.comparison.timing.likeness`."""
CLEAR_LIKENESS = 0.95
"""Films that are as alike are not laid on each other in other ways."""
MIN_SHARED_SECONDS, MIN_SHARED_SHARE = 4.0, 0.4
"""Length of the stretch in which they do: as many seconds, or this share of the shorter film."""
MIN_CLEAR = 0.1
"""How much more alike than the mean of those around it the best frame must be, for moments to refine a line: where
little moves, or after coarse encodings, the best one is chance."""
REFINING_MOMENTS = 8
"""Pairs of frames by which an alignment is refined."""
_VIEW_PX = 160
_NEAR_SECONDS, _MAX_NEAR = 0.2, 13
_EXACT_SECONDS = 0.012

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Alignment:
    """When and where the suspect's frames lie in the original."""

    placement: Placement
    """Where; never mirrored."""
    mirrored: bool
    """Whether the suspect shows the original mirrored: the placement is that in the mirrored original."""
    line: TimeLine
    """When."""
    inliers: int
    """Points that agree with the placement, in the pair of frames that shows most of them."""
    span_seconds: tuple[float, float]
    """First and last second of the suspect in which both films show the same."""


def align(suspect: Fingerprint, original: Fingerprint) -> Alignment | None:
    """Return roughly how a film lies in another; None where they are not the same footage."""
    best: Alignment | None = None
    for fit in find_placements(suspect, original):
        found = _align_in_time(suspect, original, fit)
        if found is not None and (best is None or found.line.likeness > best.line.likeness):
            best = found
        if best is not None and best.line.likeness > CLEAR_LIKENESS:
            break
    return best


def _align_in_time(suspect: Fingerprint, original: Fingerprint, fit: Fit) -> Alignment | None:
    """Return when a film shows what another does, given how their frames lie on each other; None where it does not."""
    own_nD, other_mD = shared_views(suspect, original, fit.placement)
    line = find_time_line(suspect.times_seconds, own_nD, original.times_seconds, other_mD)
    if line is None:
        return None
    span = shared_span(line, suspect.times_seconds, own_nD, original.times_seconds, other_mD)
    if span is None:
        return None
    start, end, alike = span
    shorter = min(_length(suspect.times_seconds), _length(original.times_seconds) / line.rate)
    if alike < MIN_LIKENESS or end - start < min(MIN_SHARED_SECONDS, MIN_SHARED_SHARE * shorter):
        return None
    placement, mirrored = fit.placement, fit.placement.mirrored
    if mirrored:
        placement = placement.unmirrored(original.width_px)
    return Alignment(placement, mirrored, replace(line, likeness=alike), fit.inliers, (start, end))


def _length(times_seconds: Floats) -> float:
    return float(times_seconds[-1] - times_seconds[0])


def refine(suspect: Video, original: Video, alignment: Alignment) -> Alignment:
    """Return an alignment that is exact to a frame and a pixel or so.

    Raises:
        InputError: As `unmask.media.read_frames`.
    """
    sift = cv2.SIFT_create(600)  # type: ignore[attr-defined]  # cv2 makes it when it is loaded
    places, moments = [], []
    when = When(alignment.line, alignment.span_seconds, alignment.mirrored, _NEAR_SECONDS, _MAX_NEAR)
    for moment in read_moments(suspect, original, when, REFINING_MOMENTS):
        differences = _apart(moment, alignment.placement)
        best = int(np.argmin(differences))
        clear = 1 - differences[best] / max(float(np.mean(differences)), 1e-6)
        moments.append((moment.suspect.time_seconds, moment.originals[best].time_seconds, clear))
        places.append(_matches(sift, moment, best))
    if not moments:
        return alignment
    tolerance = max(1.5, 0.004 * max(original.facts.width, original.facts.height))
    own, other = (np.concatenate([pair[side] for pair in places]) for side in (0, 1))
    fit = fit_placement(own, other, tolerance, is_mirrored=False)
    placement = fit.placement if fit is not None else alignment.placement
    exact = max(_EXACT_SECONDS, 0.5 * float(np.median(np.diff(original.index.times_seconds))))
    return replace(alignment, placement=placement, line=_refined_line(alignment.line, np.array(moments), exact))


def _apart(moment: Moment, placement: Placement) -> list[float]:
    """Return how far each frame of the original looks from the suspect's, in levels."""
    height, width = moment.suspect.image_HW3.shape[:2]
    scale = _VIEW_PX / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    region = (0.0, 0.0, float(width), float(height))
    own = cut_view(moment.suspect.image_HW3, region, size).astype(np.float32)
    others = (cut_view(frame.image_HW3, region, size, placement) for frame in moment.originals)
    return [float(np.abs(own - other).mean()) for other in others]


def _matches(sift: cv2.SIFT, moment: Moment, number: int) -> tuple[Floats, Floats]:
    """Return places (N, 2) that look alike in both frames of a moment."""
    own = points_of(sift, cv2.cvtColor(moment.suspect.image_HW3, cv2.COLOR_RGB2GRAY), 0.0)
    other = points_of(sift, cv2.cvtColor(moment.originals[number].image_HW3, cv2.COLOR_RGB2GRAY), 0.0)
    pairs = match_points(own, other)
    return own.xy_N2[pairs[:, 0]].astype(np.float64), other.xy_N2[pairs[:, 1]].astype(np.float64)


def _refined_line(line: TimeLine, moments_N3: Floats, exact_seconds: float) -> TimeLine:
    """Return the line through pairs of times; a known rate is taken where it fits about as well.

    Args:
        line: The line so far.
        moments_N3: Time in the suspect, in the original, and how clear the latter is, from 0.
        exact_seconds: Difference of times that says nothing: half of what frames lie apart.
    """
    if np.median(moments_N3[:, 2]) < MIN_CLEAR:
        return line
    moments_N3 = moments_N3[moments_N3[:, 2] >= 0.5 * np.median(moments_N3[:, 2])]
    own, other = moments_N3[:, 0], moments_N3[:, 1]
    known = sorted((rate for rate in RATES if abs(rate / line.rate - 1) < 0.04), key=lambda rate: abs(rate - line.rate))
    fits = []
    for rate in (1.0, *known, line.rate, *_slope(own, other)):
        offset = float(np.median(other - rate * own))
        fits.append((float(np.median(np.abs(other - rate * own - offset))), offset, rate))
    best = min(off for off, _, _ in fits)
    _, offset, rate = next(fit for fit in fits if fit[0] <= best + exact_seconds)
    return replace(line, offset_seconds=offset, rate=rate)


def _slope(own_n: Floats, other_n: Floats) -> list[float]:
    """Return the median slope between the points of a line (Theil 1950, Sen 1968); none of a single one."""
    first, second = np.triu_indices(len(own_n), 1)
    apart = own_n[second] - own_n[first]
    slopes = (other_n[second] - other_n[first])[apart > 0] / apart[apart > 0]
    return [float(np.median(slopes))] if len(slopes) else []
