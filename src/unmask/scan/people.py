"""From the faces of all frames to people: which faces are one person's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import count
from types import MappingProxyType

import numpy as np

from unmask.faces import Tracker
from unmask.faces.identity import merge_tracks
from unmask.faces.likeness import MAX_JOINED, Look, SeenTrack, join_same_views, look_of
from unmask.media import Shots
from unmask.scan.crops import SeenFrame

Numbers = Mapping[int, Sequence[int]]
"""Index of a frame -> the numbers of the people in it, one for each of its faces."""


def number_people(
    frames: Sequence[SeenFrame],
    shots: Shots,
    max_distance: float | None = None,
    known: Numbers = MappingProxyType({}),
) -> list[list[int]]:
    """Give each face the number of its person, from 1 in order of appearance; who has a number keeps it.

    Faces are linked from frame to frame within a shot. Across shots, the tracks of one person are joined by embeddings
    where the faces have some; else only where the same camera shows the same person again.

    Args:
        frames: In order of time.
        shots: The shots of the video; tracks end where one does.
        max_distance: Cosine distance of embeddings up to which two tracks are one person's; None where faces have none.
        known: The numbers that faces were given when fewer frames had been looked at. Whose faces had several numbers
            keeps that of most; who is new gets the next one.

    Returns:
        A number for each face of each frame.
    """
    return _kept(frames, _numbered(frames, shots, max_distance), known)


def _kept(frames: Sequence[SeenFrame], found: Sequence[Sequence[int]], known: Numbers) -> list[list[int]]:
    """Replace new numbers by known ones where they stand for the same faces."""
    shared = Counter(
        pair
        for seen, row in zip(frames, found, strict=True)
        for pair in zip(row, known.get(seen.index, ()), strict=False)
    )
    number_of: dict[int, int] = {}
    for (new, old), _ in sorted(shared.items(), key=lambda item: (-item[1], item[0])):
        if new not in number_of and old not in number_of.values():
            number_of[new] = old
    unused = count(max((number for row in known.values() for number in row), default=0) + 1)
    return [
        [number_of[new] if new in number_of else number_of.setdefault(new, next(unused)) for new in row]
        for row in found
    ]


def _numbered(frames: Sequence[SeenFrame], shots: Shots, max_distance: float | None) -> list[list[int]]:
    tracker, shot_numbers = Tracker(), shots.number_of(np.array([seen.index for seen in frames], np.int64)).tolist()
    looks = [[None if cut.portrait_SS3 is None else look_of(cut.portrait_SS3) for cut in seen.faces] for seen in frames]
    tracks = [
        tracker.update(seen.time_seconds, [cut.face for cut in seen.faces], seen_looks, shot)
        for seen, seen_looks, shot in zip(frames, looks, shot_numbers, strict=True)
    ]
    if max_distance is not None:
        return _renumbered(tracks, _join_by_embeddings(frames, tracks, max_distance))
    return _renumbered(tracks, join_same_views(_seen_tracks(frames, tracks, looks, shot_numbers)))


def _join_by_embeddings(
    frames: Sequence[SeenFrame], tracks: Sequence[Sequence[int]], max_distance: float
) -> dict[int, int]:
    """Return number of a track -> number of the first track of the same person."""
    embedded = [
        (number, seen.index, cut.embedding_C)
        for seen, numbers in zip(frames, tracks, strict=True)
        for cut, number in zip(seen.faces, numbers, strict=True)
        if cut.embedding_C is not None
    ]
    if not embedded or len({number for number, *_ in embedded}) > MAX_JOINED:
        return {}
    numbers, indices, vectors = zip(*embedded, strict=True)
    people, first_of = merge_tracks(numbers, indices, np.stack(vectors), max_distance), dict[int, int]()
    return {number: first_of.setdefault(person, number) for number, person in zip(numbers, people, strict=True)}


def _seen_tracks(
    frames: Sequence[SeenFrame],
    tracks: Sequence[Sequence[int]],
    looks: Sequence[Sequence[Look | None]],
    shots: Sequence[int],
) -> list[SeenTrack]:
    """Collect, track by track, the faces whose looks are known."""
    faces: dict[int, list[tuple[int, tuple[float, ...], Look]]] = {}
    for seen, numbers, known, shot in zip(frames, tracks, looks, shots, strict=True):
        for cut, number, look in zip(seen.faces, numbers, known, strict=True):
            if look is not None:
                faces.setdefault(number, []).append((shot, cut.face.xyxy_px, look))
    return [
        SeenTrack(
            number=number,
            shot=rows[0][0],
            boxes_N4=np.array([box for _, box, _ in rows], np.float64),
            looks=np.stack([look for _, _, look in rows]),
        )
        for number, rows in sorted(faces.items())
    ]


def _renumbered(tracks: Sequence[Sequence[int]], first_of: Mapping[int, int]) -> list[list[int]]:
    """Replace each track's number by that of its person; people are numbered in order of appearance."""
    people: dict[int, int] = {}
    return [[people.setdefault(first_of.get(number, number), len(people) + 1) for number in row] for row in tracks]
