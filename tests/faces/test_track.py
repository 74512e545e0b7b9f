import numpy as np

from unmask.faces import Tracker
from unmask.types import Face, Frame


def face(x, y, side=40.0):
    return Face((x, y, x + side, y + side), 0.9, np.zeros((5, 2), np.float32))


def frame(seconds, grey=100):
    return Frame(np.full((200, 300, 3), grey, np.uint8), seconds, int(seconds * 30))


def test_two_people_who_move_keep_their_numbers():
    tracker = Tracker()
    for i in range(8):
        faces = [face(10 + 15 * i, 20), face(250 - 15 * i, 120)]
        order = [0, 1] if i % 2 else [1, 0]
        numbers = tracker.update(frame(i * 0.3), [faces[k] for k in order])
        assert [numbers[order.index(k)] for k in (0, 1)] == [2, 1]


def test_a_face_that_is_missed_for_a_while_is_the_same_person():
    tracker = Tracker()
    assert tracker.update(frame(0), [face(50, 50)]) == [1]
    assert tracker.update(frame(0.3), []) == []
    assert tracker.update(frame(0.6), [face(55, 52)]) == [1]


def test_motion_carries_a_fast_face():
    tracker = Tracker()
    numbers = [tracker.update(frame(i * 0.3), [face(20.0 * i, 50)])[0] for i in range(10)]
    assert numbers == [1] * 10


def test_another_place_or_size_is_another_person():
    tracker = Tracker()
    assert tracker.update(frame(0), [face(10, 10)]) == [1]
    assert tracker.update(frame(0.3), [face(200, 120)]) == [2]
    assert tracker.update(frame(0.6), [face(10, 10, 120.0)]) == [3]


def test_a_shot_cut_forgets_everybody():
    tracker = Tracker()
    assert tracker.update(frame(0, grey=40), [face(50, 50)]) == [1]
    assert tracker.update(frame(0.3, grey=45), [face(50, 50)]) == [1]
    assert tracker.update(frame(0.6, grey=220), [face(50, 50)]) == [2]


def test_one_face_is_claimed_once():
    tracker = Tracker()
    assert tracker.update(frame(0), [face(50, 50)]) == [1]
    assert sorted(tracker.update(frame(0.3), [face(52, 50), face(48, 50)])) == [1, 2]
