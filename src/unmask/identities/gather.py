"""From a clip or a picture to the people in it, each with one vector that is near for the same person elsewhere."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unmask.errors import DownloadError, InputError
from unmask.faces import crop_face, load_detector
from unmask.faces.identity import unit_vectors
from unmask.media import Limits, Shots, SignatureLog, Video, hashed, open_video_file, pick_frames, read_frames
from unmask.models import Embedder
from unmask.scan.crops import CutFace, SeenFrame
from unmask.scan.decide import thumbnail_jpeg
from unmask.scan.inputs import Input, open_input
from unmask.scan.people import number_people
from unmask.scan.spans import spans_of
from unmask.scan.stillness import still_view
from unmask.scan.timeline import timeline_of
from unmask.types import THUMBNAIL_PX, CropSpec, DetectorSpec, Face, Frame, ImageHW3, Span

MIN_SIDE_PX = 40
"""Smaller faces are passed over: they look like many people."""
MAX_FACES = 64
"""Faces of one frame that are looked at, the largest first."""
_PORTRAIT = CropSpec(THUMBNAIL_PX, margin=0.25, outline="square")


@dataclass(frozen=True, slots=True)
class SeenPerson:
    """One person in one file."""

    person: int
    """Number of the person within the file, from 1 in order of appearance."""
    spans: tuple[Span, ...]
    """From when to when; empty for a picture."""
    frames: int
    """Number of frames that were looked at and show the person, above 0."""
    side_px: float
    """Longer side of the largest of the faces, in pixels of the file."""
    thumbnail_jpeg: bytes = field(repr=False)
    """The clearest face as JPEG, 96 px."""
    vector_C: NDArray[np.float64] = field(repr=False, compare=False)
    """(C,) of length one: the mean direction of the faces."""


@dataclass(frozen=True, slots=True)
class FilePeople:
    """The people of one file, or why there are none."""

    path: str
    """The file as it was opened."""
    name: str
    """The file as a table shows it."""
    status: str
    """``ok``, ``no_face``, or that of the error."""
    reason: str
    """A sentence where the status is not ok, else empty."""
    people: tuple[SeenPerson, ...] = ()
    """In order of appearance."""


class Gatherer:
    """Finds the people of files. Safe to use from several threads."""

    def __init__(
        self,
        embedder: str | os.PathLike[str] = "bundled",
        *,
        frames: int = 16,
        limits: Limits = Limits(),  # noqa: B008 - frozen
    ) -> None:
        """Load the embedder and the detector.

        Args:
            embedder: ``bundled``, or a folder; see `unmask.models.embedder`.
            frames: Frames to look at in each clip, at least 1.
            limits: What one file may cost.

        Raises:
            ModelError: There is no such embedder, or it is damaged.
        """
        self.embedder, self.frames, self.limits = Embedder(embedder), frames, limits
        self._detector = load_detector(DetectorSpec())

    @property
    def settings(self) -> dict[str, Any]:
        """Return what a result rests on, JSON-ready."""
        card = self.embedder.card
        known = {"embedder": card.name, "version": card.version, "sha256": card.files["model.onnx"].sha256}
        limits = {"same_below": card.same_below, "different_above": card.different_above}
        return known | limits | {"frames": self.frames, "min_side_px": MIN_SIDE_PX}

    def read(self, item: Input) -> FilePeople:
        """Return the people of a file; what cannot be read has a status and a reason, and raises nothing."""
        try:
            with (
                open_input(item, self.limits.download_bytes) as file,
                hashed(file, self.limits.file_bytes) as sha256,
                open_video_file(file, sha256, self.limits) as video,
            ):
                people = self._people(video)
                if video.facts.is_picture:
                    people = tuple(replace(person, spans=()) for person in people)
        except (InputError, DownloadError) as error:
            return FilePeople(item.path, item.name, error.status, str(error))
        if not people:
            reason = f"No face of {MIN_SIDE_PX} pixels or more was found."
            return FilePeople(item.path, item.name, "no_face", reason)
        return FilePeople(item.path, item.name, "ok", "", people)

    def _people(self, video: Video) -> tuple[SeenPerson, ...]:
        log = SignatureLog()
        frames = [self._seen(frame) for frame in read_frames(video, pick_frames(video, self.frames), log)]
        shots = timeline_of(video).with_shots(log).shots
        numbers = number_people(frames, shots, self.embedder.card.same_below)
        faces: dict[int, list[tuple[SeenFrame, CutFace]]] = {}
        for seen, row in zip(frames, numbers, strict=True):
            for cut, number in zip(seen.faces, row, strict=True):
                faces.setdefault(number, []).append((seen, cut))
        looked = np.array([seen.index for seen in frames], np.int64)
        return tuple(_person(number, group, looked, shots) for number, group in sorted(faces.items()))

    def _seen(self, frame: Frame) -> SeenFrame:
        found = [face for face in self._detector.detect(frame.image_HW3) if face.side_px >= MIN_SIDE_PX]
        found = sorted(found, key=lambda face: -face.side_px)[:MAX_FACES]
        cuts = tuple(self._cut(frame.image_HW3, face) for face in found)
        return SeenFrame(frame.index, frame.time_seconds, cuts, still_view(frame.image_HW3))

    def _cut(self, image_HW3: ImageHW3, face: Face) -> CutFace:
        vector_C = self.embedder.embed([self.embedder.cut(image_HW3, face)])[0]
        return CutFace(face, crop_face(image_HW3, face, _PORTRAIT), {}, False, None, vector_C)


def _person(
    number: int, group: Sequence[tuple[SeenFrame, CutFace]], looked: NDArray[np.int64], shots: Shots
) -> SeenPerson:
    clearest = max((cut for _, cut in group), key=lambda cut: cut.face.side_px * cut.face.confidence)
    assert clearest.portrait_SS3 is not None, "every face that is kept has a portrait"
    indices, times = [seen.index for seen, _ in group], [seen.time_seconds for seen, _ in group]
    return SeenPerson(
        person=number,
        spans=spans_of(indices, times, looked, shots),
        frames=len(group),
        side_px=round(max(cut.face.side_px for _, cut in group), 1),
        thumbnail_jpeg=thumbnail_jpeg(clearest.portrait_SS3),
        vector_C=mean_vector([cut.embedding_C for _, cut in group if cut.embedding_C is not None]),
    )


def mean_vector(vectors: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
    """Return the mean direction (C,) of vectors (C,) of any length above 0.

    Raises:
        UsageError: One is zero or not finite.
    """
    mean_C: NDArray[np.float64] = unit_vectors(unit_vectors(np.stack(vectors)).mean(0, keepdims=True))[0]
    return mean_C
