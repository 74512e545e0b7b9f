"""What a report shows of each person: the most telling crops with their maps, and one frame.

Crops and small frames are compressed as soon as they are cut: which of them tell most is known only in the end, when
the frames are gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.types import ImageHW3, PersonPictures, PersonVerdict, Scene, ScoredFace, Sighting

STRIP = 6
"""Crops of one person, at most."""
CROP_PX = 160
"""Side of such a crop."""
SCENE_PX = 480
"""Longer side of a small frame, at most."""
_CROP_QUALITY, _SCENE_QUALITY = 75, 75


@dataclass(frozen=True, slots=True)
class SmallFrame:
    """A frame in small."""

    jpeg: bytes
    """The image."""
    width_px: int
    """Its width."""
    height_px: int
    """Its height."""
    scale: float
    """Its pixels for one of the frame, at most 1."""


def crop_jpeg(crop_SS3: ImageHW3) -> bytes:
    """Compress a crop, (S, S, 3) uint8 RGB, as a report shows it."""
    return _jpeg(cv2.resize(crop_SS3, (CROP_PX, CROP_PX), interpolation=cv2.INTER_AREA), _CROP_QUALITY)


def small_frame(image_HW3: ImageHW3) -> SmallFrame:
    """Shrink and compress a frame, (H, W, 3) uint8 RGB."""
    height, width = image_HW3.shape[:2]
    scale = min(1.0, SCENE_PX / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return SmallFrame(_jpeg(cv2.resize(image_HW3, size, interpolation=cv2.INTER_AREA), _SCENE_QUALITY), *size, scale)


def map_png(map_hw: NDArray[np.float32]) -> bytes:
    """Encode a map, (h, w) in 0..1, as gray PNG."""
    return cv2.imencode(".png", np.rint(255 * map_hw.clip(0, 1)).astype(np.uint8))[1].tobytes()


def telling(group: Sequence[ScoredFace]) -> list[ScoredFace]:
    """Return the highest score of each sixth of a person's faces; of equals, the one that can be seen best.

    Args:
        group: In order of time, at least one.
    """
    parts = np.array_split(np.arange(len(group)), min(STRIP, len(group)))
    return [max((group[i] for i in part), key=lambda face: (face.fake_probability, face.clarity)) for part in parts]


def pictures_of(
    people: Iterable[PersonVerdict], scored: Sequence[ScoredFace], frames: Mapping[int, SmallFrame]
) -> tuple[PersonPictures, ...]:
    """Choose what a report shows of each person; nothing where nothing was kept for it.

    Args:
        people: Who was judged, in the order of the verdict.
        scored: All scored faces, in order of time.
        frames: Index -> frame in small.
    """
    groups: dict[int, list[ScoredFace]] = {}
    for face in scored:
        groups.setdefault(face.person, []).append(face)
    found = []
    for person in people:
        group = groups[person.person]
        strip = tuple(
            Sighting(face.time_seconds, face.fake_probability, face.crop_jpeg, _first_map(face))
            for face in telling(group)
            if face.crop_jpeg is not None
        )
        if strip:
            kept = [face for face in group if face.index in frames]
            clearest = max(kept, key=lambda face: face.clarity, default=None)
            scene = None if clearest is None else _scene(clearest, frames[clearest.index])
            found.append(PersonPictures(person.person, strip, scene))
    return tuple(found)


def _first_map(face: ScoredFace) -> bytes | None:
    map_hw = face.scores[0].map_hw
    return None if map_hw is None else map_png(map_hw)


def _scene(face: ScoredFace, small: SmallFrame) -> Scene:
    x1, y1, x2, y2 = (round(side * small.scale, 1) for side in face.face.xyxy_px)
    return Scene(face.time_seconds, small.width_px, small.height_px, (x1, y1, x2, y2), small.jpeg)


def _jpeg(image_HW3: ImageHW3, quality: int) -> bytes:
    bgr_HW3 = cv2.cvtColor(image_HW3, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr_HW3, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
