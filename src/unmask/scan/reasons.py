"""The sentences of a verdict: why it is what it is, and what to do next."""

from __future__ import annotations

import math
from collections.abc import Sequence

from unmask.models import Card
from unmask.report.words import probability_text
from unmask.sentences import Sentence, coded
from unmask.types import Label, PersonVerdict, UnjudgedPerson

NEXT_STEP = coded(
    "next_step",
    "What may help: a better copy of the clip, more frames (--frames 96), another model (--model), or a comparison "
    "with the original, where there is one.",
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
        score = f"{who} {probability_text(probability)} ({_thresholds(card)})."
        count = len(judged)
        together = coded(
            "people_together", score, people=count, probability=probability, real_below=low, fake_above=high
        )
        return (together, *accused)
    if label == "fake":
        return accused
    if label == "real":
        who = "The one person" if len(judged) == 1 else f"All {len(judged)} people"
        most = max(person.fake_probability for person in judged)
        text = (
            f"{who} scored at most {probability_text(most)} (threshold {low:.2f}): no trace of manipulation was found."
        )
        return (coded("no_trace", text, people=len(judged), highest=most, real_below=low),)
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
    low, high = card.thresholds.real_below, card.thresholds.fake_above
    if card.fusion.pooled:
        return (
            coded("faces_together", together, faces=count, probability=probability, real_below=low, fake_above=high),
        )
    fleeting = f"Nobody was seen in {card.fusion.min_frames} frames or more."
    if count < 2 * card.fusion.min_frames:
        text = f"{fleeting} That is too few to judge: look at more frames (--frames 96)."
        return (coded("too_few_frames", text, min_frames=card.fusion.min_frames),)
    return (
        coded(
            "fleeting_together", f"{fleeting} {together}", min_frames=card.fusion.min_frames, faces=count,
            probability=probability, real_below=low, fake_above=high,
        ),
    )  # fmt: skip


def accusation(person: PersonVerdict, threshold: float) -> Sentence:
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
    text = f"Person {person.person} looks manipulated {when}: {score} (threshold {threshold:.2f}).{where}"
    if passage is None:
        return coded(
            "person_fake", text, person=person.person, start_seconds=person.start_seconds,
            end_seconds=person.end_seconds, probability=person.fake_probability, frames=person.frames,
            fake_above=threshold, region=person.region,
        )  # fmt: skip
    return coded(
        "passage_fake", text, person=person.person, start_seconds=passage.start_seconds,
        end_seconds=passage.end_seconds, passage_probability=passage.fake_probability, passage_frames=passage.frames,
        frames=person.frames, probability=person.fake_probability, fake_above=threshold, region=person.region,
    )  # fmt: skip


def why_not_real(unjudged: Sequence[UnjudgedPerson], card: Card) -> tuple[str, ...]:
    """Say on whose account a clip is not called real, with time and cure."""
    matter = [person for person in unjudged if person.matters]
    named = tuple(_gap(person, card) for person in matter[:MAX_NAMED])
    more = len(matter) - len(named)
    return (
        (*named, coded("more_unjudged", f"{more} more people could not be judged either.", more=more))
        if more
        else named
    )


def why_unseen(gap_seconds: float, end_seconds: float, *, is_clean: bool) -> Sentence:
    """Say that a short manipulation may lie between two frames, and how to look at every second.

    Args:
        gap_seconds: Longest time between frames that were looked at.
        end_seconds: Length of the video.
        is_clean: Whether the video would be called real but for that.
    """
    frames = math.ceil(end_seconds) + 1
    apart = f"Frames are up to {gap_seconds:.1f} s apart: what is shorter may lie between them"
    cure = f"(--frames {frames} looks at every second)."
    if is_clean:
        text = f"{apart}, so the video is not called real {cure}"
        return coded("frames_apart_not_real", text, gap_seconds=gap_seconds, needed=frames)
    return coded("frames_apart", f"{apart} {cure}", gap_seconds=gap_seconds, needed=frames)


def _gap(person: UnjudgedPerson, card: Card) -> Sentence:
    number, start, end = person.person, person.start_seconds, person.end_seconds
    who, when = f"Person {number}", _when(start, end)
    frames = "1 frame" if person.frames == 1 else f"{person.frames} frames"
    if person.why == "brief":
        needed = f"{frames}, too few to judge ({card.fusion.min_frames} are needed)"
        text = f"{who} was seen {when} in {needed}: look at more frames (--frames 96)."
        return coded(
            "seen_briefly", text, person=number, start_seconds=start, end_seconds=end, frames=person.frames,
            min_frames=card.fusion.min_frames,
        )  # fmt: skip
    if person.why == "small":
        size = f"{person.side_px:.0f} pixels, {card.crop.min_side_px} are needed"
        text = f"{who} is too small to judge {when} ({size}): find a copy of higher resolution."
        return coded(
            "too_small", text, person=number, start_seconds=start, end_seconds=end, side_px=round(person.side_px),
            min_side_px=card.crop.min_side_px,
        )  # fmt: skip
    if person.why == "blurred":
        text = f"{who} is too blurred to judge {when}: find a sharper copy, larger or compressed less."
        return coded("too_blurred", text, person=number, start_seconds=start, end_seconds=end)
    text = (
        f"{who} does not move {when}, as in a film of one photograph: nothing shows that a person was filmed. Find "
        "other footage, or judge where the photograph comes from."
    )
    return coded("never_moves", text, person=number, start_seconds=start, end_seconds=end)


def _between(person: PersonVerdict, people: int, card: Card) -> Sentence:
    low, high = card.thresholds.real_below, card.thresholds.fake_above
    start, end = (person.passage.start_seconds, person.passage.end_seconds) if person.passage else (None, None)
    whose = f"The fake probability {probability_text(person.fake_probability)} of person {person.person}"
    when = f", {_when(person.passage.start_seconds, person.passage.end_seconds)}," if person.passage else ""
    if person.fake_probability >= high:
        text = f"{whose}{when} is above {high:.2f}, but one of {people} people may reach that by chance."
        return coded(
            "perhaps_chance", text,
            person=person.person, start_seconds=start, end_seconds=end, probability=person.fake_probability,
            fake_above=high, people=people,
        )  # fmt: skip
    return coded(
        "between", f"{whose}{when} lies between {low:.2f} and {high:.2f}, where this model cannot tell.",
        person=person.person, start_seconds=start, end_seconds=end, probability=person.fake_probability,
        real_below=low, fake_above=high,
    )  # fmt: skip


def _thresholds(card: Card) -> str:
    return f"thresholds {card.thresholds.real_below:.2f} and {card.thresholds.fake_above:.2f}"


def _when(start_seconds: float, end_seconds: float) -> str:
    if f"{start_seconds:.1f}" == f"{end_seconds:.1f}":
        return f"at {start_seconds:.1f} s"
    return f"from {start_seconds:.1f} s to {end_seconds:.1f} s"
