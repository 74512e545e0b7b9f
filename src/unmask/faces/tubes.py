"""Link the boxes of a clip into tubes, and plan crops of one size for each tube.

    plan = plan_tubes({frame.index: boxes_of_faces(faces) for frame, faces in ...}, height, width)
    for frame in frames:
        for crop in aligned_crops(plan, frame.index):
            x, y, side = crop.xy_side_px
            write(crop.name, frame.image_HW3[y : y + side, x : x + side])

A frame's true number counts from 0 (`Frame.index`); file names count from 1. Source: Siyu-C/RobustForensics.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unmask.types import Face

MIN_SCORE = 0.8
"""Min score of a face that joins a tube."""
MIN_IOU = 0.5
"""Min overlap of a face with the latest box of its tube."""
_CROP_SCALE = 1.3
_MAX_BOXES = 10_000
"""Boxes in one text file; a crowd has hundreds."""
_SCORE, _SOURCE = attrgetter("score"), attrgetter("source_index")
_BOX_LINE = re.compile(r"(-?[0-9]{1,9})\s+(-?[0-9]{1,9})\s+(-?[0-9]{1,9})\s+(-?[0-9]{1,9})\s+([^\s_]+)")


@dataclass(frozen=True, slots=True)
class ScoredBox:
    """A detector's box around one face."""

    x: int
    y: int
    """Left and top edge in pixels of the upright frame; may lie outside of it."""
    width: int
    height: int
    """Sides in pixels, at least 1."""
    score: float
    """Confidence of the detector, 0 to 1."""

    def __post_init__(self) -> None:
        if self.width <= 0 or self.height <= 0:
            raise ValueError(f"a box of {self.width}x{self.height} pixels is empty; both sides must be at least 1")
        if not math.isfinite(self.score):
            raise ValueError(f"score {self.score} is not a finite number")

    @property
    def centre(self) -> tuple[int, int]:
        """Middle of the box, x and y in whole pixels, rounded down."""
        return (2 * self.x + self.width) // 2, (2 * self.y + self.height) // 2

    @property
    def corners(self) -> tuple[int, int, int, int]:
        """Left, top, left + width, top + height in pixels."""
        return self.x, self.y, self.x + self.width, self.y + self.height


@dataclass(frozen=True, slots=True)
class TubeMember:
    """One box of a tube."""

    position: int
    """Position of its frame among the frames that were kept, from 0."""
    number: int
    """Number of its box among all boxes of that frame, from 1; the line after the count in the text form."""
    box: ScoredBox
    """The box."""


Tube = tuple[TubeMember, ...]
"""Boxes of one face in order of time, at most one a frame."""


@dataclass(frozen=True, slots=True)
class AlignedCrop:
    """One square to be cut out and saved."""

    frame_index: int
    """True number of the frame it stands for, from 0."""
    face: int
    """Number of its tube, from 1."""
    source_index: int
    """True number of the frame that its pixels come from: the nearest one that shows the tube's face."""
    member: TubeMember
    """The detected face in the source frame."""
    xy_side_px: tuple[int, int, int]
    """Left, top, side in pixels of the source frame; the side is even and the same over the whole tube."""

    @property
    def name(self) -> str:
        """File name without suffix, e.g. ``frame1_face1``."""
        return f"frame{self.frame_index + 1}_face{self.face}"

    def to_dict(self) -> dict[str, Any]:
        """Return the entry of a saved face in ``info``: ``bbox`` is x1, y1, x2, y2, ``crop_bbox`` is x, y, side."""
        return {
            "score": float(self.member.box.score),
            "bbox": list(self.member.box.corners),
            "crop_bbox": list(self.xy_side_px),
            "original_idx": self.member.number,
            "source": f"frame{self.source_index + 1}",
        }


