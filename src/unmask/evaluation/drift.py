"""Check whether the thresholds of a model's card hold for clips of another kind, and offer thresholds that would."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from unmask.evaluation.conformal import ERROR, ConformalThreshold, ConformalThresholds, conformal_thresholds
from unmask.evaluation.labels import LabelledPrediction
from unmask.evaluation.quality_fit import wilson
from unmask.models import Card, Thresholds

Answer = Literal["holds", "does not hold", "cannot be told"]
_Z = 1.96


@dataclass(frozen=True, slots=True)
class RateCheck:
    """How often the clips of one label are called wrongly."""

    label: Literal["real", "fake"]
    """Which clips."""
    clips: int
    """How many were judged."""
    sources: int
    """Their source videos: the units of the interval."""
    wrong: int
    """Clips called by the other word."""
    rate: float
    """Mean over the sources of the share of clips that are called wrongly, 0 to 1; 0 without clips."""
    low: float
    """Lower end of the 95 % interval (Wilson, over sources)."""
    high: float
    """Upper end."""
    allowed: float
    """The error that was asked about."""
    stated: float | None
    """What the card states of held-out clips of its own; None where it does not."""
    answer: Answer
    """``holds`` where the whole interval is allowed, ``does not hold`` where none of it is."""
    needed: int
    """Sources that could show that it holds, if none were called wrongly."""


@dataclass(frozen=True, slots=True)
class DriftCheck:
    """Whether the shipped thresholds hold for these clips."""

    model: str
    """Name and version of the model."""
    thresholds: Thresholds
    """Those of its card."""
    checks: tuple[RateCheck, RateCheck]
    """Authentic clips called fake, and fakes called real."""
    decided: float
    """Share of the judged clips that the thresholds call real or fake, 0 to 1."""
    stated_decided: float | None
    """What the card states of that; None where it does not."""
    offered: ConformalThresholds
    """Thresholds fitted to these clips."""

    @property
    def answer(self) -> Answer:
        """The worse of both answers."""
        said = [check.answer for check in self.checks]
        order: tuple[Answer, ...] = ("does not hold", "cannot be told", "holds")
        return next(answer for answer in order if answer in said)


def check_drift(pairs: Sequence[LabelledPrediction], card: Card, error: float = ERROR) -> DriftCheck:
    """Compare what a model calls labelled clips with what is allowed, and fit thresholds to them.

    Args:
        pairs: Predictions of the card's model with words and labels; those without a probability are left out.
        card: The model's card.
        error: Share of the clips of each label that may be called wrongly, above 0 and at most 0.5.

    Raises:
        UsageError: The error is out of its bounds.
    """
    judged = [pair for pair in pairs if pair.prediction.fake_probability is not None]
    stated = _stated(card)
    words = [pair.prediction.label for pair in judged]
    decided = sum(word in ("real", "fake") for word in words) / len(words) if words else 0.0
    return DriftCheck(
        model=f"{card.name} {card.version}",
        thresholds=card.thresholds,
        checks=(
            _check(judged, "real", "fake", error, stated.get("authentic_called_fake")),
            _check(judged, "fake", "real", error, stated.get("fake_called_real")),
        ),
        decided=round(decided, 4),
        stated_decided=stated.get("decided"),
        offered=conformal_thresholds(judged, error),
    )


def in_words(check: DriftCheck) -> list[str]:
    """Return the check as sentences."""
    limits = f"real up to {check.thresholds.real_below:g}, fake from {check.thresholds.fake_above:g}"
    lines = [f"thresholds of {check.model} ({limits}): {_ANSWERS[check.answer]}"]
    for rate, what in zip(check.checks, ("authentic clips called fake", "fakes called real"), strict=True):
        stated = "" if rate.stated is None else f", {rate.stated:.1%} by the card"
        more = f"; {rate.needed} sources without an error would show it" if rate.answer == "cannot be told" else ""
        lines.append(
            f"{what}: {rate.wrong} of {rate.clips}, {rate.low:.1%} to {rate.high:.1%} of such sources, allowed "
            f"{rate.allowed:.1%}{stated}: {rate.answer}{more}"
        )
    by_card = "" if check.stated_decided is None else f", {check.stated_decided:.0%} by the card"
    lines.append(f"called real or fake at all: {check.decided:.0%} of the clips{by_card}")
    offered = check.offered
    lines.append(_offer("fake from", "authentic", offered.fake_above, offered.error))
    lines.append(_offer("real up to", "fake", offered.real_below, offered.error))
    return lines


def _offer(what: str, kind: str, one: ConformalThreshold, error: float) -> str:
    if one.threshold is not None and one.expected_error is not None:
        low, high = one.expected_error
        return (
            f"offered for {error:.1%} errors: {what} {one.threshold:g} (by {one.sources} {kind} sources; {low:.1%} to "
            f"{high:.1%} of new ones will be called wrongly)"
        )
    if one.sources < one.needed:
        return (
            f"no '{what}' can be offered for {error:.1%} errors: that takes {one.needed} {kind} sources, here are "
            f"{one.sources}"
        )
    return f"no '{what}' can be offered for {error:.1%} errors: too many {kind} sources score as surely as can be"


_ANSWERS: dict[Answer, str] = {
    "holds": "they hold for these clips",
    "does not hold": "they do not hold for these clips",
    "cannot be told": "too few clips to tell whether they hold",
}


def _check(
    pairs: Sequence[LabelledPrediction], label: Literal["real", "fake"], word: str, allowed: float, stated: float | None
) -> RateCheck:
    by_source: dict[str, list[bool]] = {}
    for prediction, truth in pairs:
        if truth.label == label:
            by_source.setdefault(truth.source, []).append(prediction.label == word)
    clips, wrong = sum(map(len, by_source.values())), sum(map(sum, by_source.values()))
    shares = [sum(own) / len(own) for own in by_source.values()]
    low, high = wilson(sum(shares), len(shares))
    answer: Answer = "cannot be told"
    if shares and high <= allowed:
        answer = "holds"
    elif low > allowed:
        answer = "does not hold"
    rate = sum(shares) / len(shares) if shares else 0.0
    needed = math.ceil(_Z**2 * (1 - allowed) / allowed)
    return RateCheck(label, clips, len(shares), wrong, round(rate, 4), low, high, allowed, stated, answer, needed)


def _stated(card: Card) -> dict[str, float]:
    """Return the rates of held-out clips that a card states, by the fit that made its thresholds."""
    for name in ("quality", "calibration"):
        found: Any = card.evaluation.get(name, {}).get("held_out", {})
        if found:
            return {key: float(value) for key, value in found.items() if isinstance(value, (int, float))}
    return {}
