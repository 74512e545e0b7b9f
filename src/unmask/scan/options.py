"""How a scan is made: everything that can be chosen beside the models, with its default."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TypedDict, Unpack

from unmask.errors import UsageError
from unmask.media import SAMPLINGS, Limits
from unmask.models import Fusion
from unmask.scan.sampler import KEYFRAMES
from unmask.scan.stop import Adaptive

MAX_TIMES = 8
"""Times as many frames as asked for that closer looks make of them, at most."""


class ScanKeywords(TypedDict, total=False):
    """The fields of `ScanOptions` as keyword arguments, for type checkers and editors."""

    frames: int
    max_frames: int | None
    sampling: str
    precision: str
    device: str
    workers: int | None
    fuse: str | Fusion | None
    adaptive: bool | Adaptive
    identity: str | os.PathLike[str] | None
    pictures: bool
    trust: str | os.PathLike[str] | None
    limits: Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanOptions:
    """How a scan is made.

    Raises:
        UsageError: A value makes no sense.
    """

    frames: int = 32
    """Frames to look at in each video, at least 1; more where these show too little, see ``max_frames``."""
    max_frames: int | None = None
    """Frames to look at in one video, at most, where shots, long gaps, people seen briefly, or short passages that
    score high call for closer looks, see `unmask.scan.closer.CloserLooks`; None for `MAX_TIMES` as many as ``frames``.
    There are no closer looks with ``frames`` or less, and none with another ``sampling`` than ``time``."""
    sampling: str = "time"
    """Which frames, a name in `unmask.media.SAMPLINGS`: ``time`` spreads them evenly over the time stamps,
    ``reference`` over the frame numbers, rounded down. Or ``keyframes``: key frames alone, which cost little to decode;
    what is wrong only between them is missed."""
    precision: str = "auto"
    """Numbers that models compute in: ``fp32``, ``bf16``, or ``auto``: bf16 where the card allows it and the CPU
    computes in it. Also ``int8`` on a CPU and ``fp16`` on a GPU; or ``fastest``: what is measured to be the fastest on
    this machine, int8 where the model has it, bf16 where the card allows it, or fp32."""
    device: str = "auto"
    """``cpu``, ``cuda``, ``cuda:N``, or ``auto``: the GPU where there is one, see `unmask.models.load_network`."""
    workers: int | None = None
    """Videos that ``scan_many`` has under way at a time, at least 1; None for one per core."""
    fuse: str | Fusion | None = None
    """How scores become one number: a name in `unmask.models.FUSIONS`, or rules; None for those of the first model's
    card."""
    adaptive: bool | Adaptive = False
    """Whether the scan stops as soon as the verdict is clear, and by which bounds; see `Adaptive`."""
    identity: str | os.PathLike[str] | None = None
    """``bundled``, or folder of a face embedder, which joins the tracks of one person across shots; see
    `unmask.models.embedder`. None joins only what the same camera shows in the same way."""
    pictures: bool = True
    """Whether verdicts hold what a report and a notebook show of each person: crops, maps and a frame."""
    trust: str | os.PathLike[str] | None = None
    """PEM file of the certificates whose owners are trusted to sign C2PA manifests; None for nobody."""
    limits: Limits = Limits()  # noqa: RUF009 - frozen
    """What one file may cost."""

    def __post_init__(self) -> None:
        if self.frames < 1:
            raise UsageError(f"a scan cannot look at {self.frames} frames; it needs at least one")
        if self.max_frames is not None and self.max_frames < 0:
            raise UsageError(f"max_frames is {self.max_frames}; it must be 0 or more")
        if self.workers is not None and self.workers < 1:
            raise UsageError(f"a scan cannot have {self.workers} workers; it needs at least one")
        if self.sampling not in (known := (*SAMPLINGS, KEYFRAMES)):
            raise UsageError(f"unknown sampling {self.sampling!r}; use one of {', '.join(known)}")

    @property
    def most_frames(self) -> int:
        """Frames to look at in one video, at most."""
        return MAX_TIMES * self.frames if self.max_frames is None else self.max_frames

    def changed(self, **changes: Unpack[ScanKeywords]) -> ScanOptions:
        """Return a copy with other values.

        Raises:
            UsageError: There is no such option, or a value makes no sense.
        """
        unknown = sorted(changes.keys() - self.__dataclass_fields__.keys())
        if unknown:
            known = ", ".join(self.__dataclass_fields__)
            raise UsageError(f"unknown options of a scan: {', '.join(unknown)}; use some of {known}")
        return replace(self, **changes)
