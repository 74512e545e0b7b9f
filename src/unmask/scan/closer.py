"""Closer looks: frames beyond those of a full scan, where those show too little.

Evenly spread frames miss what is short: a shot between two of them, a person who was seen in a few, a passage within a
shot. Which frames are missing follows from what was seen; `CloserLooks` asks for them until nothing is missing or its
budget is spent.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from unmask.scan.stop import Progress, Step, StopRule
from unmask.scan.timeline import Timeline
from unmask.types import FrameScore

CLOSE_SECONDS = 1.0
"""Frames at most this far apart are close enough: a manipulation of as long is seen."""
MOST_TIMES = 3
"""Times as many more frames as a full scan has, at most, are given to bring frames within `CLOSE_SECONDS`."""
LEAST_TIMES = 1.75
"""Times as many more frames as a full scan has, at most, are given in a video of any length."""
BESIDE_SECONDS = 0.2
"""Frames so far before and after a burst show what was there before it and what came."""
FINEST_SECONDS = 0.1
"""Where frames lie this close, closer ones would show the same."""
REACH_SECONDS = 0.7
"""How far from frames that score high it is looked for more of them."""
SPARE_FRAMES = 2
"""Frames beyond the least number: a face is not found in each."""

ROUNDING_SECONDS = 1e-6
"""By which time stamps are rounded."""

Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Suspect:
    """Something that was seen in too few frames."""

    fake_probability: float
    """How suspicious it is, 0 to 1."""
    first: int
    """Index of the first frame that may show it."""
    last: int
    """Index of the last one."""
    missing: int
    """Frames that it takes to judge it, at least 1."""


@dataclass(frozen=True, slots=True)
class CloserLooks:
    """Lets another rule see what it wants, then looks closer.

    1. Each shot is looked at: one frame for each that no frame lies in, the longest first.
    2. In videos of more than half a minute, the longest gaps between frames are halved: until all are at most
       `CLOSE_SECONDS`, where at most `MOST_TIMES` as many frames as those of a full scan bring that about (32 do up to
       two minutes). In longer videos, frames on either side of each burst come first: there a manipulation that is
       short begins or ends, see `unmask.media.bursts`. With those, gaps are halved by fewer frames the longer the video
       is, down to `LEAST_TIMES` as many as a full scan has. Where the other rule wants all its frames at once, these
       are looked at with them, in one pass over the file. In such frames, faces are looked for where they were, or much
       smaller ones are not looked for.
    3. Who was seen in less than the card's ``min_frames``, and what scored above the threshold in a row shorter than
       that, is looked at in more frames of the same shot, the most suspicious first.

    It ends when all is seen in enough frames or as closely as `FINEST_SECONDS`, or when ``max_frames`` were looked at.
    """

    rule: StopRule
    """What is looked at first."""
    frames: int
    """Frames of a full scan."""
    max_frames: int
    """Frames that are looked at in one video, at most; below ``frames`` it changes nothing."""

    def next_step(self, progress: Progress) -> Step | None:
        """Return what the other rule wants; then what should be looked at more closely, None when nothing is left."""
        evenly = progress.looked[np.isin(progress.looked, progress.wanted)]
        step = self.rule.next_step(replace(progress, looked=evenly))
        room = self.max_frames - len(progress.looked)
        if step is not None:
            is_full = len(step.frames) == len(progress.wanted) and not progress.is_pooled
            gaps = self._survey(progress.timeline, step.frames, room - len(step.frames)) if is_full else step.frames[:0]
            return replace(step, frames=_union(step.frames, gaps), quick=frozenset(gaps.tolist()))
        if room <= 0 or progress.is_pooled or progress.crowd_warnings:  # of a crowd, no frame shows everybody
            return None
        looked = np.unique(progress.looked)
        timeline = progress.timeline
        shots = unseen_shots(timeline, looked, room)
        left = np.setdiff1d(progress.wanted, looked)  # the other rule stopped early
        gaps = self._survey(timeline, np.union1d(looked, shots), room - len(shots), left)
        if len(shots) or len(gaps):
            quick = np.setdiff1d(gaps, progress.wanted)
            return Step(_union(shots, gaps), progress.members, frozenset(quick.tolist()))
        frames = closer_frames(_suspects(progress, looked), looked, timeline, room)
        return Step(frames, progress.members) if len(frames) else None

    def _survey(self, timeline: Timeline, looked: Indices, room: int, left: Indices | None = None) -> Indices:
        """Return frames that bring all of the video within `CLOSE_SECONDS`, or else a few where it is most needed.

        Frames of a full scan that are ``left`` are preferred: what they show, a full scan would have seen.
        """
        most = min(room, (1 + MOST_TIMES) * self.frames - len(looked))
        frames = frames_in_gaps(timeline, looked, most + 1, left=left)
        if len(frames) <= most:
            return frames
        closely_seconds = (1 + MOST_TIMES) * self.frames * CLOSE_SECONDS
        share = closely_seconds / max(timeline.end_seconds, closely_seconds)
        more = int(self.frames * max(LEAST_TIMES, MOST_TIMES * share))
        room = min(room, self.frames + more - len(looked))
        beside = frames_beside_bursts(timeline, looked, room)
        return _union(beside, frames_in_gaps(timeline, _union(looked, beside), room - len(beside), easy=True))


def unseen_shots(timeline: Timeline, looked: Indices, room: int) -> Indices:
    """Return one frame of each shot that was not looked at, of at most ``room`` shots, the longest first."""
    edges = np.append(timeline.shots.starts, len(timeline.times_seconds))
    seen = np.zeros(len(edges) - 1, bool)
    seen[timeline.shots.number_of(looked)] = True
    lengths = np.diff(np.append(timeline.times_seconds[edges[:-1]], timeline.end_seconds))
    unseen = [shot for shot in np.argsort(-lengths, kind="stable").tolist() if not seen[shot]]
    chosen = [timeline.easiest(int(edges[shot]), int(edges[shot + 1]) - 1) for shot in unseen[: max(0, room)]]
    return np.unique(np.array(chosen, np.int64))


def frames_in_gaps(
    timeline: Timeline, looked: Indices, room: int, *, easy: bool = False, left: Indices | None = None
) -> Indices:
    """Return frames that make the longest gaps between frames, and up to the ends, shorter, at most ``room``.

    Args:
        timeline: Of the video.
        looked: (n,) rising indices of the frames that were looked at.
        room: Frames to return, at most.
        easy: Whether frames that are easily decoded are preferred to those in the middle.
        left: (m,) rising indices of frames that are preferred to all others; None for none.
    """
    times = timeline.times_seconds
    places: list[int] = sorted({0, *looked.tolist(), len(times) - 1})
    chosen: list[int] = []
    while len(chosen) < room:
        gaps = np.where(np.diff(places) > 1, np.diff(times[places]), 0)  # where no frame lies between, none is missing
        widest = int(gaps.argmax()) if len(gaps) else 0
        if not len(gaps) or gaps[widest] <= CLOSE_SECONDS + ROUNDING_SECONDS:
            break
        before, after = places[widest], places[widest + 1]
        middle = timeline.middle(before, after, easy=easy)
        if left is not None and len(between := left[(left > before) & (left < after)]):
            middle = int(between[np.abs(times[between] - (times[before] + times[after]) / 2).argmin()])
        chosen.append(middle)
        places.insert(widest + 1, middle)
    return np.array(sorted(chosen), np.int64)


def frames_beside_bursts(timeline: Timeline, looked: Indices, room: int) -> Indices:
    """Return the frames right before and right after each burst, at most ``room``.

    Args:
        timeline: Of the video.
        looked: (n,) rising indices of the frames that were looked at; frames as near to those are left out.
        room: Frames to return, at most.
    """
    times = timeline.times_seconds
    chosen: list[int] = []
    for burst in timeline.bursts.tolist():
        for wanted in (times[burst] - BESIDE_SECONDS, times[burst] + BESIDE_SECONDS):
            index = min(int(np.searchsorted(times, wanted)), len(times) - 1)
            known = times[[*looked.tolist(), *chosen]]
            if len(chosen) < room and not (np.abs(known - times[index]) < BESIDE_SECONDS).any():
                chosen.append(index)
    return np.array(sorted(chosen), np.int64)


def closer_frames(suspects: Iterable[Suspect], looked: Indices, timeline: Timeline, room: int) -> Indices:
    """Return further frames for each suspect, the most suspicious first, at most ``room``.

    Frames nearer than `FINEST_SECONDS` to one that was looked at are left out, unless that leaves none.
    """
    chosen: list[int] = []
    for suspect in sorted(suspects, key=lambda suspect: -suspect.fake_probability):
        if len(chosen) >= room:
            break
        known = np.union1d(looked, np.array(chosen, np.int64))
        chosen += _between(suspect, known, timeline.times_seconds, min(suspect.missing, room - len(chosen)))
    return np.array(sorted(chosen), np.int64)


def _between(suspect: Suspect, known: Indices, times_seconds: NDArray[np.float64], count: int) -> list[int]:
    """Return up to ``count`` frames of a suspect's stretch, each in the middle of the widest gap that is left."""
    low, high = max(0, suspect.first - 1), min(len(times_seconds) - 1, suspect.last + 1)
    inside = known[(known >= suspect.first) & (known <= suspect.last)]
    places: list[int] = [low, *inside.tolist(), high]
    chosen: list[int] = []
    while len(chosen) < count:
        gaps = np.diff(times_seconds[places])
        widest = int(gaps.argmax())
        middle = (places[widest] + places[widest + 1]) // 2
        if gaps[widest] < 2 * FINEST_SECONDS or middle in places or middle in known:
            break
        chosen.append(middle)
        places.insert(widest + 1, middle)
    return chosen


