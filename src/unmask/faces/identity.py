"""Tell which tracks are one person's: those whose faces have similar embeddings.

Shape letters: N faces, T tracks, C length of an embedding.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unmask.errors import UsageError


def merge_tracks(
    tracks: Sequence[int], frames: Sequence[int], embeddings_NC: ArrayLike, max_distance: float
) -> list[int]:
    """Give the tracks of one person the same number, see `group_vectors`; two faces in one frame are two people's.

    Args:
        tracks: Number of the track of each face, N.
        frames: Index of the frame of each face, N.
        embeddings_NC: (N, C), of any length above 0.
        max_distance: Cosine distance up to which the means of two tracks are one person's.

    Returns:
        Numbers from 1 for each face, in order of first appearance in ``tracks``.

    Raises:
        UsageError: An embedding is zero or not finite.
    """
    x_NC = unit_vectors(embeddings_NC)
    faces_of: dict[int, list[int]] = {}
    for face, track in enumerate(tracks):
        faces_of.setdefault(track, []).append(face)
    means_TC = np.stack([x_NC[faces].mean(0) for faces in faces_of.values()])
    seen_in = [{frames[face] for face in faces} for faces in faces_of.values()]
    people = dict(zip(faces_of, group_vectors(means_TC, max_distance, seen_in), strict=True))
    return [people[track] for track in tracks]


def group_vectors(vectors_TC: ArrayLike, max_distance: float, seen_in: Sequence[Collection[int]] = ()) -> list[int]:
    """Group tracks, or people of several clips, by the directions of their vectors.

    The nearest two groups are joined as long as the mean distance of their members is at most ``max_distance`` (average
    linkage), so that a chain of likenesses does not join two people. Groups that were seen in one place at the same
    time are two people's.

    Args:
        vectors_TC: (T, C), of any length above 0.
        max_distance: Cosine distance, 0 to 2.
        seen_in: For each vector the places at which it was seen, such as indices of frames; empty for none.

    Returns:
        T numbers from 1, in order of first appearance.

    Raises:
        UsageError: A vector is zero or not finite.
    """
    x_TC = unit_vectors(vectors_TC)
    places = [set(each) for each in seen_in] or [set[int]() for _ in x_TC]
    distance_TT = 1 - x_TC @ x_TC.T
    for i, mine in enumerate(places):
        if mine:
            distance_TT[i, [not mine.isdisjoint(other) for other in places]] = np.inf
    np.fill_diagonal(distance_TT, np.inf)
    members = [[track] for track in range(len(x_TC))]
    while distance_TT.size:
        kept, gone = sorted(map(int, np.unravel_index(distance_TT.argmin(), distance_TT.shape)))
        if distance_TT[kept, gone] > max_distance:
            break
        sizes = len(members[kept]), len(members[gone])
        joined_T = (sizes[0] * distance_TT[kept] + sizes[1] * distance_TT[gone]) / sum(sizes)
        joined_T[kept] = np.inf
        distance_TT[kept], distance_TT[:, kept] = joined_T, joined_T
        distance_TT = np.delete(np.delete(distance_TT, gone, 0), gone, 1)
        members[kept] += members.pop(gone)
    number_of = {track: group for group, tracks in enumerate(members) for track in tracks}
    order = dict[int, int]()
    return [order.setdefault(number_of[track], len(order) + 1) for track in range(len(x_TC))]


def unit_vectors(vectors_NC: ArrayLike) -> NDArray[np.float64]:
    """Return vectors of length one, (N, C).

    Raises:
        UsageError: One is zero or not finite.
    """
    x_NC = np.asarray(vectors_NC, np.float64)
    length_N1 = np.linalg.norm(x_NC, axis=1, keepdims=True)
    if not (np.isfinite(length_N1).all() and (length_N1 > 0).all()):
        raise UsageError("an embedding is zero or not finite; the embedder does not fit its card, import it again")
    return x_NC / length_N1
