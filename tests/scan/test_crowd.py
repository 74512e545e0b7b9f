"""Frames full of faces: what they may cost, and what is said of those that are left out."""

import time

import numpy as np
import pytest

from tests.scan.sayable import assert_sayable
from unmask.errors import TimedOutError
from unmask.scan import crowd as module
from unmask.scan.crowd import FACES_BEYOND, MAX_FACES_A_FILE, MAX_FACES_A_FRAME, Crowd, are_alike, in_small, pairs_of
from unmask.scan.decide import Judgement
from unmask.types import Face

IMAGE = np.zeros((8, 8, 3), np.uint8)
REAL = Judgement("real", 0.1, ("Nobody looks manipulated.",), (), (), ())


class Finds:
    """A detector that finds faces of these sides, in this order."""

    def __init__(self, *sides):
        self.sides = sides

    def detect(self, _):
        return [Face((i, 0, i + side, side), 0.9) for i, side in enumerate(self.sides)]


def sides(faces):
    return [face.side_px for face in faces]


def test_a_few_faces_are_all_judged_in_the_order_in_which_they_were_found():
    crowd = Crowd(Finds(20, 90, 50), 60, 10)
    assert sides(crowd.look(IMAGE)) == [20, 90, 50]
    assert (crowd.warnings(), crowd.limit(REAL)) == ((), REAL)


class FindsAgain(Finds):
    """A detector that finds them again where they were, while they are there."""

    def __init__(self, *sides):
        super().__init__(*sides)
        self.searched, self.gone = 0, False

    def detect(self, image_HW3):
        self.searched += 1
        return super().detect(image_HW3)

    def detect_near(self, _, faces):
        return None if self.gone else list(faces)


def test_in_quick_looks_faces_are_looked_for_where_they_were():
    detector = FindsAgain(90, 20)
    crowd = Crowd(detector, 60, 10)
    assert sides(crowd.look(IMAGE, 50)) == [90, 20]
    assert sides(crowd.look(IMAGE, 50)) == [90]
    assert detector.searched == 1
    assert sides(crowd.look(IMAGE)) == [90, 20], "no quick look"
    crowd.look(np.full_like(IMAGE, 200), 50)
    assert detector.searched == 3, "another picture"
    for _ in range(15):
        crowd.look(np.full_like(IMAGE, 200), 50)
    assert detector.searched == 4, "each eighth one is searched"
    detector.gone = True
    crowd.look(np.full_like(IMAGE, 200), 50)
    assert detector.searched == 5


def test_of_many_the_largest_are_judged_and_the_others_counted():
    crowd = Crowd(Finds(*range(10, 110)), 60, 10)
    assert sides(crowd.look(IMAGE)) == list(range(110 - MAX_FACES_A_FRAME, 110))
    (warning,) = crowd.warnings()
    assert warning.startswith("68 faces in 1 frame were not judged: the largest of each frame are, at most 32, and 8 ")
    limited = crowd.limit(REAL)
    assert (limited.label, limited.fake_probability) == ("inconclusive", 0.1)
    assert "68 smaller ones were left out" in limited.reasons[0]
    assert_sayable(limited.reasons[:1])
    assert limited.reasons[1:] == REAL.reasons
    assert crowd.limit(None) is None


@pytest.mark.parametrize(("small", "label"), [(33, "real"), (34, "inconclusive")])
def test_a_background_that_is_far_smaller_keeps_nothing_from_being_real(small, label):
    crowd = Crowd(Finds(*[100] * MAX_FACES_A_FRAME, *[small] * 50), 60, 10)
    assert len(crowd.look(IMAGE)) == MAX_FACES_A_FRAME
    assert crowd.limit(REAL).label == label


@pytest.mark.parametrize("faces", [5, 25, MAX_FACES_A_FRAME, 60])
def test_the_faces_of_a_file_have_a_price_however_many_frames_it_has(faces):
    """A meeting of twenty-five tiles is judged frame after frame; only of very many frames fewer of each are."""
    crowd = Crowd(Finds(*[50] * faces), 60, 10)
    counts = [len(crowd.look(IMAGE)) for _ in range(400)]
    assert sum(counts) < MAX_FACES_A_FILE + MAX_FACES_A_FRAME + 400 * FACES_BEYOND
    assert counts[:64] == [min(faces, MAX_FACES_A_FRAME)] * 64
    assert counts[-1] == min(faces, FACES_BEYOND)
    if faces >= MAX_FACES_A_FRAME:
        assert counts[64] == FACES_BEYOND, "64 frames of 32 are as many as a file may have"
    assert crowd.limit(REAL).label == ("inconclusive" if faces > MAX_FACES_A_FRAME else "real")


