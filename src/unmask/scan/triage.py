"""A cheap look at each video, and a full scan of those that are not clearly authentic then."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, replace

import numpy as np

from unmask.errors import UsageError
from unmask.scan.base import BaseScanner
from unmask.scan.decide import Judgement
from unmask.scan.scanner import Scanner
from unmask.scan.stop import Adaptive, Progress, Step, StopRule

LOOK_FRAMES = 8
"""Frames of a cheap look, at least: two more than those in which a person must be seen to be judged."""


@dataclass(frozen=True, slots=True)
class Triage:
    """Looks at every fourth frame of a full scan or so, and leaves it at that where they are clearly authentic.

    Everything else is looked at as another rule has it, and what was looked at before is not looked at again: a video
    that a cheap look does not settle gets the verdict of a full scan, and costs a second pass of decoding more.
    """

    rule: StopRule
    """What a full scan looks at."""
    most: float
    """Fake probability up to which a cheap look is enough, 0 to 1, of the video and of each person."""

    def next_step(self, progress: Progress) -> Step | None:
        """Return the cheap look, then the rest of a full scan; None when enough was seen."""
        first = Adaptive(LOOK_FRAMES).stages(progress.wanted)[0]
        if not progress.members:
            return Step(first, progress.all_members)
        if len(progress.looked) == len(first):
            if progress.is_whole and progress.judgement is not None and self._settles(progress.judgement):
                return None
            step = self.rule.next_step(replace(progress, looked=first[:0], members=0, judgement=None))
            if step is not None and len(rest := np.setdiff1d(step.frames, first)):
                return replace(step, frames=rest)
        return self.rule.next_step(progress)

    def _settles(self, judgement: Judgement) -> bool:
        highest = max((face.fake_probability for face in judgement.faces), default=judgement.fake_probability)
        return judgement.label == "real" and max(highest, judgement.fake_probability) <= self.most


def with_triage(scanner: BaseScanner, most: float) -> Scanner:
    """Return a scanner that takes a cheap look first, see `Triage`; it shares the networks of the given one.

    Args:
        scanner: Does the full scans.
        most: Fake probability up to which the cheap look is enough, 0 to 1.

    Raises:
        UsageError: ``most`` is no probability, or the scanner is of a kind that has no cheap look.
    """
    if not 0 <= most <= 1:
        raise UsageError(f"--triage {most} is no probability; use a number from 0 to 1, e.g. 0.1")
    if not isinstance(scanner, Scanner):
        raise UsageError("this preset has no cheap look; leave out --triage")
    if scanner.options.adaptive:
        raise UsageError("--adaptive looks at a few frames first, too, at videos of any kind; leave out --triage")
    first = copy(scanner)
    first.stop_rule, first.needs_every_second = Triage(scanner.stop_rule, most), False
    first.settings = scanner.settings | {"triage": most}
    return first
