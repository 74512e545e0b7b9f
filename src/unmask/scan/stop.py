"""When to stop looking: frames and members of an ensemble are added only while the verdict is open."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from unmask.models import Card
from unmask.models.fusion import logit
from unmask.scan.decide import Judgement

Step = Literal["frames", "member", "stop"]

_SUREST = 1e-3
"""Probabilities are kept this far from 0 and 1 where a logit is taken of them."""
_PRIOR_WEIGHT = 2
"""The expected spread counts as if so many values had shown it."""


@dataclass(frozen=True, slots=True)
class Adaptive:
    """The rule by which a scan stops early.

    1. The frames of a full scan are looked at in nested stages, coarse to fine: every eighth of them, say, then those
       between to make it every fourth, every second, all. The first stage has at least ``first_frames``, and only the
       first member of the ensemble judges it.
    2. After each step the verdict so far is drawn up, and how far a full scan's may be from it. The logit of the video
       errs by a variance of two parts: that of the deciding person's frames over their number, times the share of
       frames not looked at; and that of the members over their number, times the share of members not asked. Both
       variances begin with an expected one, which counts as two values.
    3. The scan stops when no threshold lies within ``sigmas`` standard errors of the logit, and the squared error costs
       at most ``most_loss`` of log loss on average: p (1 - p) / 2 times the variance. Every frame asked for must have
       been decoded, and the one who decides been seen often enough.
    4. Otherwise the next stage of frames is looked at, or the next member asked about all faces: whichever part of the
       variance is larger.
    5. While frames are missing, ``real`` also needs everybody to be at most at the threshold, those too who were seen
       too briefly to count (unless the faces of the video are pooled): more frames may make them count.

    Nothing in this depends on chance, time or the number of workers. What nobody stopped is a full scan.
    """

    first_frames: int = 8
    """Least number of frames of the first stage; fewer than the card's ``min_frames`` can close nothing."""
    spread: float = 0.7
    """Expected standard deviation of the logits, among the frames of a person and among members; above 0."""
    sigmas: float = 2.0
    """Standard errors by which a threshold must be away, 0 or more."""
    most_loss: float = 0.005
    """Expected cost in log loss of what was not looked at, 0 or more; with 0 every scan is a full one."""

    def __post_init__(self) -> None:
        if self.first_frames < 1 or self.spread <= 0 or self.sigmas < 0 or self.most_loss < 0:
            raise ValueError(
                f"first_frames {self.first_frames} must be at least 1, spread {self.spread} above 0, sigmas "
                f"{self.sigmas} and most_loss {self.most_loss} 0 or more"
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

    def next_step(self, judgement: Judgement, card: Card, frames_left: float, members_left: float) -> Step:
        """Return what to look at next.

        Args:
            judgement: What has been seen amounts to.
            card: The first member's, whose thresholds hold.
            frames_left: Share of the frames not looked at, 0 to 1.
            members_left: Share of the members not asked, 0 to 1.
        """
        person = judgement.faces[0]
        frames = [f.fake_probability for f in judgement.frames if card.fusion.pooled or f.person == person.person]
        of_frames = self._variance(frames) * frames_left
        of_members = self._variance(person.models.values()) * members_left
        if not of_frames + of_members or self._is_closed(judgement, card, of_frames + of_members, frames_left > 0):
            return "stop"
        return "frames" if of_frames > of_members else "member"

    def _variance(self, probabilities: Iterable[float]) -> float:
        """Variance of the mean of these values' logits."""
        logits = _logits(probabilities)
        squares = _PRIOR_WEIGHT * self.spread**2 + float(((logits - logits.mean()) ** 2).sum())
        return squares / (_PRIOR_WEIGHT + len(logits) - 1) / len(logits)

    def _is_closed(self, judgement: Judgement, card: Card, variance: float, more_frames: bool) -> bool:
        thresholds, probability = card.thresholds, judgement.fake_probability
        if probability * (1 - probability) / 2 * variance > self.most_loss:
            return False
        here, low, high = _logits((probability, thresholds.real_below, thresholds.fake_above)).tolist()
        if min(abs(here - low), abs(here - high)) < self.sigmas * math.sqrt(variance):
            return False
        if card.fusion.pooled or not more_frames:
            return True
        highest = max(face.fake_probability for face in judgement.faces)
        seen_enough = judgement.label == thresholds.label(probability)
        return seen_enough and (judgement.label != "real" or highest <= thresholds.real_below)


def _logits(probabilities: Iterable[float]) -> NDArray[np.float64]:
    return logit(np.clip(list(probabilities), _SUREST, 1 - _SUREST))
