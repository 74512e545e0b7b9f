"""Stop rules: which frames and members of an ensemble a scan goes on with, and when it has seen enough."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from unmask.models.card import Thresholds
from unmask.models.fusion import logit
from unmask.scan.decide import Judgement
from unmask.scan.timeline import Timeline

_MAX_CERTAINTY = 1e-3
"""Probabilities are kept this far from 0 and 1 where a logit is taken of them."""
_PRIOR_WEIGHT = 2
"""The expected spread counts as if so many values had shown it."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a scan is."""

    wanted: NDArray[np.int64]
    """(n,) indices of the frames of a full scan, rising."""
    looked: NDArray[np.int64]
    """(m,) indices of the frames that were asked for so far, in the order in which they were."""
    all_members: int
    """Members of the ensemble."""
    members: int
    """Members that were asked so far; 0 before the first step."""
    judgement: Judgement | None
    """What was seen so far amounts to; None where no face was judged."""
    is_whole: bool
    """Whether the file is whole as far as it was read: each frame that was asked for was decoded."""
    thresholds: Thresholds
    """The first member's, which hold for the ensemble."""
    is_pooled: bool
    """Whether the faces of the whole video are fused as one person's."""
    min_frames: int
    """Frames in which a person must have been seen to be judged alone."""
    timeline: Timeline
    """When the video's frames are, and what is known of its shots."""
    decoded: int = 0
    """Frames that could be decoded so far."""
    decoded_indices: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    """(d,) rising indices of these frames."""
    small_faces: int = 0
    """Faces that were too small to be judged."""
    dropped_faces: int = 0
    """Faces that were not judged because the scanner's ``max_faces`` had been."""
    crowd_warnings: tuple[str, ...] = ()
    """How many faces were left out since frames showed too many, in sentences; see `unmask.scan.crowd`."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a scan does next."""

    frames: NDArray[np.int64]
    """(k,) indices of further frames to look at, rising; may be empty."""
    members: int
    """How many members shall have judged all faces after this step; those who have are not asked again."""
    quick: frozenset[int] = frozenset()
    """Those of the frames in which faces much smaller than the ones before need not be looked for."""


class StopRule(Protocol):
    """Decides how a scan goes on. One object serves many scans at a time, so it keeps nothing of them."""

    def next_step(self, progress: Progress) -> Step | None:
        """Return what to do next, None when enough was seen. The first call must return a step."""
        ...


@dataclass(frozen=True, slots=True)
class FullScan:
    """Has all members judge all wanted frames, in one step."""

    def next_step(self, progress: Progress) -> Step | None:
        """Return the one step, then None."""
        return None if progress.members else Step(progress.wanted, progress.all_members)


