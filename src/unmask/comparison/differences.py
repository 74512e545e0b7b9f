"""Measure where a face differs from its original, and by how much more than encodings make it differ.

Both views of a face are cut at one size, brought to one brightness, and compared by SSIM. Codecs, sizes and filters
make all of a frame differ, a manipulation makes the face differ more than the frame around it: the frame beside the
faces, seen at the same size, is the measure of what the encodings did.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.comparison.pairs import Moment, Region, cut_view
from unmask.comparison.placement import Placement
from unmask.prepare.difference import WINDOW_PX, difference_mask
from unmask.types import Face, Frame, ImageHW3

VIEW_PX = 64
"""Side of the views that are compared: coarse, since fine detail is what encodings change."""
SHOWN_PX = 160
"""Side of the views that a page shows."""
MARGIN = 0.35
"""Share of the face's longer side that a view shows around it."""
MAX_FRAME_PX = 512
"""Longer side of the frame beside the faces, at most, when it is seen at the size of the views."""
CLEARLY_BETTER = 0.9
"""A frame that differs by at most this share of what the nearest in time differs is the one of the same moment."""
MARK = 0.6
"""1 - SSIM from which on a pixel beside the faces shows a caption or a mark, not what an encoding did."""
MIN_TEXTURE = 4.0
"""Standard deviation of the levels around a pixel from which on something can be seen there."""
MIN_BESIDE_PX = 64
"""Pixels with texture beside the faces that a measure of what the encodings did needs."""
UNKNOWN_BACKGROUND = 0.025
"""Taken for it where there are fewer, as before a bare wall: what x264 does at crf 40."""
MIN_INSIDE = 0.9
"""Share of a face that both frames must show."""
_CORE_X, _CORE_Y = 0.5, 0.58
"""Half axes of the ellipse that is the face, in halves of the view."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FaceDifference:
    """How one face differs in one pair of frames."""

    face: Face
    """The face in the suspect."""
    difference: float
    """Mean of 1 - SSIM over the face, 0 to 1."""
    background: float
    """Mean of 1 - SSIM over the frame beside the faces."""
    map_SS: NDArray[np.uint8] = field(repr=False)
    """(`VIEW_PX`, `VIEW_PX`): 255 (1 - SSIM) over the view, 0 where one frame shows nothing."""


@dataclass(frozen=True, slots=True)
class MomentDifference:
    """How the faces of one pair of frames differ."""

    moment: Moment
    """The frames: that of the original which fits best is the only one."""
    matched: ImageHW3
    """The original's frame, brought to the brightness of the suspect's: (H, W, 3) uint8."""
    faces: tuple[FaceDifference, ...]
    """One for each face that both frames show."""


def face_region(face: Face, margin: float = MARGIN) -> Region:
    """Return the square that a view of a face shows."""
    x1, y1, x2, y2 = face.xyxy_px
    half = face.side_px * (0.5 + margin)
    return (x1 + x2) / 2 - half, (y1 + y2) / 2 - half, (x1 + x2) / 2 + half, (y1 + y2) / 2 + half


def measure(moment: Moment, faces: Sequence[Face], placement: Placement, min_side_px: float) -> MomentDifference:
    """Compare the faces of a moment.

    Args:
        moment: The suspect's frame, and those of the original that may show the same.
        faces: Faces of the suspect's frame.
        placement: Where the suspect's pixels lie in the original's frames.
        min_side_px: Faces that are smaller in one of the frames are left out.
    """
    best = _best_original(moment, faces, placement)
    frame = moment.suspect
    shared = [
        face
        for face in faces
        if (other := moved(face, placement)) is not None
        and min(face.side_px, other.side_px) >= min_side_px
        and _share_inside(face, frame.image_HW3) >= MIN_INSIDE
        and _share_inside(other, best.image_HW3) >= MIN_INSIDE
    ]
    matched = in_brightness_of(best.image_HW3, frame.image_HW3, placement)
    chosen = Moment(frame, (best,))
    found = []
    for face in shared:
        region = face_region(face)
        map_SS = difference_map(frame.image_HW3, matched, region, (VIEW_PX, VIEW_PX), placement)
        core = map_SS[core_of_view()]
        background = _background(frame.image_HW3, matched, faces, face, placement)
        found.append(FaceDifference(face, float(core.mean()) / 255, background, map_SS))
    return MomentDifference(chosen, matched, tuple(found))


def moved(face: Face, placement: Placement) -> Face | None:
    """Return where a face of the suspect lies in the original."""
    corners = placement.applied(np.array(face.xyxy_px, np.float64).reshape(2, 2))
    (x1, y1), (x2, y2) = corners.tolist()
    if not (x2 > x1 and y2 > y1):
        return None
    landmarks = None if face.landmarks_px is None else placement.applied(face.landmarks_px.astype(np.float64))
    return Face((x1, y1, x2, y2), face.confidence, None if landmarks is None else landmarks.astype(np.float32))


def difference_map(
    suspect_HW3: ImageHW3, original_HW3: ImageHW3, region: Region, size: tuple[int, int], placement: Placement
) -> NDArray[np.uint8]:
    """Return where two frames differ in a region: 255 (1 - SSIM), (h, w) uint8; 0 where one of them shows nothing."""
    own, other = cut_view(suspect_HW3, region, size), cut_view(original_HW3, region, size, placement)
    levels = difference_mask(other, own)
    assert levels is not None, "both views have one size, above the window of SSIM"
    levels[~_both_show(suspect_HW3, original_HW3, region, size, placement)] = 0
    return levels


def _both_show(
    suspect_HW3: ImageHW3, original_HW3: ImageHW3, region: Region, size: tuple[int, int], placement: Placement
) -> NDArray[np.bool_]:
    """Return which pixels of a view both frames show, half a window of SSIM away from their borders."""
    left, top, right, bottom = region
    xs = left + (np.arange(size[0]) + 0.5) * (right - left) / size[0] - 0.5
    ys = top + (np.arange(size[1]) + 0.5) * (bottom - top) / size[1] - 0.5
    columns = _within(xs, suspect_HW3.shape[1]) & _within(
        placement.scale_x * xs + placement.shift_x_px, original_HW3.shape[1]
    )
    rows = _within(ys, suspect_HW3.shape[0]) & _within(
        placement.scale_y * ys + placement.shift_y_px, original_HW3.shape[0]
    )
    shown = np.outer(rows, columns).astype(np.uint8)
    return cv2.erode(shown, np.ones((WINDOW_PX, WINDOW_PX), np.uint8), borderValue=1) > 0


def _within(places: Floats, side_px: int) -> NDArray[np.bool_]:
    return (places >= -0.5) & (places <= side_px - 0.5)


def in_brightness_of(original_HW3: ImageHW3, suspect_HW3: ImageHW3, placement: Placement) -> ImageHW3:
    """Return a frame of the original, each channel scaled and shifted so that it fits the suspect's best."""
    height, width = suspect_HW3.shape[:2]
    step = max(1.0, max(height, width) / 96)
    size = max(1, round(width / step)), max(1, round(height / step))
    region = (0.0, 0.0, float(width), float(height))
    own, other = cut_view(suspect_HW3, region, size), cut_view(original_HW3, region, size, placement)
    shown = _both_show(suspect_HW3, original_HW3, region, size, placement)
    if shown.sum() < 16:
        return original_HW3
    levels = np.arange(256, dtype=np.float64)
    table = np.empty((256, 1, 3), np.uint8)
    for channel in range(3):
        a, b = other[shown][:, channel].astype(np.float64), own[shown][:, channel].astype(np.float64)
        gain = float(np.clip(b.std() / max(a.std(), 1.0), 0.5, 2.0))
        table[:, 0, channel] = np.clip(np.rint((levels - a.mean()) * gain + b.mean()), 0, 255)
    return cv2.LUT(original_HW3, table.reshape(256, 1, 3))


