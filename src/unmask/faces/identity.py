"""Who is the same person in two shots: tracks whose faces have like embeddings are joined.

Shape letters: N faces, C length of an embedding.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unmask.errors import UsageError

EPS = 0.35
"""Cosine distance up to which two faces are alike."""
MIN_SAMPLES = 5
"""Faces, with itself, that must be like a face for it to be the core of a person."""


def join_people(people: Sequence[int], frames: Sequence[int], embeddings_NC: ArrayLike) -> list[int]:
    """Give the tracks of one person one number.

    Faces are clustered by `cluster`; a track belongs to the cluster that most of its faces are in, if any, and
    tracks of one cluster are one person, unless both are seen in the same frame. No face is lost: a track without a
    cluster stays a person of its own.

    Source: the clustering and its numbers are those of deepware/deepfake-scanner, which has no tracks and
    discards faces outside all clusters.

    Args:
        people: Number of the track of each face, N.
        frames: Index of the frame of each face, N.
        embeddings_NC: (N, C), of any length above 0.

    Returns:
        Numbers from 1, in order of first appearance in ``people``.

    Raises:
        UsageError: An embedding is zero or no number.
    """
    clusters = cluster(embeddings_NC)
    tracks: dict[int, list[int]] = {}
    for face, person in enumerate(people):
        tracks.setdefault(person, []).append(face)
    joined: list[tuple[int, set[int]]] = []  # cluster, frames
    number_of: dict[int, int] = {}
    for person, faces in tracks.items():
        mine, seen_in = _most_common(clusters[faces].tolist()), {frames[face] for face in faces}
        for number, (theirs, taken) in enumerate(joined, 1):
            if mine >= 0 and mine == theirs and not taken & seen_in:
                number_of[person] = number
                taken |= seen_in
                break
        else:
            joined.append((mine, seen_in))
            number_of[person] = len(joined)
    return [number_of[person] for person in people]


def cluster(embeddings_NC: ArrayLike, eps: float = EPS, min_samples: int = MIN_SAMPLES) -> NDArray[np.int64]:
    """Cluster embeddings by DBSCAN (Ester et al. 1996) on cosine distance: (N,) numbers from 0, -1 for noise.

    Raises:
        UsageError: An embedding is zero or no number.
    """
    x_NC = np.asarray(embeddings_NC, np.float64)
    length_N1 = np.linalg.norm(x_NC, axis=1, keepdims=True)
    if not (np.isfinite(length_N1).all() and (length_N1 > 0).all()):
        raise UsageError("an embedding is zero or no number; the embedder does not fit its card")
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