def test_looking_for_faces_has_an_end(monkeypatch):
    now = iter(np.arange(0, 1000, 0.5))
    monkeypatch.setattr(time, "thread_time", lambda: next(now))
    crowd = Crowd(Finds(50), 2.1, 10)
    for _ in range(4):
        crowd.look(IMAGE)
    with pytest.raises(TimedOutError, match=r"in 5 frames, more than the limits allow; see --limits seconds="):
        crowd.look(IMAGE)


def test_many_frames_have_more_time(monkeypatch):
    now = iter(np.arange(0, 1000, 0.5))
    monkeypatch.setattr(time, "thread_time", lambda: next(now))
    monkeypatch.setattr(module, "_FRAMES_IN_TIME", 4)
    crowd = Crowd(Finds(50), 2.1, 10)
    for _ in range(40):
        crowd.look(IMAGE)


def test_a_crowd_in_a_short_film_is_searched_for_a_short_time(monkeypatch):
    now = iter(range(0, 1000, 3))  # each look takes three seconds
    monkeypatch.setattr(module.time, "thread_time", lambda: next(now))
    crowd = Crowd(Finds(*[50] * 40), 60, 0.5)
    counts = [len(crowd.look(IMAGE)) for _ in range(9)]
    assert counts == [MAX_FACES_A_FRAME] * 3 + [0] * 6  # 9 seconds are more than 6 + 2 x 0.5
    assert crowd.warnings()[0].endswith("6 frames were not searched, since a crowd takes long.")
    assert crowd.limit(REAL).label == "inconclusive"
    few = Crowd(Finds(50), 60, 0.5)
    assert [len(few.look(IMAGE)) for _ in range(9)] == [1] * 9


def box(left, top, side=20):
    return Face((left, top, left + side, top + side), 0.9)


def test_faces_of_two_frames_are_paired_with_the_nearest():
    first, second = box(0, 0), box(30, 0)
    assert pairs_of([first, second], [box(33, 2), box(1, 4)]) == [(first, box(1, 4)), (second, box(33, 2))]
    assert pairs_of([], []) == []
    assert pairs_of([first], []) is None
    assert pairs_of([first], [box(1, 4), box(33, 2)]) is None


@pytest.mark.parametrize(
    ("other", "is_one"),
    [
        (box(50, 0), True), (box(51, 0), False), (box(0, 50), True), (box(0, 51), False), (box(-50, -50), True),
        (box(0, -51), False), (box(-6, -6, 32), True), (box(-6, -6, 33), False), (box(4, 4, 12.5), True),
        (box(4, 4, 12), False),
    ],
)  # fmt: skip
def test_a_face_that_moves_or_grows_too_far_is_another(other, is_one):
    """In the time between two frames that are searched: two and a half sides, one and a half times as large."""
    assert (pairs_of([box(0, 0)], [other]) is not None) == is_one


@pytest.mark.parametrize("shape", [(90, 160), (90, 3200), (1080, 160), (1080, 1920), (9, 16)])
def test_a_frame_in_small_keeps_where_it_is_bright(shape):
    image = np.zeros((*shape, 3), np.uint8)
    image[shape[0] // 9 * 5 :, : shape[1] // 16 * 5] = 200
    small = in_small(image)
    assert small.shape == (9, 16, 3)
    assert (small[5:, :5] == 200).all()
    assert not small[:5].any()
    assert not small[:, 5:].any()


def test_frames_are_alike_by_their_mean_difference():
    dark, light = in_small(np.full((90, 160, 3), 10, np.uint8)), in_small(np.full((90, 160, 3), 50, np.uint8))
    assert are_alike(dark, light, 40.5)
    assert not are_alike(light, dark, 40)
