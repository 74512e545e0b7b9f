"""Cut the crop that a network sees of a face: the same function for training, evaluation and scanning."""

from __future__ import annotations

import cv2
import numpy as np

from unmask.types import CropSpec, Face, ImageHW3


def crop_region(face: Face, spec: CropSpec) -> tuple[int, int, int, int]:
    """Return left, top, right, bottom of the crop in pixels of the upright frame; it may reach past the border.

    ``box`` truncates the box to whole pixels and adds ``margin`` of its width and height on each side (the
    challenge winner's rule, with a margin of a third). ``square`` is centred on the box, as wide as its longer
    side plus both margins.
    """
    x1, y1, x2, y2 = face.xyxy_px
    if spec.outline == "box":
        left, top, right, bottom = int(x1), int(y1), int(x2), int(y2)
        pad_x = int((right - left) * spec.margin + 1e-9)  # a third of 99 is 33, whatever 99 * (1 / 3) says
        pad_y = int((bottom - top) * spec.margin + 1e-9)
        return left - pad_x, top - pad_y, right + pad_x, bottom + pad_y
    side = max(1, round(face.side_px * (1 + 2 * spec.margin)))
    left, top = round((x1 + x2 - side) / 2), round((y1 + y2 - side) / 2)
    return left, top, left + side, top + side


def cut_face(image_HW3: ImageHW3, face: Face, spec: CropSpec) -> ImageHW3:
    """Cut a face out of its frame in the pixels of the frame, by the region and outline of ``spec``.

    Returns:
        (h, w, 3) uint8; what lies outside the frame is cut away under ``box`` and black under ``square``. Empty when
        the region lies outside the frame.
    """
    height, width = image_HW3.shape[:2]
    left, top, right, bottom = crop_region(face, spec)
    x0, y0 = max(left, 0), max(top, 0)
    patch = image_HW3[y0 : max(y0, min(bottom, height)), x0 : max(x0, min(right, width))]
    if spec.outline == "square" and patch.size:
        patch = cv2.copyMakeBorder(
            patch, y0 - top, max(0, bottom - height), x0 - left, max(0, right - width), cv2.BORDER_CONSTANT
        )
    return patch


def crop_face(image_HW3: ImageHW3, face: Face, spec: CropSpec) -> ImageHW3:
    """Cut a face out of its frame, square, in model pixels.

    The region is resized so that its longer side fills the crop (averaging areas when shrinking, ``enlarge``
    otherwise), keeps its proportions, and is padded with black. What lies outside the frame is cut away under
    ``box`` and black under ``square``.

    Args:
        image_HW3: Upright RGB frame, (H, W, 3) uint8.
        face: A face in pixels of that frame.
        spec: The model's crop rule.

    Returns:
        (size_px, size_px, 3) uint8; black when the region lies outside the frame.
    """
    patch = cut_face(image_HW3, face, spec)
    canvas = np.zeros((spec.size_px, spec.size_px, 3), np.uint8)
    if patch.size == 0:
        return canvas
    patch = _fit(patch, spec)
    y, x = (spec.size_px - patch.shape[0]) // 2, (spec.size_px - patch.shape[1]) // 2
    canvas[y : y + patch.shape[0], x : x + patch.shape[1]] = patch
    return canvas


def _fit(patch_HW3: ImageHW3, spec: CropSpec) -> ImageHW3:
    height, width = patch_HW3.shape[:2]
    scale = spec.size_px / max(height, width)
    if scale == 1:
        return patch_HW3
    size = (max(1, int(width * scale)), max(1, int(height * scale)))
    size = (spec.size_px, size[1]) if width >= height else (size[0], spec.size_px)
    if width == height:
        size = (spec.size_px, spec.size_px)
    enlarge = cv2.INTER_CUBIC if spec.enlarge == "cubic" else cv2.INTER_LINEAR
    return cv2.resize(patch_HW3, size, interpolation=cv2.INTER_AREA if scale < 1 else enlarge)
