"""From the faces of all frames to people: which faces are one person's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unmask.faces import Tracker
from unmask.faces.identity import merge_tracks
from unmask.faces.likeness import look_of
from unmask.media import Shots
from unmask.scan.crops import SeenFrame


def number_people(frames: Sequence[SeenFrame], shots: Shots) -> list[list[int]]:
    """Give each face the number of its person, from 1 in order of appearance.

    Faces are linked from frame to frame. Where they have embeddings, the tracks of one person are joined across shots.

    Args:
        frames: In order of time.
        shots: The shots of the video; tracks end where one does.

    Returns:
        A number for each face of each frame.
    """
    tracker = Tracker()
    numbers = []
    for seen, shot in zip(frames, shots.number_of(np.array([seen.index for seen in frames], np.int64)), strict=True):
        looks = [None if cut.portrait_SS3 is None else look_of(cut.portrait_SS3) for cut in seen.faces]
        numbers.append(tracker.update(seen.time_seconds, [cut.face for cut in seen.faces], looks, int(shot)))
    embedded = [
        (place, position, cut.embedding_C)
        for place, seen in enumerate(frames)
        for position, cut in enumerate(seen.faces)
        if cut.embedding_C is not None
    ]
    if embedded:
        tracks = [numbers[place][position] for place, position, _ in embedded]
        indices = [frames[place].index for place, _, _ in embedded]
        people = merge_tracks(tracks, indices, np.stack([embedding_C for _, _, embedding_C in embedded]))
        for (place, position, _), person in zip(embedded, people, strict=True):
            numbers[place][position] = person
    return numbers
