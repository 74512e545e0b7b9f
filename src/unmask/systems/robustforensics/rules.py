"""How RobustForensics (fourth place of the challenge) makes one number of a video.

    frames of one face -> groups of five -> score of the face -> score of the video -> two groups of models -> one

All scores are fake probabilities, 0 real to 1 fake. Source: Siyu-C/RobustForensics,
inference/ensemble-align-face2-frame-all-rob-policy-flip.py.

Shape letters: F frames, G groups of frames, K faces.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from unmask.models.fusion import majority, probability
from unmask.systems.robustforensics.members import MEMBERS, Member

MAX_FRAMES = 160
"""Frames of a video that are looked at, at most."""
MAX_FACES = 2
"""Tubes that are judged, at most: the longest."""

_MAX_IMAGE_FRAMES = 35
_GROUP_FRAMES = 5
_VIDEO_SHARE = 0.4
_SHRINK_FACTOR, _SHRINK_SURE = 0.96, 0.98


def every_nth(count: int, max_count: int) -> range:
    """Return the places 0, n, 2n ... of ``count``, with the smallest n that leaves at most ``max_count`` of them."""
    return range(0, count, max(1, -(-count // max_count)))


def image_frames(frames: int) -> range:
    """Return the frames of a tube that image models see: at most 35, a multiple of five where there are five."""
    places = every_nth(frames, _MAX_IMAGE_FRAMES)
    return places[: len(places) // _GROUP_FRAMES * _GROUP_FRAMES] if len(places) >= _GROUP_FRAMES else places


def group_scores(logits_F: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average the logits of each five consecutive frames; return the groups' fake probabilities (G,).

    Fewer than five frames, of which the authors' code made nothing, are one group.

    Args:
        logits_F: (F,) difference of the fake and the real logit; F is below five or a multiple of it.
    """
    return probability(logits_F.reshape(-1, min(len(logits_F), _GROUP_FRAMES)).mean(1))


def shrink(score: float) -> float:
    """Draw a sure score (from 0.98, up to 0.02) towards 0.5."""
    sure = score >= _SHRINK_SURE or score <= 1 - _SHRINK_SURE
    return (score - 0.5) * _SHRINK_FACTOR + 0.5 if sure else score


def fuse_members(scores: Mapping[str, float], members: Sequence[Member] = MEMBERS) -> float:
    """Return the score of the ensemble: 0.4 of the video models' and 0.6 of the image models'.

    Within a group it is the weighted mean of those above 0.8, or below 0.2, where over 70 % are; else of all. Where
    one group is empty the other decides.

    Args:
        scores: Member's name -> score; those that failed are left out. At least one.
        members: Of the ensemble.
    """
    sides: dict[str, float] = {}
    for group in ("video", "image"):
        there = [member for member in members if member.group == group and member.name in scores]
        if there:
            values = np.array([scores[member.name] for member in there])
            sides[group] = majority(values, np.array([member.weight for member in there]))
    if len(sides) == 2:
        return _VIDEO_SHARE * sides["video"] + (1 - _VIDEO_SHARE) * sides["image"]
    return next(iter(sides.values()))
