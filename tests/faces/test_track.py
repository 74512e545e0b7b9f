import cv2
import numpy as np

from unmask.faces import Tracker, track
from unmask.faces.likeness import look_of
from unmask.types import Face


def face(x, y, side=40.0):
    return Face((x, y, x + side, y + side), 0.9, np.zeros((5, 2), np.float32))


def look(seed, change=0):
    """Return how somebody looks: a coarse pattern of their own, and a little change."""
    rng = np.random.default_rng(seed)
    coarse = cv2.resize(rng.uniform(0, 255, (4, 4, 3)).astype(np.float32), (96, 96))
    return look_of(np.clip(coarse + change, 0, 255).astype(np.uint8))


def test_two_people_who_move_keep_their_numbers():
    tracker = Tracker()
    for i in range(8):
        faces = [face(10 + 15 * i, 20), face(250 - 15 * i, 120)]
        order = [0, 1] if i % 2 else [1, 0]
        numbers = tracker.update(i * 0.3, [faces[k] for k in order])
        assert [numbers[order.index(k)] for k in (0, 1)] == [2, 1]


def test_a_face_that_is_missed_for_a_while_is_the_same_person():
    tracker = Tracker()
    assert tracker.update(0, [face(50, 50)]) == [1]
    assert tracker.update(0.3, []) == []
    assert tracker.update(0.6, [face(55, 52)]) == [1]


def test_motion_carries_a_fast_face():
    tracker = Tracker()
    numbers = [tracker.update(i * 0.3, [face(20.0 * i, 50)])[0] for i in range(10)]
    assert numbers == [1] * 10


def test_another_place_or_size_is_another_person():
    tracker = Tracker()
    assert tracker.update(0, [face(10, 10)]) == [1]
    assert tracker.update(0.3, [face(200, 120)]) == [2]
    assert tracker.update(0.6, [face(10, 10, 120.0)]) == [3]


def test_a_shot_cut_forgets_everybody():
    tracker = Tracker()
    assert tracker.update(0, [face(50, 50)]) == [1]
    assert tracker.update(0.3, [face(50, 50)]) == [1]
    assert tracker.update(0.6, [face(50, 50)], shot=1) == [2]


def test_one_face_is_claimed_once():
    tracker = Tracker()
    assert tracker.update(0, [face(50, 50)]) == [1]
    assert sorted(tracker.update(0.3, [face(52, 50), face(48, 50)])) == [1, 2]


def test_another_face_at_the_same_place_is_another_track():
    """As where a cut was not seen."""
    tracker = Tracker()
    numbers = [tracker.update(0.3 * i, [face(50, 50)], [look(0, i)])[0] for i in range(6)]
    assert numbers == [1] * 6
    assert tracker.update(2.1, [face(50, 50)], [look(1)]) == [2]
    assert tracker.update(2.4, [face(50, 50)], [None]) == [2]


def test_after_a_gap_only_a_like_face_goes_on():
    tracker = Tracker()
    assert tracker.update(0, [face(50, 50), face(200, 120)], [look(0), look(1)]) == [1, 2]
    assert tracker.update(2, [], []) == []
    assert tracker.update(9, [face(52, 50), face(198, 120)], [look(0, 8), look(2)]) == [1, 3]


def test_who_is_in_each_frame_goes_on_however_far_apart_these_are():
    tracker = Tracker()
    numbers = [tracker.update(20.0 * i, [face(50, 50)], [look(0, 5 * i)])[0] for i in range(5)]
    assert numbers == [1] * 5


def test_a_crowd_is_compared_with_its_neighbours_only(monkeypatch):
    """Each frame of 1,600 faces has 2.5 million pairs; only those that overlap are looked at one by one."""
    looked = []
    monkeypatch.setattr(track, "_may_be_one", lambda *pair: looked.append(pair) or True)
    crowd = [Face((x, y, x + 20, y + 20), 1.0) for x in range(0, 1200, 30) for y in range(0, 1200, 30)]
    tracker = Tracker()
    first = tracker.update(0.0, crowd)
    assert tracker.update(0.1, crowd[::-1]) == first[::-1]
    assert len(looked) == len(crowd)
