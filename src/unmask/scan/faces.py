"""What was seen so far in one video: crops go to the networks batch by batch, only scores and thumbnails stay."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.faces import Tracker, crop_face
from unmask.faces.identity import merge_tracks
from unmask.faces.track import sketch
from unmask.models import BATCH_CROPS, Embedder, QueuedNetwork
from unmask.types import THUMBNAIL_PX, CropScore, CropSpec, Face, Frame, ImageHW3, ScoredFace

MOST_KEPT = 256
"""Faces whose crops may wait for members not asked yet, some 100 MB; beyond it all members are asked at once."""


@dataclass(slots=True)
class _Look:
    """One face in one frame."""

    face: Face
    portrait_SS3: ImageHW3 | None
    """Thumbnail; None of a face that is too small to be judged."""
    crops: dict[CropSpec, ImageHW3] = field(default_factory=dict)
    """For the networks that have not been asked yet, by crop rule."""
    scores: list[Future[CropScore]] = field(default_factory=list)
    """One for each network that was asked."""
    embedding_C: NDArray[np.float32] | None = None
    """Whose face it is; None without an embedder."""


class Seen:
    """The faces of one video, and what the first ``members`` networks say of them."""

    def __init__(
        self,
        networks: Sequence[QueuedNetwork[Any]],
        members: int,
        *,
        most_faces: int | None = None,
        embedder: Embedder | None = None,
    ) -> None:
        """Start with nothing.

        Args:
            networks: All members of the ensemble.
            members: How many of them are asked from the start.
            most_faces: Faces beyond this number are counted but not judged; None for no limit.
            embedder: Joins the tracks of one person; None leaves every track a person of its own.
        """
        self.members = members
        self.asked = self.decoded = self.small = self.dropped = 0
        self._networks, self._most_faces, self._embedder = networks, most_faces, embedder
        self._specs = list(dict.fromkeys(network.card.crop for network in networks))
        self._min_side_px = max(spec.min_side_px for spec in self._specs)
        self._frames: list[tuple[Frame, list[_Look]]] = []
        self._judged: list[_Look] = []
        self._held: list[_Look] = []

    def note(self, frame: Frame, faces: Sequence[Face]) -> None:
        """Cut the faces of a frame out, for each network. Frames may come in any order, and count once.

        In a damaged video a frame stands in for the one before it, and may be wanted itself at another stage.
        """
        if any(frame.index == known.index for known, _ in self._frames):
            return
        self.decoded += 1
        looks = [self._look(frame, face) for face in faces]
        self._frames.append((sketch(frame), looks))
        self._held += [look for look in looks if look.portrait_SS3 is not None]
        if len(self._held) >= BATCH_CROPS:
            self._submit()

    def ask_another(self) -> None:
        """Have the next network judge all faces so far, and those to come."""
        self._submit()
        if self.members < len(self._networks):
            self._ask(self.members, self._judged)
            self.members += 1

    def sightings(self) -> list[ScoredFace]:
        """Wait for the scores, and tell who is who. In order of time."""
        self._submit()
        tracker, sightings, embeddings = Tracker(), [], []
        for frame, looks in sorted(self._frames, key=lambda seen: seen[0].index):
            tracks = tracker.update(frame, [look.face for look in looks])
            for look, track in zip(looks, tracks, strict=True):
                if look.portrait_SS3 is None:
                    continue
                scores = tuple(score.result() for score in look.scores)
                sightings.append(
                    ScoredFace(track, frame.index, frame.time_seconds, look.face, scores, look.portrait_SS3)
                )
                if look.embedding_C is not None:
                    embeddings.append(look.embedding_C)
        if not embeddings:
            return sightings
        people = merge_tracks([s.person for s in sightings], [s.index for s in sightings], np.stack(embeddings))
        return [replace(sighting, person=person) for sighting, person in zip(sightings, people, strict=True)]

    def _look(self, frame: Frame, face: Face) -> _Look:
        if face.side_px < self._min_side_px:
            self.small += 1
            return _Look(face, None)
        if self._most_faces is not None and len(self._judged) >= self._most_faces:
            self.dropped += 1
            return _Look(face, None)
        crops = {spec: crop_face(frame.image_HW3, face, spec) for spec in self._specs}
        size = (THUMBNAIL_PX, THUMBNAIL_PX)
        look = _Look(face, cv2.resize(crops[self._specs[0]], size, interpolation=cv2.INTER_AREA), crops)
        if self._embedder is not None:
            look.embedding_C = self._embedder.embed([self._embedder.cut(frame.image_HW3, face)])[0]
        self._judged.append(look)
        return look

    def _submit(self) -> None:
        """Pass on the faces that wait for a full batch."""
        held, self._held = self._held, []
        for member in range(self.members):
            self._ask(member, held)
        while self.members < len(self._networks) and len(self._judged) > MOST_KEPT:
            self._ask(self.members, self._judged)
            self.members += 1

    def _ask(self, member: int, looks: Sequence[_Look]) -> None:
        network = self._networks[member]
        scores = network.submit([look.crops[network.card.crop] for look in looks])
        for look, score in zip(looks, scores, strict=True):
            look.scores.append(score)
            if member == len(self._networks) - 1:
                look.crops.clear()
