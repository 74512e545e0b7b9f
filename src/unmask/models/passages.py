"""Find the stretch of a person's frames that speaks loudest for manipulation, and discount it for having searched.

A manipulation may fill a part of a shot only; the mean over all frames then hides it. So runs of neighbouring frames
are looked at too. Among many runs the highest scores high by chance, and more so the shorter the runs are, because
there are more of them. The highest logit of ``k`` independent authentic runs lies about ``tail * ln(k)`` above that of
one, where the logits of authentic runs have a tail that falls by a factor of e every ``tail`` logits. A run of w out of
n frames is one of ``n / w`` that do not overlap, so its evidence is

    logit(mean fake probability of the run) - tail * ln(n / w)

and that of all frames is not discounted. What is the highest among several people is discounted in the same way:
``tail * ln(people)``. This is a scan statistic (Kulldorff 1997, doi 10.1080/03610929708831995) with a Bonferroni
correction under an exponential tail; ``tail`` and the threshold are fitted on authentic clips, whose false alarms are
counted after the search, see `unmask.evaluation`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

_MIN_PROBABILITY = 1e-6
"""Verdicts round to six digits; a probability is kept this far from 0 and 1 where a logit is taken of it."""


@dataclass(frozen=True, slots=True)
class PassageRule:
    """How runs of frames are searched. Part of a model's card."""

    tail: float
    """Logits over which the tail of authentic runs falls by a factor of e, above 0; larger is more careful."""
    min_frames: int = 6
    """Length of the shortest run, in sampled frames, at least 2."""

    def __post_init__(self) -> None:
        if not 0 < self.tail < math.inf or self.min_frames < 2:
            raise ValueError(f"tail {self.tail} must be above 0 and finite, min_frames {self.min_frames} at least 2")


@dataclass(frozen=True, slots=True)
class Run:
    """Neighbouring frames of one person."""

    start: int
    """Position of the first frame among the person's."""
    stop: int
    """Position after the last one."""
    mean: float
    """Mean fake probability of its frames, 0 to 1."""
    evidence: float
    """Logit of that mean, less the discount for the search."""

    @property
    def fake_probability(self) -> float:
        """Its evidence as a probability, 0 to 1."""
        return _probability(self.evidence)


def strongest_run(scores_n: ArrayLike, rule: PassageRule) -> Run:
    """Return the run of most evidence; of equals the longest, then the earliest.

    Args:
        scores_n: Fake probabilities of one person's frames, (n,) in order of time, at least one. Where n is below the
            rule's ``min_frames``, all frames are the only run.
        rule: How to search.
    """
    scores = np.asarray(scores_n, np.float64)
    total = len(scores)
    sums = np.concatenate(([0.0], np.cumsum(scores)))
    best: Run | None = None
    for width in range(total, min(rule.min_frames, total) - 1, -1):
        means = np.minimum(np.maximum((sums[width:] - sums[:-width]) / width, 0.0), 1.0)  # np.clip takes thrice as long
        start = int(means.argmax())
        evidence = _logit(float(means[start])) - rule.tail * math.log(total / width)
        if best is None or evidence > best.evidence:
            best = Run(start, start + width, float(means[start]), evidence)
    assert best is not None
    return best


def discounted(fake_probability: float, searched: int, rule: PassageRule) -> float:
    """Return the fake probability of the highest among ``searched`` people, discounted for the search.

    Args:
        fake_probability: Of the person who scores highest, 0 to 1.
        searched: People who could have been the highest, at least 1.
        rule: Whose tail holds.
    """
    discount = rule.tail * math.log(searched)
    return _probability(_logit(fake_probability) - discount) if discount else fake_probability


def _logit(fake_probability: float) -> float:
    inside = min(max(fake_probability, _MIN_PROBABILITY), 1 - _MIN_PROBABILITY)
    return math.log(inside / (1 - inside))


def _probability(logit: float) -> float:
    return 0.5 + 0.5 * math.tanh(logit / 2)  # the sigmoid, without overflow
