"""From the scores of single faces to one number: the rules of published systems.

A rule takes the fake probabilities (n,) of one person's frames, n >= 1, and returns one fake probability. A
new rule is one function under ``@register_rule("name")``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unmask.errors import UsageError

Rule = Callable[[NDArray[np.float64]], float]

FUSE_RULES: dict[str, Rule] = {}
"""Name -> rule."""


def register_rule(name: str) -> Callable[[Rule], Rule]:
    """Enter a rule into `FUSE_RULES`."""

    def enter(rule: Rule) -> Rule:
        FUSE_RULES[name] = rule
        return rule

    return enter


def fuse(fake_probabilities: ArrayLike, rule: str = "mean") -> float:
    """Fuse the frame scores of one person.

    Args:
        fake_probabilities: (n,) in 0..1, at least one.
        rule: Name in `FUSE_RULES`.

    Returns:
        One fake probability, 0 to 1.

    Raises:
        UsageError: No score, a score outside 0..1, or an unknown rule.
    """
    scores = np.asarray(fake_probabilities, np.float64)
    if scores.ndim != 1 or len(scores) == 0 or not ((scores >= 0) & (scores <= 1)).all():
        raise UsageError("fusion needs at least one score, all of them in 0..1")
    if rule not in FUSE_RULES:
        raise UsageError(f"unknown fusion rule {rule!r}; use one of {', '.join(FUSE_RULES)}")
    return float(FUSE_RULES[rule](scores))


@register_rule("mean")
def mean(scores: NDArray[np.float64]) -> float:
    """Plain mean."""
    return float(scores.mean())


@register_rule("confident")
def confident(scores: NDArray[np.float64]) -> float:
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
def weighted(scores: NDArray[np.float64]) -> float:
    """Stretch the scores away from 0.5, then weigh each by how sure it is.

    Source: NTech-Lab/deepfake-detection-challenge (3rd place): p' = 0.5 + sign(p - 0.5) |p - 0.5|^0.65, clipped
    to 0.01..0.99, weights |p - 0.5| + 1e-4.
    """
    lean = scores - 0.5
    stretched = np.clip(0.5 + np.sign(lean) * np.abs(lean) ** 0.65, 0.01, 0.99)
    weights = np.abs(lean) + 1e-4
    return float((stretched * weights).sum() / weights.sum())
