"""From crops to scores: crops go to the models batch by batch, and only scores and thumbnails stay in memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any

from unmask.models import BATCH_CROPS, QueuedNetwork
from unmask.models.card import Calibration
from unmask.scan.crops import CutFace, SeenFrame
from unmask.scan.pictures import SmallFrame, small_frame
from unmask.scan.stillness import still_view
from unmask.scan.unjudged import SmallFace
from unmask.types import CropScore, Face, FaceQuality, Frame, ScoredFace

MAX_KEPT_FACES = 256
"""Faces whose crops may wait for members that were not asked yet, some 100 MB; with more, all members are asked."""

LARGE_SHARE = 0.5
"""Share of the least side that was judged so far, below which a face is much smaller."""

KEPT_SECONDS = 1.0
"""Frames that are kept in small for a report lie so far apart: to compress each would cost a twentieth of a scan."""


@dataclass(frozen=True, slots=True)
class _AskedFace:
    """A face that is judged, and what the members answer."""

    cut: CutFace
    scores: list[Future[CropScore]] = field(default_factory=list)
    """One for each member that was asked."""


class FaceScores:
    """The faces of one video, and the scores that members of the ensemble give them."""

    def __init__(
        self, networks: Sequence[QueuedNetwork[Any]], *, max_faces: int | None = None, pictures: bool = False
    ) -> None:
        """Start without faces; no member is asked yet.

        Args:
            networks: All members of the ensemble.
            max_faces: Faces that are judged, at most; those beyond are counted only. None for no limit.
            pictures: Keep each frame that shows a judged face in small, for a report.
        """
        self.members = 0
        """Members that are asked about every face."""
        self.small_faces = 0
        """Faces that were too small to be judged."""
        self.dropped_faces = 0
        """Faces that were not judged because ``max_faces`` had been."""
        self._networks, self._max_faces, self._pictures = networks, max_faces, pictures
        self._last_kept = (-math.inf, 0)
        self._frames: dict[int, tuple[SeenFrame, list[_AskedFace]]] = {}
        self._asked: list[_AskedFace] = []
        self._held: list[_AskedFace] = []
        self._least_side_px = math.inf

    @property
    def large_side_px(self) -> float:
        """Return the side from which on faces are as large as those that are judged so far, or not much smaller."""
        return LARGE_SHARE * self._least_side_px if self._asked else 0.0

    @property
    def decoded(self) -> int:
        """Number of frames that came."""
        return len(self._frames)

    def ask(self, members: int) -> None:
        """Have the first ``members`` members judge all faces so far, and those to come."""
        self._submit()
        while self.members < min(members, len(self._networks)):
            self._ask(self.members, self._asked)
            self.members += 1

    def add(self, frame: Frame, faces: Sequence[CutFace]) -> None:
        """Take the faces of a frame and pass them on in batches. Frames may come in any order, and count once.

        In a damaged video a frame stands in for the one before it, and may be wanted itself at another stage.
        """
        if frame.index in self._frames:
            return
        asked: list[_AskedFace] = []
        kept = [self._admit(cut, asked) for cut in faces]
        small = small_frame(frame.image_HW3) if asked and self._is_kept(frame, asked) else None
        seen = SeenFrame(frame.index, frame.time_seconds, tuple(kept), still_view(frame.image_HW3), small)
        self._frames[frame.index] = seen, asked
        self._asked += asked
        self._held += asked
        if len(self._held) >= BATCH_CROPS:
            self._submit()

    def frames(self) -> list[SeenFrame]:
        """Return all frames that came, in order of time."""
        return [self._frames[index][0] for index in sorted(self._frames)]

    def small_frames(self) -> dict[int, SmallFrame]:
        """Return index -> the frame in small, of those that are kept for a report."""
        return {index: seen.small for index, (seen, _) in self._frames.items() if seen.small is not None}

    def scored_faces(self, people: Sequence[Sequence[int]]) -> list[ScoredFace]:
        """Wait for the scores, and return the judged faces in order of time.

        Args:
            people: For each of `frames`, the number of the person of each face.
        """
        self._submit()
        scored, calibrations = [], [network.card.calibration for network in self._networks]
        last: dict[int, ScoredFace] = {}
        for index, numbers in zip(sorted(self._frames), people, strict=True):
            seen, asked = self._frames[index]
            judged = [number for number, cut in zip(numbers, seen.faces, strict=True) if cut.portrait_SS3 is not None]
            for person, answer in zip(judged, asked, strict=True):
                scored.append(_scored(person, seen, answer, calibrations, last.get(person)))
                last[person] = scored[-1]
        return scored

    def small(self, people: Sequence[Sequence[int]]) -> list[SmallFace]:
        """Return the faces that were too small to be judged, in order of time.

        Args:
            people: For each of `frames`, the number of the person of each face.
        """
        return [
            SmallFace(person, seen.time_seconds, cut.face.side_px)
            for seen, numbers in zip(self.frames(), people, strict=True)
            for person, cut in zip(numbers, seen.faces, strict=True)
            if cut.is_small
        ]

    def _is_kept(self, frame: Frame, asked: Sequence[_AskedFace]) -> bool:
        """Tell whether a frame is kept in small: one a second, and each that shows more people than the last one."""
        if not self._pictures:
            return False
        last_seconds, people = self._last_kept
        if abs(frame.time_seconds - last_seconds) < KEPT_SECONDS and len(asked) <= people:
            return False
        self._last_kept = frame.time_seconds, len(asked)
        return True

    def _admit(self, cut: CutFace, asked: list[_AskedFace]) -> CutFace:
        """Return the face as it is kept; one that is judged is appended to ``asked``."""
        if cut.is_small:
            self.small_faces += 1
            return cut
        if self._max_faces is not None and len(self._asked) + len(asked) >= self._max_faces:
            self.dropped_faces += 1
            return replace(cut, portrait_SS3=None, crops={}, quality=None, embedding_C=None, crop_jpeg=None)
        self._least_side_px = min(self._least_side_px, cut.face.side_px)
        asked.append(_AskedFace(cut))
        return cut

    def _submit(self) -> None:
        """Pass on the faces that wait for a full batch."""
        held, self._held = self._held, []
        for member in range(self.members):
            self._ask(member, held)
        while self.members < len(self._networks) and len(self._asked) > MAX_KEPT_FACES:
            self._ask(self.members, self._asked)
            self.members += 1

    def _ask(self, member: int, faces: Sequence[_AskedFace]) -> None:
        network = self._networks[member]
        scores = network.submit([face.cut.crops[network.card.crop] for face in faces])
        for face, score in zip(faces, scores, strict=True):
            face.scores.append(score)
            if member == len(self._networks) - 1:
                face.cut.crops.clear()


def _scored(
    person: int, frame: SeenFrame, asked: _AskedFace, calibrations: Sequence[Calibration], last: ScoredFace | None
) -> ScoredFace:
    """Return a judged face; its scores are calibrated for how well it can be seen."""
    portrait_SS3, quality, face = asked.cut.portrait_SS3, asked.cut.quality, asked.cut.face
    assert portrait_SS3 is not None, "only faces with a portrait are asked about"
    assert quality is not None, "faces with a portrait are measured"
    answers = zip((future.result() for future in asked.scores), calibrations, strict=False)
    scores = tuple(_at_quality(score, calibration, quality) for score, calibration in answers)
    if last is not None and frame.time_seconds > last.time_seconds:
        quality = replace(quality, motion=_sides_moved(last.face, face) / (frame.time_seconds - last.time_seconds))
    cut = asked.cut
    return ScoredFace(person, frame.index, frame.time_seconds, face, scores, portrait_SS3, quality, cut.crop_jpeg)


def _at_quality(score: CropScore, calibration: Calibration, quality: FaceQuality) -> CropScore:
    if not calibration.quality:
        return score
    return replace(score, logit=float(calibration.at_quality([score.logit], [quality])[0]))


def _sides_moved(before: Face, after: Face) -> float:
    """Return how far the centre of a box moved, in sides of the box."""
    (a1, b1, a2, b2), (c1, d1, c2, d2) = before.xyxy_px, after.xyxy_px
    return math.hypot((c1 + c2 - a1 - a2) / 2, (d1 + d2 - b1 - b2) / 2) / after.side_px
