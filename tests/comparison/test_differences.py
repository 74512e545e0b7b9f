import cv2
import numpy as np
import pytest

from unmask.comparison.answer import excess_of, higher_side
from unmask.comparison.differences import difference_map, face_region, in_brightness_of, measure, moved
from unmask.comparison.pairs import Moment
from unmask.comparison.placement import Placement
from unmask.types import Frame

SAME = Placement(1.0, 1.0, 0.0, 0.0)


def measured(suspect, original, face, placement=SAME):
    return measure(Moment(Frame(suspect, 0.0, 0), (Frame(original, 0.0, 0),)), [face], placement, 40)


def test_a_blended_face_differs_and_the_frame_beside_it_does_not(portrait, blended, portrait_face):
    (face,) = measured(blended, portrait, portrait_face).faces
    assert face.difference > 0.05
    assert face.background < 0.01
    assert excess_of(face.map_SS / 255, face.background) > 0


def test_brightness_blur_and_noise_are_no_change_of_the_face(portrait, portrait_face):
    rng = np.random.default_rng(0)
    worse = cv2.GaussianBlur(portrait, (0, 0), 2).astype(float) * 0.8 + 15 + rng.normal(0, 3, portrait.shape)
    (face,) = measured(worse.clip(0, 255).astype(np.uint8), portrait, portrait_face).faces
    assert excess_of(face.map_SS / 255, face.background) < 0


def test_brightness_is_matched(portrait):
    darker = (portrait * 0.6 + 20).astype(np.uint8)
    assert np.abs(in_brightness_of(portrait, darker, SAME).astype(int) - darker).mean() < 1.5


def test_faces_outside_of_the_original_or_too_small_are_left_out(portrait, portrait_face):
    assert measured(portrait, portrait, portrait_face, Placement(1.0, 1.0, 400.0, 0.0)).faces == ()
    assert measured(portrait, portrait, portrait_face, Placement(0.1, 0.1, 0.0, 0.0)).faces == ()
    assert moved(portrait_face, Placement(2.0, 2.0, 5.0, 0.0)).side_px == pytest.approx(2 * portrait_face.side_px)


def test_what_one_frame_does_not_show_is_no_difference(portrait, portrait_face):
    region = face_region(portrait_face)
    half = portrait[:, : round((region[0] + region[2]) / 2)]
    levels = difference_map(portrait, (255 - half), region, (64, 64), SAME)
    assert levels[8:-8, 8:24].min() > 0
    assert levels[:, 40:].max() == 0


def test_small_differences_of_scores_say_nothing():
    assert [higher_side(value) for value in (0.2, -0.2, 9.0, -9.0)] == [None, None, "suspect", "original"]


def test_a_caption_over_the_chin_is_no_change_of_the_face(portrait, blended, portrait_face):
    def captioned(image):
        image, top = image.copy(), round(portrait_face.xyxy_px[3] - 0.2 * portrait_face.side_px)
        image[top:] = 255 - image[top:]
        return image

    def excess(suspect):
        (face,) = measured(suspect, portrait, portrait_face).faces
        return excess_of(face.map_SS / 255, face.background)

    assert excess(captioned(portrait)) < 0 < excess(captioned(blended))
