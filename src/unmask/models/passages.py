"""Find the stretch of a person's frames that speaks loudest for manipulation, and discount it for having searched.

A manipulation may fill a part of a shot only; the mean over all frames then hides it. So runs of neighbouring frames
are looked at too. Among many runs the highest scores high by chance, and more so the shorter the runs are, because
there are more of them. The highest logit of ``k`` independent authentic runs lies about ``own_tail * ln(k)`` above that
of all frames, where the logits of the runs of one authentic person have a tail that falls by a factor of e every
``own_tail`` logits. So the evidence of a run that could have lain at k places is

    logit(mean fake probability of the run) - own_tail * ln(k)

and that of all frames is not discounted. Of evenly spread frames, a run of w out of n is one of k = n / w. Closer looks
are not evenly spread: they went where a frame scored high, and each frame elsewhere could have called for them. So
where the times of frames are known, k counts the places of the run's length that were looked at, however closely.

What is the highest among several people is discounted in the same way: ``tail * ln(people)``, where the tail is that
of different people's films, which differ more than the parts of one. Several who score high together are as unlikely
as one who scores higher: the j-th highest of P people is discounted by ``tail * ln(P / j)``, and nobody has less
evidence than who scores lower. That holds as well for people whose films are alike, and where the same person stands
for two because cuts lie between.

This is a scan statistic (Kulldorff 1997, doi 10.1080/03610929708831995) under exponential tails, with a Bonferroni
correction for the places and Simes' for the people (1986, doi 10.1093/biomet/73.3.751; each of them judged as by
Benjamini and Hochberg 1995, doi 10.1111/j.2517-6161.1995.tb02031.x). ``tail`` and the threshold are fitted on authentic
clips, whose false alarms are counted after the search, see `unmask.evaluation`; ``own_tail`` by
``scripts/passage_tail.py``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

_MIN_PROBABILITY = 1e-6
"""Verdicts round to six digits; a probability is kept this far from 0 and 1 where a logit is taken of it."""


@dataclass(frozen=True, slots=True)
class PassageRule:
    """How runs of frames are searched. Part of a model's card."""

    tail: float
    """Logits over which the tail of authentic people falls by a factor of e, above 0; larger is more careful."""
    min_frames: int = 6
    """Length of the shortest run, in sampled frames, at least 2."""
    own_tail: float | None = None
    """Logits over which the tail of the runs of one authentic person falls by a factor of e, above 0; None for
    ``tail``."""

    def __post_init__(self) -> None:
        if not all(0 < tail < math.inf for tail in (self.tail, self.of_runs)) or self.min_frames < 2:
            raise ValueError(
                f"tail {self.tail} and own_tail {self.own_tail} must be above 0 and finite, min_frames "
                f"{self.min_frames} at least 2"
            )

    @property
    def of_runs(self) -> float:
        """The tail of the runs of one person."""
        return self.tail if self.own_tail is None else self.own_tail


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


def strongest_run(scores_n: ArrayLike, rule: PassageRule, times_n: ArrayLike | None = None) -> Run:
    """Return the run of most evidence; of equals the longest, then the earliest.

    Args:
        scores_n: Fake probabilities of one person's frames, (n,) in order of time, at least one. Where n is below the
            rule's ``min_frames``, all frames are the only run.
        rule: How to search.
        times_n: (n,) rising times of the frames in seconds; None where they are evenly spread.
    """
    scores = np.asarray(scores_n, np.float64)
    total = len(scores)
    looked = None if times_n is None or total == 1 else _looked(np.asarray(times_n, np.float64))
    sums = np.concatenate(([0.0], np.cumsum(scores)))
    best: Run | None = None
    for width in range(total, min(rule.min_frames, total) - 1, -1):
        means = np.minimum(np.maximum((sums[width:] - sums[:-width]) / width, 0.0), 1.0)  # np.clip takes thrice as long
        start = int(means.argmax())
        evidence = _logit(float(means[start])) - rule.of_runs * math.log(_places(looked, start, width, total))
        if best is None or evidence > best.evidence:
            best = Run(start, start + width, float(means[start]), evidence)
    assert best is not None
    return best


def _looked(times: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the times of frames, and how long each stands for: to the next one, the last as long as most."""
    gaps = np.diff(times)
    return times, np.append(gaps, np.median(gaps))


def _places(
    looked: tuple[NDArray[np.float64], NDArray[np.float64]] | None, start: int, width: int, total: int
) -> float:
    """Return at how many places that were looked at a run of ``width`` frames could have lain, at least 1.

    No frame stands for more than the length of the run.
    """
    if looked is None or width == total:
        return total / width
    times, lasting = looked
    if times[start + width - 1] <= times[start]:
        return total / width
    length = (times[start + width - 1] - times[start]) * width / (width - 1)
    return max(1.0, float(np.minimum(lasting, length).sum() / length))


def discounted(fake_probabilities_P: ArrayLike, rule: PassageRule) -> NDArray[np.float64]:
    """Return the fake probabilities (P,) of the people of one film, discounted for the search among all of them.

    Args:
        fake_probabilities_P: (P,) of each person alone, 0 to 1, at least one.
        rule: Whose tail holds.
    """
    probabilities = np.asarray(fake_probabilities_P, np.float64)
    people = len(probabilities)
    if people == 1:
        return probabilities
    falling = np.argsort(-probabilities, kind="stable")
    evidence = np.array([_logit(probability) for probability in probabilities[falling].tolist()])
    evidence -= rule.tail * np.log(people / np.arange(1, people + 1))
    together = np.maximum.accumulate(evidence[::-1])[::-1]  # who scores higher than others who count, counts too
    result = np.empty(people)
    result[falling] = [_probability(logit) for logit in together.tolist()]
    return result


def _logit(fake_probability: float) -> float:
    inside = min(max(fake_probability, _MIN_PROBABILITY), 1 - _MIN_PROBABILITY)
    return math.log(inside / (1 - inside))


def _probability(logit: float) -> float:
    return 0.5 + 0.5 * math.tanh(logit / 2)  # the sigmoid, without overflow
