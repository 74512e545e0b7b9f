"""Frames full of faces: what they may cost, and what is said of those that are left out."""

import time

import numpy as np
import pytest

from unmask.errors import TimedOutError
from unmask.scan import crowd as module
from unmask.scan.crowd import MAX_FACES_A_FILE, MAX_FACES_A_FRAME, MIN_FACES_A_FRAME, Crowd
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
    crowd = Crowd(Finds(20, 90, 50), 60)
    assert sides(crowd.look(IMAGE, 1)) == [20, 90, 50]
    assert (crowd.warnings(), crowd.limit(REAL)) == ((), REAL)


def test_of_many_the_largest_are_judged_and_the_others_counted():
    crowd = Crowd(Finds(*range(10, 110)), 60)
    assert sides(crowd.look(IMAGE, 1)) == list(range(110 - MAX_FACES_A_FRAME, 110))
    assert crowd.warnings() == (
        "68 faces in 1 frame were not judged: the largest of each are, at most 32, and about 1024 of a file.",
    )
    limited = crowd.limit(REAL)
    assert (limited.label, limited.fake_probability) == ("inconclusive", 0.1)
    assert "68 smaller ones were left out" in limited.reasons[0]
    assert crowd.limit(None) is None


@pytest.mark.parametrize(("small", "label"), [(33, "real"), (34, "inconclusive")])
def test_a_background_that_is_far_smaller_keeps_nothing_from_being_real(small, label):
    crowd = Crowd(Finds(*[100] * MAX_FACES_A_FRAME, *[small] * 50), 60)
    assert len(crowd.look(IMAGE, 1)) == MAX_FACES_A_FRAME
    assert crowd.limit(REAL).label == label


@pytest.mark.parametrize("frames", [1, 8, 32, 100, 200, 1000])
def test_the_faces_of_a_file_are_shared_among_its_frames(frames):
    crowd = Crowd(Finds(*range(10, 60)), 60)
    counts = [len(crowd.look(IMAGE, frames - i)) for i in range(frames)]
    assert sum(counts) <= max(MAX_FACES_A_FILE, MIN_FACES_A_FRAME * frames)
    assert min(counts) >= min(MAX_FACES_A_FRAME, MAX_FACES_A_FILE // frames, 50) or min(counts) == MIN_FACES_A_FRAME
    assert max(counts) - min(counts) <= 1


def test_looking_for_faces_has_an_end(monkeypatch):
    now = iter(np.arange(0, 1000, 0.5))
    monkeypatch.setattr(time, "thread_time", lambda: next(now))
    crowd = Crowd(Finds(50), 2.1)
    for _ in range(4):
        crowd.look(IMAGE, 1)
    with pytest.raises(TimedOutError, match=r"in 5 frames, more than the limits allow; see --limits seconds="):
        crowd.look(IMAGE, 1)


def test_many_frames_have_more_time(monkeypatch):
    now = iter(np.arange(0, 1000, 0.5))
    monkeypatch.setattr(time, "thread_time", lambda: next(now))
    monkeypatch.setattr(module, "_FRAMES_IN_TIME", 4)
    crowd = Crowd(Finds(50), 2.1)
    for _ in range(40):
        crowd.look(IMAGE, 1)
