"""From differences and scores to an answer in words.

``benchmarks/bench_compare.py`` counts how often the answers are right, on one part of the clips; what is changed here
is chosen on the other part (``--part chosen``). See docs/how-to/compare.md for what was looked at before.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.compared import FaceComparison, Outcome, Side
from unmask.comparison.alignment import Alignment
from unmask.comparison.differences import VIEW_PX, core_of_view
from unmask.report.words import probability_text

MIN_PAIRS = 6
"""Pairs of frames that must show a person."""
BLOCK_PX = 4
"""Side of the blocks of a view that are averaged, before the most different ones of the face count."""
MOST_DIFFERENT = 90.0
"""Percentile of the blocks of the face that counts: a mouth alone is a tenth of it."""
BASE, SLOPE = 0.03, 2.0
"""An encoding that makes the frame beside the faces differ by d makes the blocks of a face that differ most do so by at
most ``BASE + SLOPE * d``."""
COVERED = 0.5
"""1 - SSIM from which on a block shows a caption or a mark, where the like of it lies beyond the face, too."""
SCORE_NOISE = 1.4
"""Difference of calibrated logits below which 95 % of authentic copies of one clip differ."""
NOT_THE_SAME = (
    "Not the same footage: no offset, speed, cut, size or mirroring lays the suspect on this original so that both "
    "move alike."
)


def excess_of(mean_map_SS: NDArray[np.float64], background: float) -> float:
    """Return how much more a face differs than an encoding explains that makes the frame beside it differ as it does.

    Args:
        mean_map_SS: 1 - SSIM over the view of a face, averaged over the pairs of frames: what an encoding does changes
            from frame to frame, what a manipulation does stays.
        background: 1 - SSIM beside the faces.
    """
    side = VIEW_PX // BLOCK_PX
    blocks = cv2.resize(mean_map_SS, (side, side), interpolation=cv2.INTER_AREA)
    inside = cv2.resize(core_of_view().astype(np.float32), (side, side), interpolation=cv2.INTER_AREA) > 0.6
    uncovered = inside & ~_covered(blocks)
    chosen = uncovered if uncovered.sum() >= inside.sum() / 4 else inside
    return float(np.percentile(blocks[chosen], MOST_DIFFERENT)) - BASE - SLOPE * background


def _covered(blocks_hw: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which blocks a caption or a mark covers: what differs wholly, from beyond the face into it."""
    _, labels = cv2.connectedComponents((blocks_hw > COVERED).astype(np.uint8), connectivity=4)
    border = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    covered = np.isin(labels, border[border > 0]).astype(np.uint8)
    return cv2.dilate(covered, np.ones((3, 3), np.uint8)) > 0  # and the blocks that its edge runs through


def higher_side(score_difference: float) -> Side | None:
    """Return which of both scores higher; None where authentic copies of one clip differ as much."""
    if abs(score_difference) <= SCORE_NOISE:
        return None
    return "suspect" if score_difference > 0 else "original"


def answer_of(people: Sequence[FaceComparison], pairs: int) -> tuple[Outcome, tuple[str, ...]]:
    """Return the outcome and the reasons for it.

    Args:
        people: One for each person, the most different first.
        pairs: Pairs of frames that were compared.
    """
    compared = [person for person in people if person.changed is not None]
    if not compared:
        why = "no face is large enough, and whole, in both" if not people else f"none is in {MIN_PAIRS} pairs of frames"
        return "inconclusive", (f"The same footage, but no face can be compared: {why}.",)
    changed = [person for person in compared if person.changed]
    if not changed:
        return "unchanged", (
            f"The same footage, and no face differs by more than encodings make it differ, in {pairs} pairs of frames.",
            _score_words(compared[0]) + ".",
        )
    return "changed", tuple(
        sentence for person in changed for sentence in (_change_reason(person), _score_reason(person))
    )


def _change_reason(person: FaceComparison) -> str:
    return (
        f"The face of person {person.person} is not the same in both: it differs by {person.difference:.2f} "
        f"(1 - SSIM), the frame beside the faces by {person.background_difference:.2f}, in {person.frames} pairs of "
        "frames."
    )


def _score_words(person: FaceComparison) -> str:
    one, other = probability_text(person.suspect_probability), probability_text(person.original_probability)
    apart = f"{abs(person.score_difference):.1f} logits {'more' if person.score_difference > 0 else 'less'}"
    return f"The model scores person {person.person} {one} in the suspect and {other} in the original, {apart}"


def _score_reason(person: FaceComparison) -> str:
    words = _score_words(person)
    if person.higher is None:
        return f"{words}: authentic copies of one clip differ as much; the scores do not tell which is changed."
    if person.higher == "suspect":
        return f"{words}, which is more than authentic copies of one clip differ: the suspect is the changed one."
    return f"{words}: it is the original that looks changed. Make sure which of both is which."


def alignment_reasons(alignment: Alignment) -> tuple[str, ...]:
    """Say how the suspect lies in the original."""
    line, place = alignment.line, alignment.placement
    start, end = alignment.span_seconds
    told = [
        (
            f"from {start:.1f} to {end:.1f} s it shows what the original shows from "
            f"{line.offset_seconds + line.rate * start:.1f} s on"
        )
    ]
    if abs(line.rate - 1) > 0.002:
        told.append(f"at {line.rate:.3f} times its speed")
    if alignment.mirrored:
        told.append("mirrored")
    if abs(place.scale_x - 1) > 0.005 or abs(place.scale_y - 1) > 0.005:
        told.append(f"at {1 / place.scale_x:.2f} of its width and {1 / place.scale_y:.2f} of its height in pixels")
    return (f"How the suspect lies in the original: {', '.join(told)}.",)
