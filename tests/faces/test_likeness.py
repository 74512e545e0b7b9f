import cv2
import numpy as np
import pytest

from unmask.faces.likeness import SeenTrack, join_same_views, look_distance, look_of


def test_brightness_does_not_count_and_another_face_does(portrait, blended):
    face = portrait[60:316, 130:386]
    brighter = np.clip(face.astype(int) + 15, 0, 255).astype(np.uint8)
    blurred = cv2.GaussianBlur(face, (0, 0), 2)
    turned = np.ascontiguousarray(face[::-1])
    one = look_of(face)
    assert look_distance(one, look_of(brighter)) < 4
    assert look_distance(one, look_of(blurred)) < 4
    assert look_distance(one, look_of(blended[60:316, 130:386])) < 12
    assert look_distance(one, look_of(turned)) > 40


def track(number, shot, faces, at=(50.0, 50.0)):
    box = (*at, at[0] + 100, at[1] + 100)
    return SeenTrack(number, shot, np.array([box] * len(faces)), np.stack([look_of(face) for face in faces]))


@pytest.fixture
def two(portrait):
    """Two people, each as they look a little later, too."""
    first = portrait[60:316, 130:386]
    second = np.ascontiguousarray(first[:, ::-1, ::-1])
    return [[face, cv2.GaussianBlur(face, (0, 0), 3), np.roll(face, 8, 1)] for face in (first, second)]


def test_an_interview_has_two_people(two):
    tracks = [track(number, number, two[number % 2][number % 3 :]) for number in range(6)]
    assert join_same_views(tracks) == {0: 0, 1: 1, 2: 0, 3: 1, 4: 0, 5: 1}


def test_another_place_or_the_same_shot_is_another_person(two):
    first = two[0]
    assert join_same_views([track(1, 0, first), track(2, 1, first, (260.0, 50.0))]) == {1: 1, 2: 2}
    assert join_same_views([track(1, 0, first), track(2, 0, first)]) == {1: 1, 2: 2}
    assert join_same_views([track(1, 0, first), track(2, 1, first), track(3, 1, first)]) == {1: 1, 2: 1, 3: 3}
