"""Find out in which order packets are shown and when, whatever their time stamps are worth.

Time stamps start anew where recordings were joined, wrap around, jump, repeat, run backwards, or are missing. Each
packet that is shown gets a rank, its position in the order of display, and each rank a time that is later than the one
before.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unmask.errors import UnreadableError
from unmask.media.pictures import Picture

LONGEST_STILL_SECONDS = 3600.0
"""A frame that would be shown for longer is followed by a jump of the clock."""
LONGEST_PAUSE_SECONDS = 10.0
"""The same where clocks may jump: in transport and program streams. FFmpeg's own players use this limit."""
_REORDERED = 16
"""Frames by which one may be shown later than its place among the packets says: the most that H.264 and HEVC allow."""
_MAX_TICKS = 1 << 61
"""Time stamps beyond this are noise, and their differences no 64-bit numbers."""


@dataclass(frozen=True, slots=True)
class Shown:
    """The frames of a track in order of display."""

    ranks: NDArray[np.int64]
    """(P,) rank of each packet, in decoding order; -1 for what is not shown."""
    ticks: NDArray[np.float64]
    """(N,) time of each rank in ticks, strictly rising from 0."""
    length_ticks: float
    """Time from the first frame to the end of the last."""
    stamped: bool
    """False where ranks are only positions in decoding order, so that frames have to be counted as they come out."""


def display_order(
    pictures: Sequence[Picture], gap_ticks: float, longest_ticks: float, *, may_reorder: bool = True
) -> Shown:
    """Return when each picture of a track is shown.

    Args:
        pictures: All packets, in decoding order.
        gap_ticks: Time between two frames where the time stamps do not say.
        longest_ticks: Longest time between two frames that are not to be taken for a jump of the clock.
        may_reorder: Whether pictures may be shown in another order than they are decoded in.

    Raises:
        UnreadableError: None is shown.
    """
    ranks = np.full(len(pictures), -1, np.int64)
    shown = _existing(pictures) if pictures else []
    if not shown:
        raise UnreadableError("the file names a video track but holds no frame of it")
    stamps = [pictures[at].pts for at in shown]
    order = _order_by_type([pictures[at] for at in shown])
    if order is None:
        stamps = _filled([pictures[at] for at in shown], may_reorder)
        order = _order_by_stamp([pictures[at] for at in shown], stamps)
    stamped = order is not None or not may_reorder
    order = np.arange(len(shown)) if order is None else order
    ranks[np.asarray(shown, np.int64)[order]] = np.arange(len(shown))
    _join_fields(pictures, ranks)
    known = _by_rank(stamps, [pictures[at].dts for at in shown], order) if stamped else [None] * len(shown)
    ticks, gap = _times(known, gap_ticks, longest_ticks)
    last = pictures[shown[int(order[-1])]].duration
    length = ticks[-1] + (
        last if stamped and 0 < last <= longest_ticks else gap if len(ticks) > 1 or not stamped else 0
    )
    return Shown(ranks, ticks, float(length), stamped)


def _existing(pictures: Sequence[Picture]) -> list[int]:
    """Return the positions of what is shown: neither before the first key frame nor cut away by an edit list."""
    first = next((at for at, picture in enumerate(pictures) if picture.is_key), 0)
    second = next((at for at in range(first + 1, len(pictures)) if pictures[at].is_key), len(pictures))
    start = pictures[first].pts
    found = []
    for at in range(first, len(pictures)):
        picture = pictures[at]
        # Later than the second key frame, an earlier stamp is a clock that starts anew.
        is_led = at < second and start is not None and picture.pts is not None and picture.pts < start
        if not (picture.is_hidden or picture.is_second_field or is_led):
            found.append(at)
    return found


def _order_by_type(pictures: Sequence[Picture]) -> NDArray[np.int64] | None:
    """Return positions in order of display where pictures tell their type: a B is shown before what precedes it."""
    if not pictures or any(picture.kind is None for picture in pictures):
        return None
    order: list[int] = []
    waiting: int | None = None
    for at, picture in enumerate(pictures):
        if picture.kind == "B":
            order.append(at)
            continue
        order += [] if waiting is None else [waiting]
        waiting = at
    return np.array(order + ([] if waiting is None else [waiting]), np.int64)


