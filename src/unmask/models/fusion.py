"""From the scores of single faces to one number: the rules of published systems.

A `Fusion` names three rules: over the frames of one person, over people, over models. `FUSIONS` holds those of
whole systems. A new rule is one function under ``@register_rule("name")``, ``@register_people_rule("name")`` or
``@register_model_rule("name")``.

Shape letters: n frames of one person, P people, M models.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unmask.errors import UsageError
from unmask.models.passages import PassageRule, strongest_run
from unmask.models.published import enter_published_systems
from unmask.runtime.plug_ins import enter_plug_ins

Floats = NDArray[np.float64]
Rule = Callable[[Floats], float]
"""Fake probabilities (n,) or (P,), at least one -> one fake probability."""
WeightedRule = Callable[[Floats, Floats], float]
"""Fake probabilities (M,) and weights (M,), at least one -> one fake probability."""

FUSE_RULES: dict[str, Rule] = {}
"""Name -> rule over one person's frames by one model, in order of time."""
PEOPLE_RULES: dict[str, Rule] = {}
"""Name -> rule over people."""
MODEL_RULES: dict[str, WeightedRule] = {}
"""Name -> rule over models."""

POOLED = ("pool", "largest")
"""Words for ``people`` under which the faces of the whole video are fused as if they were one person's."""
EACH_FACE = "logit"
"""Word for ``models`` under which each face's scores are fused, by their mean logit, before anything else."""

_MIN_PROBABILITY = 1e-15
"""Probabilities are kept this far from 0 and 1 where a logit is taken of them."""


@dataclass(frozen=True, slots=True)
class Fusion:
    """How the scores of faces become the score of a person, and people that of a video. Part of a model's card."""

    frames: str = "mean"
    """Name in ``unmask.models.FUSE_RULES``."""
    people: str = "max"
    """Name in ``PEOPLE_RULES``, or ``pool``: all faces of the video are fused as one person's; ``largest``: likewise,
    with the largest face of each frame only."""
    models: str = "mean"
    """Name in ``MODEL_RULES``, or ``logit``: the mean logit of each face. ``mean`` is taken of each person, and
    every other rule of the whole video, after the people."""
    min_frames: int = 6
    """A person seen in fewer frames is never called fake or real."""
    weight: float = 1.0
    """Weight of this model in an ensemble, above 0."""
    passages: PassageRule | None = None
    """How the frames of a person are searched for the stretch that speaks loudest for manipulation; None judges all
    frames alike. Only with ``mean`` over frames and models and ``max`` over people."""

    def __post_init__(self) -> None:
        if self.frames not in FUSE_RULES:
            enter_plug_ins("unmask.rules", FUSE_RULES, self.frames)
        for name, value, known in (
            ("frames", self.frames, (*FUSE_RULES,)),
            ("people", self.people, (*PEOPLE_RULES, *POOLED)),
            ("models", self.models, (*MODEL_RULES, EACH_FACE)),
        ):
            if value not in known:
                raise ValueError(f"fusion rule {name} = {value!r} is unknown; use one of {', '.join(known)}")
        if not 0 < self.weight < float("inf"):
            raise ValueError(f"weight {self.weight} must be above 0 and finite")
        if self.passages is not None and (self.frames, self.people, self.models) != ("mean", "max", "mean"):
            raise ValueError("passages are searched only with frames = mean, people = max and models = mean")

    @property
    def pooled(self) -> bool:
        """Whether the faces of the whole video are fused as one person's."""
        return self.people in POOLED


def register_rule(name: str) -> Callable[[Rule], Rule]:
    """Enter a rule over frames into `FUSE_RULES`."""

    def enter(rule: Rule) -> Rule:
        FUSE_RULES[name] = rule
        return rule

    return enter


def register_people_rule(name: str) -> Callable[[Rule], Rule]:
    """Enter a rule over people into `PEOPLE_RULES`."""

    def enter(rule: Rule) -> Rule:
        PEOPLE_RULES[name] = rule
        return rule

    return enter


def register_model_rule(name: str) -> Callable[[WeightedRule], WeightedRule]:
    """Enter a rule over models into `MODEL_RULES`."""

    def enter(rule: WeightedRule) -> WeightedRule:
        MODEL_RULES[name] = rule
        return rule

    return enter


