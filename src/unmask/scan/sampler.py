"""Samplers: which frames a full scan looks at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from unmask.media import Video, pick_frames
from unmask.media.sampling import sample_indices

KEYFRAMES = "keyframes"
"""Name of the sampling that looks at key frames alone."""


class Sampler(Protocol):
    """Chooses the frames of a full scan."""

    def pick(self, video: Video) -> NDArray[np.int64]:
        """Return the indices of the frames to look at, (n,), strictly rising, at least one."""
        ...


@dataclass(frozen=True, slots=True)
class EvenSampler:
    """Spreads a number of frames evenly over a video, whatever its length."""

    frames: int
    """How many, at least 1; a shorter video gives each of its frames."""
    sampling: str
    """What "evenly" means, a name in `unmask.media.SAMPLINGS`."""

    def pick(self, video: Video) -> NDArray[np.int64]:
        """Return the indices of the frames to look at, strictly rising."""
        return pick_frames(video, self.frames, self.sampling)


@dataclass(frozen=True, slots=True)
class KeyframeSampler:
    """Takes key frames alone, spread evenly over time: no other frame is decoded."""

    frames: int
    """How many, at least 1; a video with fewer key frames gives each of them."""

    def pick(self, video: Video) -> NDArray[np.int64]:
        """Return the indices of the key frames to look at; of any frames where the file marks none."""
        keys = video.index.key_frames
        if not len(keys):
            return pick_frames(video, self.frames)
        return keys[sample_indices(video.index.times_seconds[keys], self.frames)]