@dataclass(frozen=True, slots=True)
class AlignedFaces:
    """Which crops are cut out of one video."""

    height: int
    width: int
    """Sides of an upright frame in pixels."""
    frame_indices: tuple[int, ...]
    """True numbers of the frames that were kept, from 0, ascending."""
    tubes: tuple[Tube, ...]
    """The tubes, the longest first."""
    crops: tuple[tuple[AlignedCrop, ...], ...]
    """For each tube one crop for each kept frame."""

    @property
    def num_frames(self) -> int:
        """Number of frames that were kept."""
        return len(self.frame_indices)

    @property
    def num_faces(self) -> int:
        """Number of tubes: the majority count, or fewer where overlapping boxes never made so many tubes."""
        return len(self.tubes)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values under the key names of ``info.pkl``. Source: Siyu-C/RobustForensics.

        ``face_tubes`` holds pairs of frame and face number, both from 1; without faces the last two keys are missing.
        """
        info = {"height": self.height, "width": self.width, "num_frames": self.num_frames, "num_faces": self.num_faces}
        if not self.tubes:
            return info
        face_tubes = [[[self.frame_indices[m.position] + 1, m.number] for m in tube] for tube in self.tubes]
        saved_faces = {
            f"frame{index + 1}": {f"face{crop.face}": crop.to_dict() for crop in crops}
            for index, *crops in zip(self.frame_indices, *self.crops, strict=True)
        }
        return {**info, "face_tubes": face_tubes, "saved_faces": saved_faces}


def boxes_of_faces(faces: Sequence[Face]) -> tuple[ScoredBox, ...]:
    """Return the faces as boxes, corners truncated to whole pixels; faces that become empty are left out."""
    boxes = []
    for face in faces:
        x1, y1, x2, y2 = (int(value) for value in face.xyxy_px)
        if x2 > x1 and y2 > y1:
            boxes.append(ScoredBox(x1, y1, x2 - x1, y2 - y1, float(face.confidence)))
    return tuple(boxes)


def faces_of_boxes(boxes: Sequence[ScoredBox]) -> list[Face]:
    """Return the confident boxes as faces without landmarks, largest first."""
    kept = sorted((box for box in boxes if box.score >= MIN_SCORE), key=lambda box: -box.width * box.height)
    return [Face((box.x, box.y, box.x + box.width, box.y + box.height), min(1.0, max(0.0, box.score))) for box in kept]


def format_boxes(boxes: Sequence[ScoredBox]) -> str:
    """Return one frame's boxes as RetinaFace text: their count, then the lines ``x y w h score ``, highest score first.

    The space that ends each box line is part of the form. Source: Siyu-C/RobustForensics.
    """
    lines = [
        f"{box.x} {box.y} {box.width} {box.height} {box.score} " for box in sorted(boxes, key=_SCORE, reverse=True)
    ]
    return "\n".join([str(len(lines)), *lines, ""])


def parse_boxes(text: str) -> tuple[ScoredBox, ...]:
    """Read what `format_boxes` writes; spaces at the ends of lines and blank last lines may be there or not.

    Source: Siyu-C/RobustForensics.

    Raises:
        ValueError: The text does not have this form, or more than 10,000 boxes; the message names the line.
    """
    count_line, *lines = text.rstrip().split("\n")
    if not re.fullmatch(r"[0-9]{1,9}", count_line.strip()):
        raise ValueError(f"line 1 is {count_line[:60]!r}, not the number of boxes")
    count = int(count_line)
    if count > _MAX_BOXES:
        raise ValueError(f"line 1 says {count} boxes; at most {_MAX_BOXES} are allowed")
    if count != len(lines):
        raise ValueError(f"line 1 says {count} boxes, {len(lines)} lines follow")
    return tuple(_parse_line(line, number) for number, line in enumerate(lines, 2))


def majority_count(counts: Iterable[int]) -> int:
    """Return the count that occurs most often, of equals the first seen, 0 of none. Source: Siyu-C/RobustForensics."""
    return next((count for count, _ in Counter(counts).most_common(1)), 0)


def corner_iou(a_N4: NDArray[np.float64], b_M4: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the (N, M) overlaps, 0 to 1, of boxes in pixels whose last row and column count as inside.

    A box from x to x + width thus is width + 1 pixels wide. Source: Siyu-C/RobustForensics.
    """
    area_N, area_M = ((boxes[:, 2:] - boxes[:, :2] + 1).prod(axis=1) for boxes in (a_N4, b_M4))
    sides_NM2 = np.minimum(a_N4[:, None, 2:], b_M4[:, 2:]) - np.maximum(a_N4[:, None, :2], b_M4[:, :2]) + 1
    overlap_NM = sides_NM2.clip(min=0).prod(axis=2)
    return overlap_NM / (area_N[:, None] + area_M - overlap_NM)


