"""Merge the tracks of one person: tracks whose faces have similar embeddings.

Shape letters: N faces, C length of an embedding.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unmask.errors import UsageError

EPS = 0.35
"""Max cosine distance of two faces that are similar."""
MIN_SAMPLES = 5
"""Faces, itself counted, that must be similar to a face for it to be a core point of a cluster."""


def merge_tracks(tracks: Sequence[int], frames: Sequence[int], embeddings_NC: ArrayLike) -> list[int]:
    """Give the tracks of one person the same number.

    Faces are clustered by `cluster`; a track belongs to the cluster that most of its faces are in, if any, and
    tracks of one cluster are one person, unless both are seen in the same frame. No face is lost: a track without a
    cluster stays a person of its own.

    Source: the clustering and its numbers are those of deepware/deepfake-scanner, which has no tracks and
    discards faces outside all clusters.

    Args:
        tracks: Number of the track of each face, N.
        frames: Index of the frame of each face, N.
        embeddings_NC: (N, C), of any length above 0.

    Returns:
        Numbers from 1, in order of first appearance in ``tracks``.

    Raises:
        UsageError: An embedding is zero or not finite.
    """
    clusters = cluster(embeddings_NC)
    faces_of: dict[int, list[int]] = {}
    for face, track in enumerate(tracks):
        faces_of.setdefault(track, []).append(face)
    people: list[tuple[int, set[int]]] = []  # cluster, frames
    number_of: dict[int, int] = {}
    for track, faces in faces_of.items():
        mine, seen_in = _most_common(clusters[faces].tolist()), {frames[face] for face in faces}
        for number, (theirs, taken) in enumerate(people, 1):
            if mine >= 0 and mine == theirs and not taken & seen_in:
                number_of[track] = number
                taken |= seen_in
                break
        else:
            people.append((mine, seen_in))
            number_of[track] = len(people)
    return [number_of[track] for track in tracks]


def cluster(embeddings_NC: ArrayLike, eps: float = EPS, min_samples: int = MIN_SAMPLES) -> NDArray[np.int64]:
    """Cluster embeddings by DBSCAN (Ester et al. 1996) on cosine distance: (N,) numbers from 0, -1 for noise.

    Raises:
        UsageError: An embedding is zero or not finite.
    """
    x_NC = np.asarray(embeddings_NC, np.float64)
    length_N1 = np.linalg.norm(x_NC, axis=1, keepdims=True)
    if not (np.isfinite(length_N1).all() and (length_N1 > 0).all()):
        raise UsageError("an embedding is zero or not finite; the embedder does not fit its card, import it again")
    x_NC = x_NC / length_N1
    near_NN = 1 - x_NC @ x_NC.T <= eps
    np.fill_diagonal(near_NN, True)
    core_N = near_NN.sum(1) >= min_samples
    cluster_N = np.full(len(x_NC), -1, np.int64)
    count = 0
    for start in np.flatnonzero(core_N).tolist():
        if cluster_N[start] >= 0:
            continue
        waiting = [start]
        while waiting:
            face = waiting.pop()
            if cluster_N[face] < 0:
                cluster_N[face] = count
                if core_N[face]:
                    waiting += np.flatnonzero(near_NN[face] & (cluster_N < 0)).tolist()
        count += 1
    return cluster_N


def _most_common(clusters: Sequence[int]) -> int:
    """Return the cluster of most faces, the lowest of equals; -1 when all are noise."""
    counts = Counter(number for number in clusters if number >= 0)
    return min(counts, key=lambda number: (-counts[number], number), default=-1)