def _union(some: Indices, others: Indices) -> Indices:
    return np.union1d(some, others).astype(np.int64)


def _suspects(progress: Progress, looked: Indices) -> list[Suspect]:
    """Return who was seen briefly, and which runs of high scores are short."""
    if progress.judgement is None:
        return []
    found = []
    for person in progress.judgement.faces:
        scores = [frame for frame in progress.judgement.frames if frame.person == person.person]
        if len(scores) < progress.min_frames:
            found.append(_suspect(scores, progress, looked, np.inf))
        elif person.label != "fake":
            runs = _high_runs(scores, progress.thresholds.fake_above)
            found += [_suspect(run, progress, looked, REACH_SECONDS) for run in runs if _counts(run, progress, looked)]
    return [suspect for suspect in found if suspect is not None]


def _high_runs(scores: Sequence[FrameScore], threshold: float) -> list[list[FrameScore]]:
    """Return the runs of neighbouring frames that score above the threshold."""
    runs = groupby(scores, key=lambda frame: frame.fake_probability > threshold)
    return [list(run) for is_high, run in runs if is_high]


def _counts(run: Sequence[FrameScore], progress: Progress, looked: Indices) -> bool:
    """Whether a short run may be a manipulation of `CLOSE_SECONDS`: one that long would fill the frames around."""
    if len(run) >= progress.min_frames + SPARE_FRAMES:
        return False
    before, after = _neighbours(run[0].index, run[-1].index, looked, progress.timeline)
    times = progress.timeline.times_seconds
    return bool(times[after] - times[before] > CLOSE_SECONDS)