def _background(
    suspect_HW3: ImageHW3, matched_HW3: ImageHW3, faces: Sequence[Face], face: Face, placement: Placement
) -> float:
    """Return the mean of 1 - SSIM beside the faces, where there is texture, seen at the size at which a face is."""
    height, width = suspect_HW3.shape[:2]
    scale = min(VIEW_PX / (face.side_px * (1 + 2 * MARGIN)), MAX_FRAME_PX / max(height, width))
    size = max(8, round(width * scale)), max(8, round(height * scale))
    region = (0.0, 0.0, float(width), float(height))
    levels = difference_map(suspect_HW3, matched_HW3, region, size, placement)
    beside = _both_show(suspect_HW3, matched_HW3, region, size, placement)
    beside &= _textured(cut_view(matched_HW3, region, size, placement)) & (levels < MARK * 255)
    for each in faces:
        left, top, right, bottom = (round(edge * scale) for edge in face_region(each))
        beside[max(0, top) : max(0, bottom), max(0, left) : max(0, right)] = False
    return float(np.mean(levels[beside])) / 255 if beside.sum() >= MIN_BESIDE_PX else UNKNOWN_BACKGROUND


def _textured(image_HW3: ImageHW3) -> NDArray[np.bool_]:
    """Return which pixels lie where something can be seen: what is flat differs by noise alone, or not at all."""
    gray = cv2.cvtColor(image_HW3, cv2.COLOR_RGB2GRAY).astype(np.float32)
    window = (WINDOW_PX, WINDOW_PX)
    deviation: NDArray[np.float32] = np.sqrt(np.maximum(cv2.blur(gray * gray, window) - cv2.blur(gray, window) ** 2, 0))
    return deviation > MIN_TEXTURE


