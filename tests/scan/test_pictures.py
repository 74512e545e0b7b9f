import cv2
import numpy as np
import pytest

from unmask.scan.pictures import CROP_PX, SCENE_PX, STRIP, crop_jpeg, map_png, pictures_of, small_frame, telling
from unmask.types import CropScore, Face, FaceQuality, PersonVerdict, ScoredFace


def seen(logits, person=1, sides=None):
    """Return a person's faces, one a second."""
    faces = []
    for i, logit in enumerate(logits):
        side = 50 if sides is None else sides[i]
        score = CropScore(float(logit), np.full((4, 4), 0.2, np.float32))
        face = Face((10, 20, 10 + side, 20 + side), 0.9)
        quality = FaceQuality(side, 0.1, 0.9)
        faces.append(
            ScoredFace(person, 10 * i, float(i), face, (score,), np.zeros((96, 96, 3), np.uint8), quality, b"jpeg")
        )
    return faces


def person(number=1):
    return PersonVerdict(number, "fake", 0.9, 0, 1, 9, {}, b"")


def decoded(content, flags=cv2.IMREAD_COLOR):
    return cv2.imdecode(np.frombuffer(content, np.uint8), flags)


def test_the_strip_is_spread_over_time_and_has_the_highest_score_of_each_part():
    group = seen([0, 1, 2, 5, 4, 3] * 6)
    strip = telling(group)
    assert len(strip) == STRIP
    assert [face.time_seconds for face in strip] == [3 + 6 * i for i in range(6)]
    assert max(group, key=lambda face: face.fake_probability).fake_probability in [
        face.fake_probability for face in strip
    ]


@pytest.mark.parametrize("count", [1, 2, 5, 7])
def test_few_frames_give_a_short_strip(count):
    strip = telling(seen(range(count)))
    assert len(strip) == min(count, STRIP)
    assert len({face.index for face in strip}) == len(strip)


def test_of_equal_scores_the_face_that_can_be_seen_best_is_shown():
    assert telling(seen([1.0, 1.0], sides=[40, 90]) * 1)[-1].face.side_px == 90
    (only,) = telling(seen([1.0] * 1))
    assert only.index == 0


def test_each_person_gets_their_own_pictures_in_the_order_of_the_verdict():
    frames = {10 * i: small_frame(np.zeros((480, 960, 3), np.uint8)) for i in range(3)}
    first, second = seen([0, 1, 2]), seen([3, 2, 1], person=2, sides=[50, 90, 60])
    pictures = pictures_of([person(2), person(1)], [*first, *second], frames)
    assert [each.person for each in pictures] == [2, 1]
    scene = pictures[0].scene
    assert scene.time_seconds == 1.0, "the largest face"
    assert (scene.width_px, scene.height_px) == (SCENE_PX, SCENE_PX // 2)
    assert scene.xyxy_px == (5, 10, 50, 55), "in pixels of the small frame"
    thirds = {10: small_frame(np.zeros((720, 1440, 3), np.uint8))}
    (other,) = pictures_of([person()], first, thirds)
    assert other.scene.xyxy_px == (3.3, 6.7, 20.0, 23.3), "to a tenth of a pixel"


def test_the_scene_is_of_a_frame_that_was_kept():
    small = small_frame(np.zeros((48, 96, 3), np.uint8))
    (shown,) = pictures_of([person()], seen([1, 1, 1], sides=[60, 90, 70]), {0: small, 20: small})
    assert shown.scene.time_seconds == 2.0
    (hidden,) = pictures_of([person()], seen([1, 1]), {})
    assert hidden.scene is None


def test_nothing_is_shown_where_nothing_was_kept():
    group = [ScoredFace(*(getattr(face, name) for name in ScoredFace.__slots__[:-1])) for face in seen([1, 2])]
    assert pictures_of([person()], group, {}) == ()


def test_maps_are_exact_to_the_level_of_gray():
    map_hw = np.linspace(-0.1, 1.1, 28 * 28, dtype=np.float32).reshape(28, 28)
    read = decoded(map_png(map_hw), cv2.IMREAD_UNCHANGED)
    assert np.abs(read / 255 - map_hw.clip(0, 1)).max() <= 0.5 / 255 + 1e-6


def test_crops_and_frames_keep_their_colours_and_are_never_enlarged():
    red = np.zeros((30, 60, 3), np.uint8)
    red[..., 0] = 200
    small = small_frame(red)
    assert (small.width_px, small.height_px, small.scale) == (60, 30, 1.0)
    assert decoded(small.jpeg)[15, 30] == pytest.approx([0, 0, 200], abs=4)
    assert decoded(crop_jpeg(red[:, :30])).shape == (CROP_PX, CROP_PX, 3)


def test_a_verdict_has_pictures_unless_they_are_not_wanted(scanner, short_clips):
    verdict = scanner.scan(short_clips["blended"])
    (pictures,) = verdict.pictures
    assert [s.time_seconds for s in pictures.strip] == sorted(s.time_seconds for s in pictures.strip)
    scores = {frame.time_seconds: frame.fake_probability for frame in verdict.frames}
    assert all(scores[s.time_seconds] == s.fake_probability for s in pictures.strip)
    assert all(decoded(s.map_png, cv2.IMREAD_UNCHANGED).shape == (28, 28) for s in pictures.strip)
    assert decoded(pictures.scene.jpeg).shape == (pictures.scene.height_px, pictures.scene.width_px, 3)
    assert verdict.to_dict()["pictures"] == []
    assert len(verdict.to_dict(pictures=True)["pictures"][0]["strip"]) == 6
