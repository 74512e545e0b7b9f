"""From when to when each person is seen: one person in several shots is one row with several spans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from unmask.media import Shots
from unmask.types import Span, Verdict

MAX_MISSED = 1
"""Sampled frames in succession in which a detector may miss a face that is there."""


def with_spans(verdict: Verdict, looked: NDArray[np.int64], shots: Shots) -> Verdict:
    """Return a verdict whose people have the spans in which they were judged.

    Args:
        verdict: Of the whole video.
        looked: (n,) rising indices of the frames that were looked at.
        shots: The shots of the video; a span ends where one does.
    """
    indices: dict[int, list[int]] = {}
    times: dict[int, list[float]] = {}
    for frame in verdict.frames:
        indices.setdefault(frame.person, []).append(frame.index)
        times.setdefault(frame.person, []).append(frame.time_seconds)
    return replace(
        verdict,
        faces=tuple(
            replace(face, spans=spans_of(indices[face.person], times[face.person], looked, shots))
            for face in verdict.faces
        ),
    )


def spans_of(
    indices: Sequence[int], times_seconds: Sequence[float], looked: NDArray[np.int64], shots: Shots
) -> tuple[Span, ...]:
    """Return the spans of one person.

    A span ends with its shot, and where the person is missing in more than `MAX_MISSED` of the frames that were looked
    at in succession.

    Args:
        indices: Rising indices of the frames that show the person, at least one.
        times_seconds: Their times.
        looked: See `with_spans`.
        shots: See `with_spans`.
    """
    shot, place = shots.number_of(np.array(indices, np.int64)), np.searchsorted(looked, indices)
    ends = np.flatnonzero((np.diff(shot) != 0) | (np.diff(place) > MAX_MISSED + 1)) + 1
    return tuple(
        Span(times_seconds[part[0]], times_seconds[part[-1]], len(part))
        for part in np.split(np.arange(len(indices)), ends)
    )