def build_tubes(frames: Sequence[Sequence[ScoredBox]]) -> list[Tube]:
    """Link the faces with a score of at least `MIN_SCORE` into tubes, in order of appearance.

    A face joins the tube whose latest box it overlaps most, if by at least `MIN_IOU`, and is dropped when another
    face of its frame did so before; else it starts a tube. Tubes never expire. Source: Siyu-C/RobustForensics.

    Args:
        frames: Boxes of each frame in pixels, frames in order of time.
    """
    tubes: list[list[TubeMember]] = []
    latest_T4 = np.zeros((64, 4))  # the corners of each tube's latest box; grows
    for position, boxes in enumerate(frames):
        members = [TubeMember(position, n, box) for n, box in enumerate(boxes, 1) if box.score >= MIN_SCORE]
        corners_N4 = np.array([member.box.corners for member in members], np.float64).reshape(-1, 4)
        overlaps_NT = corner_iou(corners_N4, latest_T4[: len(tubes)])
        taken: set[int] = set()
        for member, corners, overlap_T in zip(members, corners_N4, overlaps_NT, strict=True):
            best = int(overlap_T.argmax()) if (overlap_T >= MIN_IOU).any() else len(tubes)
            if best in taken:
                continue
            taken.add(best)
            if best == len(tubes):
                tubes.append([])
                if best == len(latest_T4):
                    latest_T4 = np.concatenate([latest_T4, np.zeros_like(latest_T4)])
            tubes[best].append(member)
            latest_T4[best] = corners
    return [tuple(tube) for tube in tubes]


def plan_tubes(detections: Mapping[int, Sequence[ScoredBox]], height: int, width: int) -> AlignedFaces:
    """Plan the crops of a clip: one for each tube in every frame, of one size for each tube.

    As many tubes are kept as most frames have faces, the longest ones. Where a tube has no box in a frame, the crop
    comes from the nearest frame in which it has one. Source: Siyu-C/RobustForensics.

    Args:
        detections: True frame number, from 0, -> all boxes of that frame in pixels, for every frame that was kept.
        height: Height of an upright frame in pixels, at least 2.
        width: Width of an upright frame in pixels, at least 2.

    Raises:
        ValueError: The frame is too small for an even crop, or a frame number is negative.
    """
    if min(height, width) < 2:
        raise ValueError(f"a frame of {width}x{height} pixels is too small; both sides must be at least 2")
    indices = tuple(sorted(detections))
    if indices and indices[0] < 0:
        raise ValueError(f"frame number {indices[0]} is negative; frames count from 0")
    frames = [sorted(detections[index], key=_SCORE, reverse=True) for index in indices]
    count = majority_count(sum(box.score >= MIN_SCORE for box in boxes) for boxes in frames)
    tubes = tuple(sorted(build_tubes(frames), key=len, reverse=True)[:count])
    crops = tuple(_align(tube, face, indices, height, width) for face, tube in enumerate(tubes, 1))
    return AlignedFaces(height, width, indices, tubes, crops)


def aligned_crops(plan: AlignedFaces, frame_index: int) -> tuple[AlignedCrop, ...]:
    """Return the crops to cut from the frame with this true number: its own and those it lends to its neighbours."""
    return tuple(  # the sources ascend within a tube
        crop
        for crops in plan.crops
        for crop in crops[bisect_left(crops, frame_index, key=_SOURCE) : bisect_right(crops, frame_index, key=_SOURCE)]
    )


def _align(tube: Tube, face: int, indices: Sequence[int], height: int, width: int) -> tuple[AlignedCrop, ...]:
    """Return one crop for each frame; all have the side of the tube's largest candidate, made even."""
    # Candidates fit into the frame, so their largest does; a box of 1 pixel, or out of the frame, still gets 2 pixels.
    side = max(2, max(_candidate_side(member.box, height, width) for member in tube) // 2 * 2)
    sources = np.array([indices[member.position] for member in tube])
    # A frame belongs to the next member once it is past the middle between two; on the middle, to the earlier.
    nearest = np.searchsorted(sources[:-1] + sources[1:], 2 * np.array(indices))
    crops = []
    for index, member in zip(indices, (tube[n] for n in nearest), strict=True):
        x, y = (centre - side // 2 for centre in member.box.centre)
        x, y = min(max(x, 0), width - side), min(max(y, 0), height - side)
        crops.append(AlignedCrop(index, face, indices[member.position], member, (x, y, side)))
    return tuple(crops)


def _candidate_side(box: ScoredBox, height: int, width: int) -> int:
    """Return the side of the square around the box, cut at the right and lower border of the frame."""
    side = int(_CROP_SCALE * max(box.width, box.height))
    x, y = (max(centre - side // 2, 0) for centre in box.centre)
    return min(side, width - x, height - y)


def _parse_line(line: str, number: int) -> ScoredBox:
    match = _BOX_LINE.fullmatch(line.strip())
    if match is None:
        raise ValueError(f"line {number} is {line[:60]!r}, not four whole numbers and a score: x y w h score")
    x, y, width, height = (int(value) for value in match.groups()[:4])
    try:
        return ScoredBox(x, y, width, height, float(match[5]))
    except ValueError as error:
        raise ValueError(f"line {number}: {error}") from None
