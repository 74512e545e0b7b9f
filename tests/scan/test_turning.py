"""A video that lies on its side is turned; one that stands upright is left alone."""

import cv2
import numpy as np
import pytest

from unmask.faces import load_detector
from unmask.scan.turning import TriedFrames, find_turn, looks_upright, small_frame, turned
from unmask.types import DetectorSpec, Face, Frame


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
    assert looks_upright([[Face((0, 0, 50, 50), 0.999), Face((0, 0, 20, 20), 0.5)]]), "the largest face tells"


def test_frames_that_are_tried_are_kept_as_they_come_and_spread_evenly():
    tried = TriedFrames()
    tried.expect(np.arange(0, 300, 10))
    for index in [*range(0, 90, 10), 95, *range(110, 300, 10)]:  # 90 and 100 cannot be decoded
        tried.add(Frame(np.full((90, 640, 3), index % 251, np.uint8), index / 30, index))
    tried.expect(np.array([5]))  # of closer looks none is kept
    tried.add(Frame(np.zeros((90, 640, 3), np.uint8), 0.1, 5))
    assert [image[0, 0, 0] for image in tried.images] == [0, 95, 190, 290 % 251]
    assert {image.shape for image in tried.images} == {(45, 320, 3)}


def test_a_small_frame_is_tried_as_it_is():
    tiny = np.zeros((90, 200, 3), np.uint8)
    assert small_frame(tiny) is tiny
    assert small_frame(np.zeros((640, 480, 3), np.uint8)).shape == (320, 240, 3)


def test_of_no_frames_none_is_tried():
    tried = TriedFrames()
    tried.expect(np.empty(0, np.int64))
    assert tried.images == []