@dataclass(frozen=True, slots=True)
class Adaptive:
    """Stops a scan as soon as its verdict is clear.

    1. The frames of a full scan are looked at in nested stages, coarse to fine: every eighth of them, say, then those
       between to make it every fourth, every second, all. The first stage has at least ``first_frames``, and only the
       first member of the ensemble judges it.
    2. After each step the verdict so far is drawn up, and how far a full scan's may be from it. The logit of the video
       errs by a variance of two parts: that of the deciding person's frames over their number, times the share of
       frames not looked at; and that of the members over their number, times the share of members not asked. Both
       variances begin with an expected one, which counts as two values.
    3. The scan stops when no threshold lies within ``sigmas`` standard errors of the logit, and the squared error costs
       at most ``max_loss`` of log loss on average: p (1 - p) / 2 times the variance. Every frame asked for must have
       been decoded, and the one who decides been seen often enough.
    4. Otherwise the next stage of frames is looked at, or the next member asked about all faces: whichever part of the
       variance is larger.
    5. While frames are missing, ``real`` also needs each person to be at most at the threshold, those too who were seen
       too briefly to count (unless the faces of the video are pooled): more frames may make them count.

    Nothing in this depends on chance, time or the number of workers. A scan that is never stopped is a full scan. Of a
    damaged video all wanted frames are looked at.
    """

    first_frames: int = 8
    """Least number of frames of the first stage; fewer than the card's ``min_frames`` can close nothing."""
    spread: float = 0.7
    """Expected standard deviation of the logits, among the frames of a person and among members; above 0."""
    sigmas: float = 2.0
    """Standard errors by which a threshold must be away, 0 or more."""
    max_loss: float = 0.005
    """Expected cost in log loss of what was not looked at, 0 or more; with 0 every scan is a full one."""

    def __post_init__(self) -> None:
        if self.first_frames < 1 or self.spread <= 0 or self.sigmas < 0 or self.max_loss < 0:
            raise ValueError(
                f"first_frames {self.first_frames} must be at least 1, spread {self.spread} above 0, sigmas "
                f"{self.sigmas} and max_loss {self.max_loss} 0 or more"
            )

    def stages(self, indices: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Split the frames of a full scan, (n,) rising, into stages; each holds only what earlier ones left out."""
        step = 1
        while -(-len(indices) // (2 * step)) >= self.first_frames:
            step *= 2
        stages = [indices[::step]]
        while step > 1:
            step //= 2
            stages.append(indices[step :: 2 * step])
        return stages

    def next_step(self, progress: Progress) -> Step | None:
        """Return the next stage of frames, or one more member; None when the verdict is clear."""
        if not progress.members:
            return Step(self.stages(progress.wanted)[0], 1)
        frames_left = 1 - len(progress.looked) / len(progress.wanted)
        members_left = 1 - progress.members / progress.all_members
        if not (frames_left or members_left):
            return None
        of_frames, of_members = self._variances(progress, frames_left, members_left)
        if self._is_closed(progress, of_frames + of_members, frames_left > 0):
            return None
        if of_frames > of_members:
            return Step(self._next_stage(progress), progress.members)
        return Step(np.empty(0, np.int64), progress.members + 1)

    def _next_stage(self, progress: Progress) -> NDArray[np.int64]:
        """Return what is missing of the first stage that is not complete; closer looks may have seen some of it."""
        missing = (np.setdiff1d(stage, progress.looked) for stage in self.stages(progress.wanted))
        return next((frames for frames in missing if len(frames)), np.empty(0, np.int64))

    def _variances(self, progress: Progress, frames_left: float, members_left: float) -> tuple[float, float]:
        """Return the variance of the logit that the missing frames may cause, and that of the missing members.

        Without a verdict on a whole file nothing can be said but by looking on: at frames first.
        """
        judgement = progress.judgement
        if judgement is None or not progress.is_whole:
            if frames_left:
                return math.inf, 0.0
            return 0.0, 0.0 if judgement is None else math.inf
        person = judgement.faces[0]
        frames = [f.fake_probability for f in judgement.frames if progress.is_pooled or f.person == person.person]
        return self._variance(frames) * frames_left, self._variance(person.models.values()) * members_left

    def _variance(self, probabilities: Iterable[float]) -> float:
        """Variance of the mean of these values' logits."""
        logits = _logits(probabilities)
        squares = _PRIOR_WEIGHT * self.spread**2 + float(((logits - logits.mean()) ** 2).sum())
        return squares / (_PRIOR_WEIGHT + len(logits) - 1) / len(logits)

    def _is_closed(self, progress: Progress, variance: float, more_frames: bool) -> bool:
        judgement, thresholds = progress.judgement, progress.thresholds
        if judgement is None or not 0 < variance < math.inf:
            return not variance
        probability = judgement.fake_probability
        if probability * (1 - probability) / 2 * variance > self.max_loss:
            return False
        here, low, high = _logits((probability, thresholds.real_below, thresholds.fake_above)).tolist()
        if min(abs(here - low), abs(here - high)) < self.sigmas * math.sqrt(variance):
            return False
        if progress.is_pooled or not more_frames:
            return True
        highest = max(face.fake_probability for face in judgement.faces)
        seen_enough = judgement.label == thresholds.label(probability)
        return seen_enough and (judgement.label != "real" or highest <= thresholds.real_below)


def _logits(probabilities: Iterable[float]) -> NDArray[np.float64]:
    return logit(np.clip(list(probabilities), _MAX_CERTAINTY, 1 - _MAX_CERTAINTY))
