"""Frames between two that are searched everywhere: what is looked at how, and that nobody is lost."""

import numpy as np
import pytest

from unmask.scan import between as module
from unmask.scan.between import look_through
from unmask.scan.crowd import Crowd
from unmask.types import Face, Frame


class Finds:
    """A detector that is told where the faces of each frame are, by the frame's first pixel."""

    def __init__(self, faces_of):
        self.faces_of, self.everywhere, self.around = faces_of, [], []

    def detect(self, image_HW3):
        self.everywhere.append(int(image_HW3[0, 0, 0]))
        return self.faces_of(int(image_HW3[0, 0, 0]))

    def detect_around(self, image_HW3, pairs):
        self.around.append(int(image_HW3[0, 0, 0]))
        boxes = [(before.xyxy_px, after.xyxy_px) for before, after in pairs]
        return [
            face
            for face in self.faces_of(int(image_HW3[0, 0, 0]))
            if any(
                min(before[0], after[0]) - 5 <= face.xyxy_px[0] <= max(before[0], after[0]) + 5
                for before, after in boxes
            )
        ]


def face(left, side=20):
    return Face((left, 10, left + side, 10 + side), 0.9)


def film(count, gap_seconds=0.3, level=lambda number: 90):
    for number in range(count):
        image = np.full((90, 160, 3), level(number), np.uint8)
        image[0, 0] = number
        yield Frame(image, number * gap_seconds, number)


def seen(detector, frames, search_seconds=1.0, least=lambda frame: 0.0):
    crowd = Crowd(detector, 60, 10)
    return [
        (frame.index, [round(face.xyxy_px[0]) for face in faces])
        for frame, faces in look_through(crowd, frames, least, search_seconds)
    ]


def test_a_face_is_followed_from_one_searched_frame_to_the_next():
    detector = Finds(lambda number: [face(10 + 4 * number)])
    assert seen(detector, film(10)) == [(number, [10 + 4 * number]) for number in range(10)]
    assert (detector.everywhere, detector.around) == ([0, 4, 8, 9], [1, 2, 3, 5, 6, 7])


def test_without_a_time_each_frame_is_searched_everywhere():
    detector = Finds(lambda number: [face(10)])
    seen(detector, film(5), search_seconds=0.0)
    assert (detector.everywhere, detector.around) == (list(range(5)), [])


@pytest.mark.parametrize(
    "faces_of",
    [
        lambda number: [face(10)] + [face(100)] * (number >= 2),  # somebody comes
        lambda number: [face(10)] * (number < 2),  # somebody goes
        lambda number: [face(10 if number < 2 else 120)],  # somebody else
        lambda number: [face(10, 20 if number < 2 else 40)],
    ],
)
def test_where_somebody_comes_or_goes_all_frames_are_searched_everywhere(faces_of):
    detector = Finds(faces_of)
    frames = seen(detector, film(5))
    assert [lefts for _, lefts in frames] == [[round(f.xyxy_px[0]) for f in faces_of(number)] for number in range(5)]
    assert sorted(detector.everywhere) == list(range(5))


def test_a_frame_that_shows_another_number_is_searched_everywhere():
    detector = Finds(lambda number: [face(10)] * (number != 2))
    assert [len(lefts) for _, lefts in seen(detector, film(5))] == [1, 1, 0, 1, 1]
    assert detector.everywhere == [0, 4, 2]


def test_a_frame_of_another_shot_is_searched_everywhere():
    detector = Finds(lambda number: [face(10)] + [face(100)] * (number == 2))
    frames = seen(detector, film(5, level=lambda number: 200 if number == 2 else 90))
    assert frames[2] == (2, [10, 100])
    assert detector.around == [1, 3]


def test_quick_looks_stand_for_themselves():
    detector = Finds(lambda number: [face(10)])
    frames = seen(detector, film(6), least=lambda frame: 8.0 if frame.index == 2 else 0.0)
    assert [index for index, _ in frames] == list(range(6))
    assert detector.around == [4]


def test_frames_that_wait_are_few_and_small(monkeypatch):
    detector = Finds(lambda number: [face(10)])
    seen(detector, film(20, gap_seconds=0.01), search_seconds=5)
    assert detector.everywhere == [0, 8, 16, 19]
    monkeypatch.setattr(module, "MOST_BYTES", 2 * 90 * 160 * 3)
    detector = Finds(lambda number: [face(10)])
    seen(detector, film(7), search_seconds=5)
    assert detector.everywhere == [0, 3, 6]


def test_a_crowd_is_searched_in_each_frame():
    detector = Finds(lambda number: [face(15 * i, 10) for i in range(9)])
    seen(detector, film(4))
    assert detector.everywhere == list(range(4))
