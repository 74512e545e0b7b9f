"""How numbers are put into words for people; JSON and CSV keep the numbers themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def probability_text(probability: float) -> str:
    """Return a probability with two digits that never claims certainty: ``0.87``, ``> 0.99``, ``< 0.01``."""
    if probability >= 0.995:
        return "> 0.99"
    return "< 0.01" if probability < 0.005 else f"{probability:.2f}"


def clock(time_seconds: float) -> str:
    """Return a time as people write it: ``3.5 s``, ``2:05``, ``1:02:05``."""
    if time_seconds < 60:
        return f"{time_seconds:.1f}".removesuffix(".0") + " s"
    minutes, seconds = divmod(round(time_seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def spans_text(person: Mapping[str, Any]) -> str:
    """Return from when to when a person (of ``faces`` of `Verdict.to_dict`) is seen: the first `MAX_SPANS` spans."""
    spans = person.get("spans") or [person]  # systems that know no shots, and rows of earlier versions, have none
    told = [_span_text(clock(span["start_seconds"]), clock(span["end_seconds"])) for span in spans[:MAX_SPANS]]
    if more := len(spans) - len(told):
        return f"{', '.join(told)} and {more} more span{'s' * (more != 1)}"
    return " and ".join([", ".join(told[:-1]), told[-1]] if len(told) > 1 else told)


def _span_text(start: str, end: str) -> str:
    return f"{start} to {end}" if start != end else f"at {start}"


def count_text(counts: Mapping[str, int]) -> str:
    """Return counts in words, the labels first, from ``fake`` to ``real``: ``4 fake, 2 inconclusive, 1 no_face``."""
    first = ("fake", "inconclusive", "real")
    others = sorted((name for name in counts if name not in first), key=lambda name: (-counts[name], name))
    return ", ".join(f"{counts[name]} {name}" for name in (*first, *others) if counts.get(name))


MAX_SPANS = 6
"""Spans of a person that a line of text names."""

_SAYS = {
    "generated": "synthetic", "perhaps_generated": "perhaps synthetic", "composite": "synthetic in part",
    "edited": "edited", "captured": "recorded", "unclear": "nothing clear", "unreadable": "something damaged",
}  # fmt: skip
_SCHEMES = {"c2pa": "C2PA", "digital_source_type": "digital source type", "aigc": "AIGC key", "program": "program"}

SIGNATURES = {
    "trusted": ", signed, trusted", "unknown_signer": ", signed, signer unknown", "mismatch": ", changed after signing",
    "invalid": ", signature not valid",
}  # fmt: skip
"""What is known of the signature of a label, to stand behind its scheme."""


def declared_text(declared: Sequence[Mapping[str, Any]]) -> str:
    """Return what a file declares of itself (``declared`` of `Verdict.to_dict`) in a few words, one for each label."""
    told = dict.fromkeys(
        f"{_SAYS[label['says']]} ({_SCHEMES[label['scheme']]}{SIGNATURES.get(label['signature'], '')})"
        for label in declared
    )
    return f"The file declares: {', '.join(told)}."
