"""The timeline of a video: when its frames are, where its shots lie, which frames are easily decoded."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from unmask.media import Shots, SignatureLog, Video, find_shots

EASY_SECONDS = 0.5
"""Frames up to this long after a key frame are easily decoded."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """What is known of a video's frames without looking at them."""

    times_seconds: NDArray[np.float64]
    """(N,) rising time stamps of the frames that exist."""
    end_seconds: float
    """Time from the first frame to the end of the last."""
    key_indices: NDArray[np.int64]
    """(K,) rising indices of the frames from which decoding can start afresh."""
    shots: Shots
    """Its shots, as far as they are known."""
    bursts: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    """(B,) rising indices of the frames at which something new seems to come into the picture; see
    `unmask.media.bursts`."""

    def with_shots(self, log: SignatureLog) -> Timeline:
        """Return the timeline with the shots that the signatures of decoded frames tell apart."""
        indices, signatures = log.arrays()
        return replace(self, shots=find_shots(indices, self.times_seconds[indices], signatures))

    def shot_of(self, index: int) -> tuple[int, int]:
        """Return the first and the last frame of the shot that a frame lies in."""
        starts = self.shots.starts
        shot = int(np.searchsorted(starts, index, side="right")) - 1
        end = int(starts[shot + 1]) if shot + 1 < len(starts) else len(self.times_seconds)
        return int(starts[shot]), end - 1

    def easiest(self, first: int, last: int) -> int:
        """Return a frame between two others, both of which may be taken, that takes little decoding."""
        middle = (first + last) // 2
        keys = self.key_indices[(self.key_indices >= first) & (self.key_indices <= last)]
        if not len(keys):
            return middle
        key = int(keys[np.abs(keys - middle).argmin()])
        after = int(np.searchsorted(self.times_seconds, self.times_seconds[key] + EASY_SECONDS, side="right")) - 1
        return min(max(key, min(after, middle)), last)

    def middle(self, left: int, right: int, *, easy: bool) -> int:
        """Return the frame midway between two others that may not be taken; a key frame near it if ``easy``."""
        times = self.times_seconds
        middle = min(int(np.searchsorted(times, (times[left] + times[right]) / 2)), right - 1)
        keys = self.key_indices[(self.key_indices > left) & (self.key_indices < right)]
        if easy and len(keys):
            key = int(keys[np.abs(times[keys] - times[middle]).argmin()])
            if abs(times[key] - times[middle]) <= (times[right] - times[left]) / 4:
                return key
        return middle


def timeline_of(video: Video) -> Timeline:
    """Return the timeline of a video that was not looked at yet: all of it counts as one shot."""
    index = video.index
    return Timeline(
        times_seconds=index.times_seconds,
        end_seconds=index.end_seconds,
        key_indices=index.key_frames,
        shots=Shots(np.zeros(1, np.int64)),
        bursts=index.bursts,
    )


def unseen_seconds(indices: NDArray[np.int64], timeline: Timeline) -> float:
    """Return the longest time between two frames that were looked at, where others lie between; 0 where none does.

    Args:
        indices: (n,) rising indices of the frames that were looked at, at least one.
        timeline: Of the video.
    """
    places = np.concatenate([[0], indices, [len(timeline.times_seconds) - 1]])
    gaps_seconds = np.diff(timeline.times_seconds[places])
    return float(gaps_seconds[np.diff(places) > 1].max(initial=0.0))


def max_gap_seconds(indices: NDArray[np.int64], timeline: Timeline) -> float | None:
    """Return the longest time between two frames that were looked at, also before the first and after the last.

    Args:
        indices: (n,) rising indices of the frames that were looked at.
        timeline: Of the video.
    """
    if not len(indices):
        return None
    times = timeline.times_seconds
    return float(np.diff(times[np.concatenate([[0], indices, [len(times) - 1]])]).max())
