"""From the faces of all frames to people: which faces are one person's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unmask.faces import Tracker
from unmask.faces.identity import merge_tracks
from unmask.scan.crops import SeenFrame


def number_people(frames: Sequence[SeenFrame]) -> list[list[int]]:
    """Give each face the number of its person, from 1 in order of appearance.

    Faces are linked from frame to frame. Where they have embeddings, the tracks of one person are joined across shots.

    Args:
        frames: In order of time.

    Returns:
        A number for each face of each frame.
    """
    tracker = Tracker()
    numbers = [tracker.update(seen.frame, [cut.face for cut in seen.faces]) for seen in frames]
    embedded = [
        (place, position, cut.embedding_C)
        for place, seen in enumerate(frames)
        for position, cut in enumerate(seen.faces)
        if cut.embedding_C is not None
    ]
    if embedded:
        tracks = [numbers[place][position] for place, position, _ in embedded]
        indices = [frames[place].frame.index for place, _, _ in embedded]
        people = merge_tracks(tracks, indices, np.stack([embedding_C for _, _, embedding_C in embedded]))
        for (place, position, _), person in zip(embedded, people, strict=True):
            numbers[place][position] = person
    return numbers