def _neighbours(first: int, last: int, looked: Indices, timeline: Timeline) -> tuple[int, int]:
    """Return the frames looked at before the first and after the last frame; the ends of the video where none was."""
    place, after = int(np.searchsorted(looked, first)), int(np.searchsorted(looked, last, side="right"))
    end = len(timeline.times_seconds) - 1
    return (int(looked[place - 1]) if place else 0), (int(looked[after]) if after < len(looked) else end)


def _suspect(scores: Sequence[FrameScore], progress: Progress, looked: Indices, reach_seconds: float) -> Suspect | None:
    """Return the stretch around some frames: up to their neighbours, within their shot and reach."""
    timeline, first, last = progress.timeline, scores[0].index, scores[-1].index
    before, after = _neighbours(first, last, looked, timeline)
    start, end = timeline.shot_of(first)[0], timeline.shot_of(last)[1]
    times = timeline.times_seconds
    start = max(start, before, int(np.searchsorted(times, times[first] - reach_seconds)))
    end = min(end, after, int(np.searchsorted(times, times[last] + reach_seconds, side="right")) - 1)
    missing = progress.min_frames + SPARE_FRAMES - len(scores)
    if end - start < 1 or missing < 1:
        return None
    return Suspect(float(np.mean([frame.fake_probability for frame in scores])), start, end, missing)