def fuse(fake_probabilities: ArrayLike, rule: str = "mean") -> float:
    """Fuse the frame scores of one person.

    Args:
        fake_probabilities: (n,) in 0..1, at least one, in order of time.
        rule: Name in `FUSE_RULES`.

    Returns:
        One fake probability, 0 to 1.

    Raises:
        UsageError: No score, a score outside 0..1, or an unknown rule.
    """
    scores = np.asarray(fake_probabilities, np.float64)
    if scores.ndim != 1 or len(scores) == 0 or not (scores.min() >= 0 and scores.max() <= 1):
        raise UsageError("fusion needs at least one score, all of them in 0..1")
    if rule not in FUSE_RULES:
        raise UsageError(f"unknown fusion rule {rule!r}; use one of {', '.join(FUSE_RULES)}")
    return float(FUSE_RULES[rule](scores))


def fuse_person(scores_Mn: Floats, fusion: Fusion, weights_M: Sequence[float], times_n: Floats | None = None) -> float:
    """Fuse what all models say of one person's frames.

    Args:
        scores_Mn: Fake probabilities, (M, n), frames in order of time.
        fusion: By which rules.
        weights_M: Weights of the models.
        times_n: (n,) rising times of the frames in seconds; None where they are evenly spread.
    """
    weights = np.asarray(weights_M, np.float64)
    if fusion.passages is not None:
        return strongest_run(weights @ scores_Mn / weights.sum(), fusion.passages, times_n).fake_probability
    if fusion.models == EACH_FACE:
        return fuse(_meanlogit(scores_Mn, weights), fusion.frames)
    return MODEL_RULES[fusion.models](np.array([fuse(scores_n, fusion.frames) for scores_n in scores_Mn]), weights)


def fuse_video(
    people_PMn: Sequence[Floats],
    fusion: Fusion,
    weights_M: Sequence[float],
    times_Pn: Sequence[Floats | None] | None = None,
) -> float:
    """Fuse what all models say of all people of a video.

    Args:
        people_PMn: Fake probabilities (M, n) of each person, at least one. Under a pooled rule all faces are passed as
            those of one person.
        fusion: By which rules.
        weights_M: Weights of the models.
        times_Pn: Rising times (n,) of each person's frames in seconds; None where they are evenly spread.
    """
    if fusion.pooled:
        return fuse_person(np.concatenate(people_PMn, axis=1), fusion, weights_M)
    people_rule = PEOPLE_RULES[fusion.people]
    if fusion.models in ("mean", EACH_FACE):
        times_Pn = times_Pn or [None] * len(people_PMn)
        fused = [
            fuse_person(scores_Mn, fusion, weights_M, times_n)
            for scores_Mn, times_n in zip(people_PMn, times_Pn, strict=True)
        ]
        return people_rule(np.array(fused))
    by_person_PM = np.array([[fuse(scores_n, fusion.frames) for scores_n in scores_Mn] for scores_Mn in people_PMn])
    by_model_M = np.array([people_rule(scores_P) for scores_P in by_person_PM.T])
    return MODEL_RULES[fusion.models](by_model_M, np.asarray(weights_M, np.float64))


@register_rule("mean")
def mean(scores: Floats) -> float:
    """Plain mean."""
    return float(scores.mean())


@register_rule("max")
def highest(scores: Floats) -> float:
    """The most suspicious frame."""
    return float(scores.max())


@register_rule("confident")
def confident(scores: Floats) -> float:
    """Mean of the sure scores when enough of them agree, else of all.

    Source: the challenge winner, selimsef/dfdc_deepfake_challenge: more than 11 scores, and more than n / 2.5,
    above 0.8 make it fake; more than 90 % below 0.2 make it real.
    """
    sure_fake, sure_real = scores > 0.8, scores < 0.2
    if sure_fake.sum() > len(scores) // 2.5 and sure_fake.sum() > 11:
        return float(scores[sure_fake].mean())
    if sure_real.sum() > 0.9 * len(scores):
        return float(scores[sure_real].mean())
    return float(scores.mean())


@register_rule("weighted")
def weighted(scores: Floats) -> float:
    """Stretch the scores away from 0.5, then weigh each by how sure it is.

    Source: NTech-Lab/deepfake-detection-challenge (3rd place): p' = 0.5 + sign(p - 0.5) |p - 0.5|^0.65, clipped
    to 0.01..0.99, weights |p - 0.5| + 1e-4.
    """
    lean = scores - 0.5
    stretched = np.clip(0.5 + np.sign(lean) * np.abs(lean) ** 0.65, 0.01, 0.99)
    weights = np.abs(lean) + 1e-4
    return float((stretched * weights).sum() / weights.sum())