def _by_rank(
    stamps: Sequence[int | None], decoding: Sequence[int | None], order: NDArray[np.int64]
) -> list[int | None]:
    """Return the time stamps in order of display; those of decoding where fewer of these go back, as in AVI.

    AVI says only when frames are decoded, and FFmpeg guesses the rest.
    """
    shown = [stamps[at] for at in order.tolist()]

    def back(values: Sequence[int | None]) -> int:
        return sum(a is None or b is None or b < a for a, b in itertools.pairwise(values))

    return list(decoding) if back(decoding) < back(shown) else shown


def _filled(pictures: Sequence[Picture], may_reorder: bool) -> list[int | None]:
    """Return time stamps; where nothing is reordered, those of decoding stand in for missing ones."""
    told = [picture.pts for picture in pictures]
    is_reordered = any(picture.dts is not None and picture.pts not in (None, picture.dts) for picture in pictures)
    if is_reordered or (may_reorder and not any(pts is not None for pts in told)):
        return told
    return [picture.pts if picture.pts is not None else picture.dts for picture in pictures]


def _order_by_stamp(pictures: Sequence[Picture], stamps: Sequence[int | None]) -> NDArray[np.int64] | None:
    """Return positions in order of display by time stamps, run by run of the clock; None where they do not tell."""
    known = [stamp for stamp in stamps if stamp is not None and abs(stamp) < _MAX_TICKS]
    if not known or len(known) < len(stamps):
        return None
    if len(set(known)) == 1 < len(known):
        return None
    order, start = list[int](), 0
    for end in [*_restarts(pictures, known), len(known)]:
        order += sorted(range(start, end), key=lambda at: (known[at], at))
        start = end
    return np.array(order, np.int64)


def _restarts(pictures: Sequence[Picture], stamps: Sequence[int]) -> list[int]:
    """Return where the clock starts anew: at packets whose stamp lies before what was shown already.

    A key frame is shown after all that precedes it. Other frames may be shown earlier, but not by more frames than
    codecs can reorder, and not where the stamps of decoding go on.
    """
    steps = np.abs(np.diff(np.asarray(stamps, np.int64)))
    window = _REORDERED * float(np.median(steps[steps > 0])) if steps.any() else 0.0
    found, latest, last_dts = list[int](), stamps[0], pictures[0].dts
    for at in range(1, len(stamps)):
        picture, stamp = pictures[at], stamps[at]
        goes_back = picture.dts is None or last_dts is None or picture.dts < last_dts
        if (picture.is_key and stamp < latest) or (goes_back and stamp < latest - window):
            found.append(at)
            latest = stamp
        latest, last_dts = max(latest, stamp), picture.dts
    return found


def _join_fields(pictures: Sequence[Picture], ranks: NDArray[np.int64]) -> None:
    """Give the second field of each frame the rank of the first."""
    for at in range(1, len(pictures)):
        if pictures[at].is_second_field:
            ranks[at] = ranks[at - 1]


def _times(stamps: Sequence[int | None], gap: float, longest: float) -> tuple[NDArray[np.float64], float]:
    """Return strictly rising times from 0 on for frames in order of display, and the usual time between two."""
    count = len(stamps)
    places = np.array([i for i, stamp in enumerate(stamps) if stamp is not None and abs(stamp) < _MAX_TICKS], np.int64)
    if len({stamps[place] for place in places.tolist()}) < 2:
        return (gap * np.arange(count)).astype(np.float64), gap
    values = np.array([stamps[place] for place in places.tolist()], np.int64)
    steps, frames = np.diff(values).astype(np.float64), np.diff(places)
    usual = steps[(steps > 0) & (steps <= longest)] / frames[(steps > 0) & (steps <= longest)]
    gap = float(np.median(usual)) if len(usual) else gap
    steps = np.where((steps < 0) | (steps > longest), gap * frames, steps)
    at_places = np.concatenate([[0.0], np.cumsum(steps)])
    after = at_places[-1] + gap * np.arange(1, count - places[-1])
    before = -gap * np.arange(places[0], 0, -1)
    inner = np.interp(np.arange(places[0], places[-1] + 1), places, at_places)
    times: NDArray[np.float64] = np.concatenate([before, inner, after])
    return _apart((times - times[0]).astype(np.float64), gap), gap


def _apart(times: NDArray[np.float64], gap: float) -> NDArray[np.float64]:
    """Spread frames that share a time over what is left until the next one."""
    starts = np.concatenate([[0], np.nonzero(np.diff(times) > 0)[0] + 1])
    if len(starts) == len(times):
        return times
    lengths = np.diff(np.append(starts, len(times)))
    until = np.append(np.diff(times[starts]), gap)
    share = np.arange(len(times)) - np.repeat(starts, lengths)
    return times + share * np.repeat(until / lengths, lengths)
