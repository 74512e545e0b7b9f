"""Blur, enlargement and compression lower the measured sharpness of a face; brightness and contrast do not."""

import cv2
import numpy as np
import pytest

from unmask.augment.codec import compress_h264
from unmask.faces.quality import measure_quality, sharpness
from unmask.types import Face


@pytest.fixture
def face(portrait_face) -> Face:
    return portrait_face


def blurred(image, sigma):
    return cv2.GaussianBlur(image, (0, 0), sigma)


def test_blur_lowers_sharpness_step_by_step(portrait, face):
    values = [sharpness(portrait, face), *(sharpness(blurred(portrait, s), face) for s in (2, 4, 8, 16))]
    assert values == sorted(values, reverse=True)
    assert values[-1] < values[0] / 2


def test_a_face_enlarged_from_few_pixels_is_not_sharp(portrait, face):
    height, width = portrait.shape[:2]
    scale = 30 / face.side_px
    small = cv2.resize(portrait, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    assert sharpness(cv2.resize(small, (width, height)), face) < 0.75 * sharpness(portrait, face)


def test_coarse_compression_lowers_it(portrait, face):
    scale = 160 / face.side_px
    small = cv2.resize(portrait, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    near = Face(tuple(scale * value for value in face.xyxy_px), face.confidence)
    assert sharpness(compress_h264([small], 44)[0], near) < sharpness(small, near)


def test_light_changes_nothing(portrait, face):
    darker = (portrait * 0.6 + 20).astype(np.uint8)
    assert sharpness(darker, face) == pytest.approx(sharpness(portrait, face), rel=0.08)


def test_a_face_at_the_border_or_outside_is_measured_where_it_is(portrait):
    width = portrait.shape[1]
    assert sharpness(portrait, Face((-50.0, -50.0, 120.0, 120.0), 1.0)) > 0
    assert sharpness(portrait, Face((width + 5.0, 5.0, width + 90.0, 90.0), 1.0)) == 0.0


def test_all_that_is_known_is_in_the_value(portrait, face):
    quality = measure_quality(portrait, face, quantiser=0.5)
    assert (quality.side_px, quality.confidence) == (face.side_px, face.confidence)
    assert (quality.quantiser, quality.motion) == (0.5, None)