@register_rule("groups")
def groups(scores: Floats) -> float:
    """Mean logit of each five frames in a row; then the mean of the sure groups when over 70 % agree, else of all.

    Source: Siyu-C/RobustForensics (4th place): sure is above 0.85 or below 0.15; frames beyond a multiple of five
    are left out. Fewer than five frames, on which the original fails, are one group.
    """
    whole = len(scores) // 5 * 5
    rows = scores[:whole].reshape(-1, 5) if whole else scores[None]
    return by_majority(probability(logit(rows).mean(1)))


@register_rule("clear")
def clear(scores: Floats) -> float:
    """Mean of the sure scores when at least 90 % agree, else of all.

    Source: deepware/deepfake-scanner: sure is at least 0.8 or at most 0.2.
    """
    for sure in (scores >= 0.8, scores <= 0.2):
        if sure.sum() >= 0.9 * len(scores):
            return float(scores[sure].mean())
    return float(scores.mean())


def by_majority(scores: Floats, low: float = 0.15, high: float = 0.85, weights: Floats | None = None) -> float:
    """Mean of the scores above ``high`` if they are over 70 %, else of those below ``low`` if they are, else of all.

    Source: Siyu-C/RobustForensics. ``weights`` weigh the mean; each score has one vote all the same.
    """
    for sure in (scores > high, scores < low):
        if sure.sum() > 0.7 * len(scores):
            return float(np.average(scores[sure], weights=None if weights is None else weights[sure]))
    return float(np.average(scores, weights=weights))


@register_people_rule("max")
def most_suspicious(scores: Floats) -> float:
    """The most suspicious person."""
    return float(scores.max())


@register_people_rule("clearest")
def clearest(scores: Floats) -> float:
    """The highest score where one person is clearly fake or all lean so, the lowest where all are real; else the mean.

    Source: Siyu-C/RobustForensics: max if it is above 0.9 or all are above 0.6; min if all are below 0.4.
    """
    if scores.max() > 0.9 or scores.min() > 0.6:
        return float(scores.max())
    return float(scores.min() if scores.max() < 0.4 else scores.mean())


@register_people_rule("stretched")
def stretched(scores: Floats) -> float:
    """The highest score from 0.8 on, raised a little where people are clear-cut; else the lowest score, or the mean.

    Source: deepware/deepfake-scanner. People are clear-cut when the mean of |2p - 1| is at least 0.7: then the
    maximum m becomes m - log10(m), and without anybody from 0.8 on the minimum counts. Clipped to 0.01..0.99.
    """
    sure, top = bool(np.abs(2 * scores - 1).mean() >= 0.7), float(scores.max())
    if top >= 0.8:
        value = top - float(np.log10(top)) if sure else top
    else:
        value = float(scores.min() if sure else scores.mean())
    return min(max(value, 0.01), 0.99)


@register_model_rule("mean")
def weighted_mean(scores: Floats, weights: Floats) -> float:
    """Weighted mean."""
    return float((scores * weights).sum() / weights.sum())


@register_model_rule("majority")
def majority(scores: Floats, weights: Floats) -> float:
    """Weighted mean of the sure models when over 70 % of them agree, else of all.

    Source: Siyu-C/RobustForensics: sure is above 0.8 or below 0.2.
    """
    return by_majority(scores, 0.2, 0.8, weights)


FUSIONS: dict[str, Fusion] = {
    "mean": Fusion("mean", "max"),
    "max": Fusion("max", "max"),
}
"""Name, as ``--fuse`` takes it -> rules: two plain ones in which the most suspicious person decides, and those that
published systems enter by `register_fusion`."""


def register_fusion(name: str, fusion: Fusion) -> Fusion:
    """Enter the rules of a whole system into `FUSIONS`."""
    FUSIONS[name] = fusion
    return fusion


def find_fusion(name: str) -> Fusion:
    """Return the rules that have a name in `FUSIONS`.

    Raises:
        UsageError: There are none.
    """
    if name not in FUSIONS:
        enter_published_systems()
    if name not in FUSIONS:
        raise UsageError(f"unknown fusion {name!r}; use one of {', '.join(FUSIONS)}")
    return FUSIONS[name]


def logit(scores: Floats) -> Floats:
    """The sigmoid's inverse; 0 and 1 give the largest numbers that are not yet infinite."""
    inside = np.clip(scores, _MIN_PROBABILITY, 1 - _MIN_PROBABILITY)
    return np.asarray(np.log(inside) - np.log1p(-inside))


def probability(logits: Floats) -> Floats:
    """The sigmoid, without overflow."""
    return np.asarray(0.5 + 0.5 * np.tanh(logits / 2))


def _meanlogit(scores_Mn: Floats, weights_M: Floats) -> Floats:
    return probability(np.average(logit(scores_Mn), axis=0, weights=weights_M))
