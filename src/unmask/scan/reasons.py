"""The sentences of a verdict: why it is what it is, and what to do next."""

from __future__ import annotations

import math
from collections.abc import Sequence

from unmask.models import Card
from unmask.report.words import probability_text
from unmask.types import Label, PersonVerdict, UnjudgedPerson

NEXT_STEP = (
    "What may help: a better copy of the clip, more frames (--frames 96), another model (--model), or a comparison "
    "with the original, where there is one."
)
"""What to do about an answer that lies between the thresholds."""
MAX_NAMED = 3
"""People who are named one by one in the reasons."""


def reasons(
    label: Label, probability: float, judged: Sequence[PersonVerdict], unjudged: Sequence[UnjudgedPerson], card: Card
) -> tuple[str, ...]:
    """Say why people who were judged one by one give this label, most important first.

    Args:
        label: Of the clip.
        probability: Fake probability of the clip, 0 to 1.
        judged: Who was judged, most suspicious first.
        unjudged: Who was not.
        card: The first model's.
    """
    low, high = card.thresholds.real_below, card.thresholds.fake_above
    accused = tuple(accusation(person, high) for person in judged if person.label == "fake")
    if card.fusion.people != "max":
        who = "The one person scores" if len(judged) == 1 else f"All {len(judged)} people together score"
        return (f"{who} {probability_text(probability)} ({_thresholds(card)}).", *accused)
    if label == "fake":
        return accused
    if label == "real":
        who = "The one person" if len(judged) == 1 else f"All {len(judged)} people"
        most = probability_text(max(person.fake_probability for person in judged))
        return (f"{who} scored at most {most} (threshold {low:.2f}): no trace of manipulation was found.",)
    between = [_between(person, len(judged), card) for person in judged if person.fake_probability > low]
    missing = why_not_real(unjudged, card)
    found = (*between[:MAX_NAMED], *missing)
    return (*found, NEXT_STEP) if between else found


def pool_reasons(probability: float, count: int, card: Card) -> tuple[str, ...]:
    """Say why all faces were judged together: by choice of the card, or because everyone is seen too briefly.

    Args:
        probability: Fake probability of the clip, 0 to 1.
        count: Faces that were judged together.
        card: The first model's.
    """
    who = "The one face scores" if count == 1 else f"All {count} faces together score"
    together = f"{who} {probability_text(probability)} ({_thresholds(card)})."
    if card.fusion.pooled:
        return (together,)
    fleeting = f"Nobody was seen in {card.fusion.min_frames} frames or more."
    if count < 2 * card.fusion.min_frames:
        return (f"{fleeting} That is too few to judge: look at more frames (--frames 96).",)
    return (f"{fleeting} {together}",)


def accusation(person: PersonVerdict, threshold: float) -> str:
    """Say who looks manipulated, and from when to when the traces are."""
    passage = person.passage
    frames = "1 frame" if person.frames == 1 else f"{person.frames} frames"
    if passage is None:
        when = _when(person.start_seconds, person.end_seconds)
        score = f"fake probability {probability_text(person.fake_probability)} over {frames}"
    else:
        when = _when(passage.start_seconds, passage.end_seconds)
        score = (
            f"fake probability {probability_text(passage.fake_probability)} over {passage.frames} of {person.frames} "
            f"frames, {probability_text(person.fake_probability)} after allowing for the search"
        )
    where = f" The strongest traces are at the {person.region}." if person.region else ""
    return f"Person {person.person} looks manipulated {when}: {score} (threshold {threshold:.2f}).{where}"


def why_not_real(unjudged: Sequence[UnjudgedPerson], card: Card) -> tuple[str, ...]:
    """Say on whose account a clip is not called real, with time and cure."""
    matter = [person for person in unjudged if person.matters]
    named = tuple(_gap(person, card) for person in matter[:MAX_NAMED])
    more = len(matter) - len(named)
    return (*named, f"{more} more people could not be judged either.") if more else named


def why_unseen(gap_seconds: float, end_seconds: float) -> str:
    """Say that a short manipulation may lie between two frames, and how to look at every second."""
    frames = math.ceil(end_seconds) + 1
    return (
        f"Frames are up to {gap_seconds:.1f} s apart: what is shorter may lie between them (--frames {frames} looks at "
        "every second)."
    )


def _gap(person: UnjudgedPerson, card: Card) -> str:
    who, when = f"Person {person.person}", _when(person.start_seconds, person.end_seconds)
    frames = "1 frame" if person.frames == 1 else f"{person.frames} frames"
    if person.why == "brief":
        needed = f"{frames}, too few to judge ({card.fusion.min_frames} are needed)"
        return f"{who} was seen {when} in {needed}: look at more frames (--frames 96)."
    if person.why == "small":
        size = f"{person.side_px:.0f} pixels, {card.crop.min_side_px} are needed"
        return f"{who} is too small to judge {when} ({size}): find a copy of higher resolution."
    if person.why == "blurred":
        return f"{who} is too blurred to judge {when}: find a sharper copy, larger or compressed less."
    return (
        f"{who} does not move {when}, as in a film of one photograph: nothing shows that a person was filmed. Find "
        "other footage, or judge where the photograph comes from."
    )


def _between(person: PersonVerdict, people: int, card: Card) -> str:
    low, high = card.thresholds.real_below, card.thresholds.fake_above
    whose = f"The fake probability {probability_text(person.fake_probability)} of person {person.person}"
    when = f", {_when(person.passage.start_seconds, person.passage.end_seconds)}," if person.passage else ""
    if person.fake_probability >= high:
        return f"{whose}{when} is above {high:.2f}, but one of {people} people may reach that by chance."
    return f"{whose}{when} lies between {low:.2f} and {high:.2f}, where this model cannot tell."


def _thresholds(card: Card) -> str:
    return f"thresholds {card.thresholds.real_below:.2f} and {card.thresholds.fake_above:.2f}"


def _when(start_seconds: float, end_seconds: float) -> str:
    if f"{start_seconds:.1f}" == f"{end_seconds:.1f}":
        return f"at {start_seconds:.1f} s"
    return f"from {start_seconds:.1f} s to {end_seconds:.1f} s"
