"""How much of a file was there: the status of a damaged video, and what its verdict says of that."""

from __future__ import annotations

import math

from unmask.sentences import Sentence, coded
from unmask.types import MediaFacts, Status

MIN_PARTIAL_FRAMES = 8
MIN_PARTIAL_SHARE = 0.25


def min_partial_frames(asked: int) -> int:
    """Return how many of ``asked`` frames of a damaged video are worth a verdict."""
    return max(MIN_PARTIAL_FRAMES, math.ceil(MIN_PARTIAL_SHARE * asked))


def completeness(facts: MediaFacts, decoded: int, asked: int, min_decoded: int | None = None) -> Status:
    """Return the status that the number of decoded frames earns.

    Args:
        facts: What the video is.
        decoded: Frames that could be decoded.
        asked: Frames that should have been.
        min_decoded: Frames of a damaged video that are worth a verdict; None for `min_partial_frames`.
    """
    if decoded == asked and not facts.cut_short:
        return "ok"
    return "ok_partial" if decoded >= (min_decoded or min_partial_frames(asked)) else "unreadable"


def damage_reason(decoded: int, asked: int) -> Sentence:
    """Say why a damaged video is not judged."""
    text = f"The file is damaged: {decoded} of {asked} frames could be decoded."
    return coded("damaged", text, decoded=decoded, asked=asked)


def damage_warnings(facts: MediaFacts, status: Status) -> list[str]:
    """Say in a sentence what is missing of a video."""
    if facts.missing_pieces:
        return [f"{facts.missing_pieces} of the {facts.pieces} pieces of the recording could not be read."]
    if facts.cut_short and facts.is_picture:
        return ["The picture is cut short: the file ends before it does, and what is missing shows gray or smeared."]
    if facts.cut_short:
        return [f"The file is cut short: its header promises more than the {facts.frames} frames that are there."]
    return [] if status == "ok" else ["The file is damaged: some frames could not be decoded."]
