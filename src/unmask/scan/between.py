"""Search some frames of a film everywhere, and those between them where the faces must be.

A face that two frames of one shot show lies in a frame between them near where it was. There it is looked for by the
same networks on the same pixels, so that its box is the same as that of a search of the whole frame. Who comes or goes
makes the two differ: then all frames between are searched everywhere. Large faces are looked for everywhere in each
frame. What can be missed is a small face that comes and goes again between two frames that are searched everywhere,
see `unmask.types.DetectorSpec.search_seconds`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unmask.scan.crowd import Crowd, are_alike, in_small, pairs_of
from unmask.types import Face, Frame

MOST_BETWEEN, MOST_BYTES = 7, 80_000_000
"""Frames that wait for the next one that is searched everywhere, at most, and their length in memory."""
_MOST_FACES = 8
"""Of more, frames are searched everywhere: that takes hardly longer."""
_LIKE = 25.0
"""By how many of 255 levels a frame in small differs at most from one of those around it: between two shots, more."""


@dataclass(frozen=True, slots=True)
class _Searched:
    """A frame that was searched everywhere."""

    frame: Frame
    admitted: list[Face]
    """Its faces that are judged."""
    faces: Sequence[Face]
    """All its faces."""
    small: NDArray[np.float32]
    """The frame in small."""


def look_through(
    crowd: Crowd, frames: Iterable[Frame], least_side_px: Callable[[Frame], float], search_seconds: float
) -> Iterator[tuple[Frame, list[Face]]]:
    """Yield each frame with those of its faces that are judged, in order.

    Args:
        crowd: Looks for faces.
        frames: Frames of one film in order of time.
        least_side_px: Frame -> what `Crowd.look` is told; where it is above 0, only the frame itself is looked at.
        search_seconds: Longest time from one frame that is searched everywhere to the next; 0 searches each.
    """
    last: _Searched | None = None
    held: list[Frame] = []
    for frame in frames:
        if (least_px := least_side_px(frame)) > 0:
            yield from _settle(crowd, last, held)
            last, held = None, []
            yield frame, crowd.look(frame.image_HW3, least_px)
        elif last is not None and _may_wait(frame, last, held, search_seconds):
            held.append(frame)
        else:
            now = _search(crowd, frame)
            yield from _between(crowd, held, last, now)
            yield frame, now.admitted
            last, held = now, []
    yield from _settle(crowd, last, held)


def _may_wait(frame: Frame, last: _Searched, held: Sequence[Frame], search_seconds: float) -> bool:
    is_room = len(held) < MOST_BETWEEN and (len(held) + 1) * frame.image_HW3.nbytes <= MOST_BYTES
    is_soon = frame.time_seconds - last.frame.time_seconds < search_seconds
    return is_room and is_soon and len(last.faces) <= _MOST_FACES


def _settle(crowd: Crowd, last: _Searched | None, held: Sequence[Frame]) -> Iterator[tuple[Frame, list[Face]]]:
    """Yield the frames that wait when none comes any more: the last of them is searched everywhere."""
    if held:
        now = _search(crowd, held[-1])
        yield from _between(crowd, held[:-1], last, now)
        yield now.frame, now.admitted


def _search(crowd: Crowd, frame: Frame) -> _Searched:
    admitted = crowd.look(frame.image_HW3)
    return _Searched(frame, admitted, crowd.found, in_small(frame.image_HW3))


def _between(
    crowd: Crowd, held: Sequence[Frame], before: _Searched | None, after: _Searched
) -> Iterator[tuple[Frame, list[Face]]]:
    """Yield the frames between two with their faces."""
    pairs = None if before is None or crowd.left_out else pairs_of(before.faces, after.faces)
    for frame in held:
        yield frame, crowd.look(frame.image_HW3, between=pairs if _is_between(frame, before, after) else None)


def _is_between(frame: Frame, before: _Searched | None, after: _Searched) -> bool:
    """Return whether a frame is like one of those around it, as frames of one shot are."""
    small = in_small(frame.image_HW3)
    return any(are_alike(small, other.small, _LIKE) for other in (before, after) if other is not None)
