"""Judge one picture: the same flow as for a clip, with a wider band of "inconclusive".

The thresholds of a card are measured on clips, where a score is the mean over frames. One picture has one score, and
how often thresholds err on pictures was not measured. So both are moved outwards, and the verdict says so.
"""

from __future__ import annotations

import math
from dataclasses import asdict, replace

from unmask.models import Card, Thresholds
from unmask.scan.reasons import NEXT_STEP as CLIPS_NEXT_STEP
from unmask.sentences import coded
from unmask.types import Verdict

MARGIN_LOGITS = 1.0
"""How far each threshold is moved outwards. A choice, not a measurement."""
NEXT_STEP = coded(
    "next_step_picture",
    "What may help: the clip that the picture is from, a better copy, another model (--model), or a comparison with "
    "the original, where there is one.",
)
"""What to do about a picture whose answer is open."""


def picture_card(card: Card) -> Card:
    """Return the card as it holds for one picture: one frame is enough to be judged, and the band is wider."""
    thresholds = card.thresholds
    wider = Thresholds(_moved(thresholds.real_below, -MARGIN_LOGITS), _moved(thresholds.fake_above, MARGIN_LOGITS))
    return replace(card, thresholds=wider, fusion=replace(card.fusion, min_frames=1))


def as_picture(verdict: Verdict, card: Card) -> Verdict:
    """Return the verdict on one picture, which says that it is one and by which thresholds it was judged.

    Args:
        verdict: Made by `picture_card`.
        card: The first model's, as it holds for clips.
    """
    if verdict.label is None:
        return verdict
    clips, used = card.thresholds, picture_card(card)
    limits = (
        "One picture tells less than a clip: nothing can be compared over time. Thresholds were not measured on "
        f"pictures; those of clips, {clips.real_below:.2f} and {clips.fake_above:.2f}, were moved out to "
        f"{used.thresholds.real_below:.2f} and {used.thresholds.fake_above:.2f}."
    )
    return replace(
        verdict,
        reasons=tuple(NEXT_STEP if text == CLIPS_NEXT_STEP else text for text in verdict.reasons),
        warnings=(limits, *verdict.warnings),
        settings=verdict.settings | {"thresholds": asdict(used.thresholds), "fusion": asdict(used.fusion)},
    )


def _moved(probability: float, logits: float) -> float:
    """Return a probability moved by so many logits; 0 and 1 stay."""
    if not 0 < probability < 1:
        return probability
    return round(1 / (1 + math.exp(-math.log(probability / (1 - probability)) - logits)), 3)
