"""The portrait's face, and another person, for tests of blends."""

import cv2
import numpy as np
import pytest

from unmask.augment.selfblend import Donor
from unmask.faces import load_detector
from unmask.types import DetectorSpec


@pytest.fixture(scope="session")
def face(portrait):
    """The portrait's face with what is around it, 256 px, and its landmarks."""
    found = load_detector(DetectorSpec(scale=1.0)).detect(portrait)[0]
    x1, y1, x2, y2 = (int(value) for value in found.xyxy_px)
    half = (x2 - x1) // 2
    left, top = max(0, x1 - half), max(0, y1 - half)
    crop = portrait[top : y2 + half, left : x2 + half]
    scale = np.array([256, 256]) / crop.shape[1::-1]
    return cv2.resize(crop, (256, 256)), ((found.landmarks_px - [left, top]) * scale).astype(np.float32)


@pytest.fixture(scope="session")
def donor(face):
    """Somebody else, mirrored, smaller and in another light."""
    image, landmarks = face
    other = cv2.resize(np.ascontiguousarray(image[:, ::-1]), (150, 180))
    mirrored = np.column_stack([255 - landmarks[:, 0], landmarks[:, 1]])[[1, 0, 2, 4, 3]]
    return Donor((0.7 * other).astype(np.uint8), (mirrored * [150 / 256, 180 / 256]).astype(np.float32))