def _best_original(moment: Moment, faces: Sequence[Face], placement: Placement) -> Frame:
    """Return the frame of the original that shows the moment: the nearest in time, or one clearly more alike.

    What lies around the faces is looked at, or all where there is none.
    """
    if len(moment.originals) == 1:
        return moment.originals[0]
    height, width = moment.suspect.image_HW3.shape[:2]
    regions = [face_region(face) for face in faces] or [(0.0, 0.0, float(width), float(height))]
    views = [cut_view(moment.suspect.image_HW3, region, (VIEW_PX, VIEW_PX)).astype(np.float32) for region in regions]

    def apart(number: int) -> float:
        image = moment.originals[number].image_HW3
        others = [cut_view(image, region, (VIEW_PX, VIEW_PX), placement) for region in regions]
        return float(sum(np.abs(view - other).mean() for view, other in zip(views, others, strict=True)))

    off = [apart(number) for number in range(len(moment.originals))]
    best = min(range(len(off)), key=off.__getitem__)
    return moment.originals[best if off[best] < CLEARLY_BETTER * off[moment.nearest] else moment.nearest]


def _share_inside(face: Face, image_HW3: ImageHW3) -> float:
    """Return the share of a face's box that its frame shows."""
    x1, y1, x2, y2 = face.xyxy_px
    height, width = image_HW3.shape[:2]
    inside = max(0.0, min(x2, width) - max(x1, 0)) * max(0.0, min(y2, height) - max(y1, 0))
    return inside / ((x2 - x1) * (y2 - y1))


def core_of_view() -> NDArray[np.bool_]:
    """Return which pixels of a view are the face: an ellipse, (`VIEW_PX`, `VIEW_PX`)."""
    places = (np.arange(VIEW_PX) + 0.5) / VIEW_PX * 2 - 1
    core: NDArray[np.bool_] = (places[None] / _CORE_X) ** 2 + (places[:, None] / _CORE_Y) ** 2 < 1
    return core
