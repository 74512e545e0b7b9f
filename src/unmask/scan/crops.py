"""From the faces of a frame to their crops, one for each crop rule that the models of a scan have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.faces import crop_face
from unmask.faces.quality import measure_quality
from unmask.models import Card, Embedder
from unmask.scan.pictures import SmallFrame, crop_jpeg
from unmask.scan.stillness import StillView
from unmask.types import THUMBNAIL_PX, CropSpec, Face, FaceQuality, Frame, ImageHW3


@dataclass(frozen=True, slots=True)
class CutFace:
    """One face in one frame, cut out."""

    face: Face
    """Where it is."""
    portrait_SS3: ImageHW3 | None
    """Crop by the first model's rule, `THUMBNAIL_PX` wide: (S, S, 3) uint8 RGB. None for a face that is not judged."""
    crops: dict[CropSpec, ImageHW3]
    """Crop rule -> crop, (size_px, size_px, 3) uint8 RGB; emptied when all models have it."""
    is_small: bool
    """Whether it is below the least side that the models judge."""
    quality: FaceQuality | None
    """How well it can be seen; None for a face that is not judged."""
    embedding_C: NDArray[np.float32] | None
    """(C,) vector that is near for two faces of one person; None without an embedder."""
    crop_jpeg: bytes | None = None
    """The crop by the first model's rule as a report shows it; None where none is wanted."""


@dataclass(frozen=True, slots=True)
class SeenFrame:
    """One frame that was looked at, with its faces."""

    index: int
    """Its index, see `Frame.index`."""
    time_seconds: float
    """Time since the first frame."""
    faces: tuple[CutFace, ...]
    """All faces that the detector found, also those that are not judged."""
    still: StillView
    """Small and gray, to see whether anything moves."""
    small: SmallFrame | None = None
    """Small and in colour, for a report; None where none is wanted or no face is judged."""


class Cutter:
    """Cuts faces out of frames for all models of a scan. Safe to use from several threads."""

    def __init__(self, cards: Sequence[Card], embedder: Embedder | None = None, *, pictures: bool = False) -> None:
        """Collect the crop rules.

        Args:
            cards: One for each model; a face is judged if it is large enough for all.
            embedder: Tells faces of one person from those of others; None for none.
            pictures: Keep each crop for a report.
        """
        self._specs = tuple(dict.fromkeys(card.crop for card in cards))
        self._min_side_px = max(spec.min_side_px for spec in self._specs)
        self._embedder, self._pictures = embedder, pictures

    def cut(self, frame: Frame, faces: Sequence[Face]) -> list[CutFace]:
        """Cut the faces of a frame out, in their order; those too small to be judged get no crops."""
        return [self._cut_face(frame, face) for face in faces]

    def _cut_face(self, frame: Frame, face: Face) -> CutFace:
        if face.side_px < self._min_side_px:
            return CutFace(face, None, {}, True, None, None)
        crops = {spec: crop_face(frame.image_HW3, face, spec) for spec in self._specs}
        size = (THUMBNAIL_PX, THUMBNAIL_PX)
        portrait = cv2.resize(crops[self._specs[0]], size, interpolation=cv2.INTER_AREA)
        embedding = None
        if self._embedder is not None:
            embedding = self._embedder.embed([self._embedder.cut(frame.image_HW3, face)])[0]
        quality = measure_quality(frame.image_HW3, face, quantiser=frame.quantiser)
        picture = crop_jpeg(crops[self._specs[0]]) if self._pictures else None
        return CutFace(face, portrait, crops, False, quality, embedding, picture)
