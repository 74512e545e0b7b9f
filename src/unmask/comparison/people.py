"""From the faces of all pairs of frames to one comparison for each person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.compared import FaceComparison, PairPicture, PairScore, ScenePair
from unmask.comparison.answer import MIN_PAIRS, excess_of, higher_side
from unmask.comparison.differences import (
    SHOWN_PX,
    FaceDifference,
    MomentDifference,
    difference_map,
    face_region,
)
from unmask.comparison.pairs import cut_view
from unmask.comparison.placement import Placement
from unmask.types import ImageHW3, PersonVerdict, ScoredFace

STRIP = 6
"""Pairs of views of one person that are shown, at most."""
SCENE_PX = 480
"""Longer side of a small frame, at most."""
_QUALITY = 75


@dataclass(frozen=True, slots=True)
class SeenFace:
    """A face in a pair of frames, as it is kept."""

    measured: FaceDifference
    """How it differs."""
    suspect_jpeg: bytes = field(repr=False)
    """Its view in the suspect."""
    original_jpeg: bytes = field(repr=False)
    """The same view of the original."""


@dataclass(frozen=True, slots=True)
class SeenPair:
    """A pair of frames, as it is kept: all that is large is compressed."""

    index: int
    """Index of the suspect's frame."""
    time_seconds: float
    """Its time."""
    original_seconds: float
    """Time of the original's frame."""
    scale: float
    """Pixels of the small frames for one of the suspect's."""
    size_px: tuple[int, int]
    """Width and height of the small frames."""
    suspect_jpeg: bytes = field(repr=False)
    """The suspect's frame in small; empty where no face is compared."""
    original_jpeg: bytes = field(repr=False)
    """What it shows in the original, in the same size."""
    map_png: bytes = field(repr=False)
    """Where both differ."""
    faces: tuple[SeenFace, ...]
    """The faces that are compared."""


def seen_pair(measured: MomentDifference, placement: Placement) -> SeenPair:
    """Compress what a page shows of a pair of frames."""
    own, original = measured.moment.suspect, measured.moment.originals[0]
    height, width = own.image_HW3.shape[:2]
    scale = min(1.0, SCENE_PX / max(height, width))
    size = max(8, round(width * scale)), max(8, round(height * scale))
    whole = (0.0, 0.0, float(width), float(height))
    pictures = (b"", b"", b"")
    if measured.faces:
        pictures = (
            jpeg(cut_view(own.image_HW3, whole, size)),
            jpeg(cut_view(original.image_HW3, whole, size, placement)),
            png(difference_map(own.image_HW3, measured.matched, whole, size, placement)),
        )
    faces = [
        SeenFace(
            face,
            jpeg(cut_view(own.image_HW3, face_region(face.face), (SHOWN_PX, SHOWN_PX))),
            jpeg(cut_view(original.image_HW3, face_region(face.face), (SHOWN_PX, SHOWN_PX), placement)),
        )
        for face in measured.faces
    ]
    times = own.time_seconds, original.time_seconds
    return SeenPair(own.index, *times, size[0] / width, size, *pictures, tuple(faces))


def compared_people(
    pairs: Sequence[SeenPair],
    people: Sequence[Sequence[int]],
    scored: Sequence[Sequence[ScoredFace]],
    judged: Sequence[Mapping[int, PersonVerdict]],
) -> list[FaceComparison]:
    """Return one comparison for each person, the most different first.

    Args:
        pairs: All pairs of frames, in order of time.
        people: For each pair, the number of the person of each face.
        scored: The scored faces of the suspect and of the original, in the order of pairs and their faces.
        judged: Person -> what the models say of them, in the suspect and in the original.
    """
    rows: dict[int, list[tuple[SeenPair, SeenFace, ScoredFace, ScoredFace]]] = {}
    places = [
        (pair, face, number)
        for pair, numbers in zip(pairs, people, strict=True)
        for face, number in zip(pair.faces, numbers, strict=True)
    ]
    for (pair, face, number), suspect, original in zip(places, *scored, strict=True):
        rows.setdefault(number, []).append((pair, face, suspect, original))
    found = [_person(number, group, judged[0][number], judged[1][number]) for number, group in rows.items()]
    return sorted(found, key=lambda each: (each.changed is None, -each.excess))


def _person(
    number: int,
    group: Sequence[tuple[SeenPair, SeenFace, ScoredFace, ScoredFace]],
    suspect: PersonVerdict,
    original: PersonVerdict,
) -> FaceComparison:
    measured = [face.measured for _, face, _, _ in group]
    background = float(np.mean([each.background for each in measured]))
    excess = excess_of(np.mean([each.map_SS for each in measured], axis=0) / 255, background)
    apart = np.array([_logit(one) - _logit(other) for _, _, one, other in group])
    worst = max(group, key=lambda row: row[1].measured.difference)
    return FaceComparison(
        person=number,
        changed=excess > 0 if len(group) >= MIN_PAIRS else None,
        start_seconds=group[0][0].time_seconds,
        end_seconds=group[-1][0].time_seconds,
        frames=len(group),
        difference=float(np.mean([each.difference for each in measured])),
        background_difference=background,
        excess=excess,
        suspect_probability=suspect.fake_probability,
        suspect_label=suspect.label,
        original_probability=original.fake_probability,
        original_label=original.label,
        score_difference=float(apart.mean()),
        higher=higher_side(float(apart.mean())),
        scores=tuple(_score(*row) for row in group),
        pictures=_strip(group),
        scene=_scene(worst[0], worst[1]),
    )


def _logit(face: ScoredFace) -> float:
    """Return the mean of the models' calibrated logits of a face."""
    return float(np.mean([score.logit for score in face.scores]))


def _score(pair: SeenPair, face: SeenFace, suspect: ScoredFace, original: ScoredFace) -> PairScore:
    return PairScore(
        pair.time_seconds,
        pair.original_seconds,
        face.measured.face.xyxy_px,
        face.measured.difference,
        face.measured.background,
        suspect.fake_probability,
        original.fake_probability,
    )


def _strip(group: Sequence[tuple[SeenPair, SeenFace, ScoredFace, ScoredFace]]) -> tuple[PairPicture, ...]:
    """Return the largest difference of each sixth of the pairs."""
    parts = np.array_split(np.arange(len(group)), min(STRIP, len(group)))
    chosen = [max((group[i] for i in part), key=lambda row: row[1].measured.difference) for part in parts]
    return tuple(
        PairPicture(
            pair.time_seconds,
            pair.original_seconds,
            face.measured.difference,
            face.suspect_jpeg,
            face.original_jpeg,
            png(face.measured.map_SS),
        )
        for pair, face, _, _ in chosen
    )


def _scene(pair: SeenPair, face: SeenFace) -> ScenePair:
    x1, y1, x2, y2 = (round(edge * pair.scale, 1) for edge in face.measured.face.xyxy_px)
    pictures = pair.suspect_jpeg, pair.original_jpeg, pair.map_png
    return ScenePair(pair.time_seconds, pair.original_seconds, *pair.size_px, (x1, y1, x2, y2), *pictures)


def jpeg(image_HW3: ImageHW3) -> bytes:
    """Compress an RGB image as a page shows it."""
    bgr_HW3 = cv2.cvtColor(image_HW3, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr_HW3, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()


def png(map_hw: NDArray[np.uint8]) -> bytes:
    """Encode a map, (h, w) uint8, as gray PNG."""
    return cv2.imencode(".png", map_hw)[1].tobytes()
