"""Compare how two faces look: a rough check that a track still shows the same person.

This is no face recognition: light, background and framing count as much as the person does. So it tells when a face in
one shot is another one, and it finds a person again where the same camera shows them again, as in an interview. Tracks
of one person in different light are joined by `unmask.faces.identity`, which takes an embedder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.types import ImageHW3

SIDE_PX = 12
SAME_VIEW = 10.0
"""Largest distance of two faces in different shots that are one person's, seen by the same camera. The two halves of
most shots have such a pair; clips of different people have none, even where they were filmed in one studio."""
MIN_OVERLAP = 0.3
"""Smallest overlap (intersection over union) of their boxes."""
_MAX_COMPARED = 8

Look = NDArray[np.float32]
"""(12, 12, 3) float32: a face in Y, U and V, 0 to 255."""


def look_of(portrait_SS3: ImageHW3) -> Look:
    """Shrink the RGB crop of a face, (S, S, 3) uint8."""
    small = cv2.resize(portrait_SS3, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small, cv2.COLOR_RGB2YUV).astype(np.float32)


def look_distance(a: Look, b: Look) -> float:
    """Return how far two faces look apart, in levels of 255 summed over Y, U and V; overall brightness does not count.

    Between faces of one person in one shot it is 11 in the median and below 45 in 99 of 100 pairs; between two people
    in two clips 74 in the median and above 31 in 99 of 100.
    """
    return float(_distances(a[None], b[None])[0])


def _distances(a_P: NDArray[np.float32], b_P: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the distance of each of P pairs."""
    apart = a_P - b_P
    apart[..., 0] -= np.median(apart[..., 0], axis=(1, 2), keepdims=True)
    distances: NDArray[np.float64] = np.abs(apart).mean((1, 2), dtype=np.float64).sum(-1)
    return distances


@dataclass(frozen=True, slots=True)
class SeenTrack:
    """The faces of one track, as far as it is known how they look."""

    number: int
    """Number of the track."""
    shot: int
    """Number of the shot that it lies in."""
    boxes_N4: NDArray[np.float64]
    """(N, 4) left, top, right, bottom in pixels."""
    looks: NDArray[np.float32]
    """(N, 12, 12, 3) how each face looks."""


MAX_JOINED = 300
"""Tracks of one video that are compared with each other; a few seconds' work."""


def join_same_views(tracks: Sequence[SeenTrack]) -> dict[int, int]:
    """Join tracks of different shots in which the same camera shows the same person at the same place.

    Of more than `MAX_JOINED` tracks none are joined: it takes a comparison of each pair, and a crowd has no use of it.

    Two tracks are joined when two of their faces are at most `SAME_VIEW` apart and their boxes overlap. Tracks of one
    shot stay apart: there, a track has ended for a reason.

    Args:
        tracks: In order of appearance.

    Returns:
        Number of a track -> number of the first track of the same person.
    """
    people: list[list[SeenTrack]] = []
    first_of: dict[int, int] = {}
    if len(tracks) > MAX_JOINED:
        return {track.number: track.number for track in tracks}
    for track in tracks:
        candidates = [person for person in people if all(other.shot != track.shot for other in person)]
        distances = [min(_closest_faces(track, other) for other in person) for person in candidates]
        if distances and min(distances) <= SAME_VIEW:
            person = candidates[int(np.argmin(distances))]
        else:
            people.append(person := [])
        person.append(track)
        first_of[track.number] = person[0].number
    return first_of


def _closest_faces(a: SeenTrack, b: SeenTrack) -> float:
    """Return the smallest distance of two faces at the same place; infinite where there are none."""
    every_a, every_b = (-(-len(track.looks) // _MAX_COMPARED) for track in (a, b))
    overlaps = _overlaps(a.boxes_N4[::every_a], b.boxes_N4[::every_b])
    of_a, of_b = np.nonzero(overlaps >= MIN_OVERLAP)
    looks_a, looks_b = a.looks[::every_a][of_a], b.looks[::every_b][of_b]
    tints = np.abs((looks_a - looks_b)[..., 1:].mean((1, 2))).sum(-1)  # no distance is smaller
    near = tints <= SAME_VIEW
    return float(_distances(looks_a[near], looks_b[near]).min()) if near.any() else np.inf


def _overlaps(a_N4: NDArray[np.float64], b_M4: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the (N, M) intersections over unions of boxes."""
    sides = np.minimum(a_N4[:, None, 2:], b_M4[:, 2:]) - np.maximum(a_N4[:, None, :2], b_M4[:, :2])
    inside: NDArray[np.float64] = sides.clip(min=0).prod(axis=2)
    areas_a, areas_b = ((boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (a_N4, b_M4))
    return inside / (areas_a[:, None] + areas_b - inside)
