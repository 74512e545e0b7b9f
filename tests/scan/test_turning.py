"""A video that lies on its side is turned; one that stands upright is left alone."""

import cv2
import numpy as np
import pytest

from unmask.faces import load_detector
from unmask.scan.turning import find_turn, looks_upright, small_frame, turned
from unmask.types import DetectorSpec, Face


@pytest.fixture(scope="module")
def detector():
    return load_detector(DetectorSpec(thresholds=(0.7, 0.8, 0.95)))


@pytest.fixture(scope="module")
def views(portrait):
    dark = (portrait * 0.7).astype(np.uint8)
    return [small_frame(portrait), small_frame(dark), small_frame(cv2.flip(portrait, 1))]


@pytest.mark.parametrize("lost", [0, 90, 180, 270])
def test_the_turn_that_was_lost_is_found(views, detector, lost):
    stored = [turned(view, lost) for view in views]
    undo = (360 - lost) % 360
    assert find_turn(stored, detector) == undo
    for view, frame in zip(views, stored, strict=True):
        np.testing.assert_array_equal(turned(frame, undo), view)


@pytest.mark.parametrize("lost", [90, 180, 270])
def test_a_turned_video_raises_doubt_and_an_upright_one_none(views, detector, lost):
    assert looks_upright([detector.detect(view) for view in views])
    assert not looks_upright([detector.detect(turned(view, lost)) for view in views])


def test_nothing_to_see_is_left_as_it_is(detector):
    noise = np.random.default_rng(0).integers(0, 255, (180, 320, 3), np.uint8)
    assert find_turn([noise] * 3, detector) == 0
    assert not looks_upright([[], [], []])
    assert not looks_upright([])


def test_half_of_the_frames_are_enough():
    sure, unsure = [Face((0, 0, 50, 50), 1.0)], [Face((0, 0, 50, 50), 0.96)]
    assert looks_upright([sure, sure, unsure])
    assert not looks_upright([sure, unsure, unsure, []])
