"""A cheap look at each video, and a full scan of those that are not clearly authentic then."""

from __future__ import annotations

from copy import copy
from dataclasses import replace

from unmask.errors import UsageError
from unmask.media import Video
from unmask.scan.base import BaseScanner, WrappingScanner
from unmask.scan.sampler import KeyframeSampler
from unmask.scan.scanner import Scanner
from unmask.scan.stop import FullScan
from unmask.types import Verdict


class TriageScanner(WrappingScanner):
    """Looks at the key frames of each video first, which cost little to decode.

    Where all of them could be judged, and the fake probability of the video is at most a bound, that is the verdict;
    every other video is scanned in full. What is wrong only between key frames is missed.
    """

    def __init__(self, scanner: BaseScanner, most: float) -> None:
        """Put a cheap look in front of a scanner.

        Args:
            scanner: Does the full scans; its models serve the cheap look as well.
            most: Fake probability up to which the cheap look is enough, 0 to 1.

        Raises:
            UsageError: ``most`` is no probability, or the scanner is of another kind.
        """
        if not 0 <= most <= 1:
            raise UsageError(f"--triage {most} is no probability; use a number from 0 to 1, e.g. 0.1")
        if not isinstance(scanner, Scanner):
            raise UsageError("this preset has no cheap look; leave out --triage")
        self._full, self._most = scanner, most
        self._cheap = copy(scanner)
        self._cheap.sampler, self._cheap.stop_rule = KeyframeSampler(scanner.options.frames), FullScan()
        self._cheap.needs_every_second = False
        super().__init__(scanner)
        self.settings = scanner.settings | {"triage": most}

    def scan_video(self, video: Video, draft: Verdict) -> Verdict:
        """Judge an open video by its key frames, and in full where they do not settle it."""
        verdict = self._cheap.scan_video(video, draft)
        number = verdict.fake_probability
        if verdict.status == "ok" and verdict.label == "real" and number is not None and number <= self._most:
            told = f"Only {verdict.frames_decoded} key frames were looked at: they are clearly authentic."
            return replace(verdict, warnings=(*verdict.warnings, told))
        return self._full.scan_video(video, draft)
