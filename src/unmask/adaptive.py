"""When to stop looking: frames and members of an ensemble are added only while the verdict is open."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unmask.judge import Judgement
from unmask.models import Card


@dataclass(frozen=True, slots=True)
class Adaptive:
    """The rule by which a scan stops early.

    1. The frames of a full scan are looked at in nested stages, coarse to fine: every eighth of them, say, then those
       between to make it every fourth, every second, all. The first stage has at least ``first_frames``. Only the
       first member of the ensemble judges them.
    2. When all frames are in, the other members judge all faces, one member after another.
    3. After each stage and each member the verdict so far is drawn up. It is closed, and the scan stops, when it says
       ``fake`` or ``real``, every frame asked for could be decoded, and its probability lies beyond the threshold by
       at least a *gap*. The gap is a share of the room between the threshold and the end of the scale (0 for real, 1
       for fake): ``frame_gap`` times the share of frames not looked at, plus ``member_gap`` times the share of
       members not asked. It shrinks to nothing as a scan becomes a full one.
    4. While frames are missing, ``real`` also needs everybody to be at most at the threshold, those too who were seen
       too briefly to count (unless the faces of the video are pooled): more frames may make them count.

    Nothing in this depends on chance, time or the number of workers. What nobody stopped is a full scan.
    """

    first_frames: int = 8
    """Least number of frames of the first stage; fewer than the card's ``min_frames`` can close nothing."""
    frame_gap: float = 0.5
    """Share of the room that is kept free for frames not looked at, 0 to 1."""
    member_gap: float = 0.4
    """Share of the room that is kept free for members not asked, 0 to 1; both together stay below 1."""

    def __post_init__(self) -> None:
        if self.first_frames < 1 or min(self.frame_gap, self.member_gap) < 0 or self.frame_gap + self.member_gap >= 1:
            raise ValueError(
                f"first_frames {self.first_frames} must be at least 1, and the gaps {self.frame_gap} and "
                f"{self.member_gap} at least 0 and together below 1"
            )

    def stages(self, indices: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Split the frames of a full scan, (n,) rising, into stages; each holds only what earlier ones left out."""
        step = 1
        while -(-len(indices) // (2 * step)) >= self.first_frames:
            step *= 2
        stages = [indices[::step]]
        while step > 1:
            step //= 2
            stages.append(indices[step :: 2 * step])
        return stages

    def is_closed(self, judgement: Judgement, card: Card, frames_left: float, members_left: float) -> bool:
        """Whether nothing more needs to be looked at.

        Args:
            judgement: What has been seen amounts to.
            card: The first member's, whose thresholds hold.
            frames_left: Share of the frames not looked at, 0 to 1.
            members_left: Share of the members not asked, 0 to 1.
        """
        room = 1 - self.frame_gap * frames_left - self.member_gap * members_left
        thresholds, probability = card.thresholds, judgement.fake_probability
        if judgement.label == "fake":
            return probability >= 1 - (1 - thresholds.fake_above) * room
        if judgement.label == "inconclusive" or probability > thresholds.real_below * room:
            return False
        highest = max(face.fake_probability for face in judgement.faces)
        return card.fusion.pooled or not frames_left or highest <= thresholds.real_below
