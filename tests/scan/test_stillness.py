"""A film of one photograph is told from a person who hardly moves."""

import cv2
import numpy as np
import pytest

from unmask.augment.codec import compress_h264
from unmask.scan.stillness import is_still, still_people, still_view

COUNT = 8


@pytest.fixture(scope="module")
def small(portrait):
    scale = 480 / max(portrait.shape[:2])
    return cv2.resize(portrait, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


@pytest.fixture(scope="module")
def box(portrait, portrait_face):
    scale = 480 / max(portrait.shape[:2])
    return tuple(scale * value for value in portrait_face.xyxy_px)


def answer(frames, box, seconds=3.0):
    times = np.linspace(0, seconds, len(frames)).tolist()
    return is_still([still_view(frame) for frame in frames], [box] * len(frames), times)


@pytest.mark.parametrize("crf", [20, 32, 40])
def test_a_compressed_photograph_with_grain_is_still(small, box, crf):
    rng = np.random.default_rng(crf)
    grainy = [np.clip(small + rng.normal(0, 3, small.shape), 0, 255).astype(np.uint8) for _ in range(COUNT)]
    assert answer(compress_h264(grainy, crf), box)


def test_a_photograph_that_fades_is_still(small, box):
    assert answer([(small * (1 - 0.11 * step)).astype(np.uint8) for step in range(COUNT)], box)


@pytest.mark.parametrize("shift", [3, 6, 12])
def test_a_head_that_moves_is_not_still(small, box, shift):
    moved = [np.roll(small, step % 2 * shift, axis=1) for step in range(COUNT)]
    assert not answer(moved, box)


def test_a_mouth_that_opens_is_not_still(small, box):
    left, top, right, bottom = (round(value) for value in box)
    frames = []
    for step in range(COUNT):
        frame = small.copy()
        centre = (left + right) // 2, top + 3 * (bottom - top) // 4
        cv2.ellipse(frame, centre, ((right - left) // 6, 1 + step * (bottom - top) // 50), 0, 0, 360, (40, 10, 10), -1)
        frames.append(frame)
    assert not answer(frames, box)


def test_a_glimpse_is_not_called_still(small, box):
    assert not answer([small] * COUNT, box, seconds=0.5)
    assert not is_still([still_view(small)] * 2, [box] * 2, [5.0, 5.5])
    assert not answer([small], box)


def test_a_face_beyond_the_frame_or_a_film_that_changes_its_size_is_not_called_still(small, box):
    width = small.shape[1]
    assert not answer([small] * COUNT, (width + 5.0, 10.0, width + 50.0, 60.0))
    assert not answer([small] * (COUNT - 1) + [np.rot90(small)], box)
    assert answer([small] * COUNT, (-20.0, -20.0, 50.0, 60.0)), "what reaches past the border is cut off"


def test_a_second_is_long_enough(small, box):
    assert answer([small] * COUNT, box, seconds=1.0)
    assert answer([small] * 2, box, seconds=1.0)


def test_each_person_is_looked_at_alone(small):
    """In frames of their own: that another frame shows something else says nothing of who is not in it."""
    other = small.copy()
    other[:, : small.shape[1] // 2] = 255 - other[:, : small.shape[1] // 2]
    views = [still_view(frame) for frame in (small, small, other, small)]
    boxes = [(10.0, 10.0, 90.0, 90.0)] * 6
    times = [0.0, 1.0, 2.0, 3.0]
    assert still_people([1, 1, 2, 1, 2], [0, 1, 2, 3, 3], boxes[:5], views, times) == {1}
    assert still_people([2, 1, 2, 1], [0, 0, 2, 1], boxes[:4], views, times) == {1}
    assert still_people([1, 1], [0, 2], boxes[:2], views, times) == frozenset()


@pytest.mark.parametrize(("shape", "kept"), [((100, 200), (48, 96)), ((1200, 900), (96, 72)), ((30, 40), (30, 40))])
def test_what_is_kept_of_a_frame_is_small(shape, kept):
    view = still_view(np.zeros((*shape, 3), np.uint8))
    assert view.gray_HW.shape == kept
    assert view.pixels_per_pixel == kept[1] / shape[1]
