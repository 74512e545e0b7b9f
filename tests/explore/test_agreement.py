import sys

import cv2
import numpy as np
import pytest

from unmask.errors import UsageError
from unmask.explore.agreement import DOUBTS, Agreement, Vote
from unmask.faces import load_detector
from unmask.types import DetectorSpec, Face, Frame

EMPTY = np.zeros((400, 600, 3), np.uint8)


def face(x: float, y: float, width: float, height: float | None = None, confidence: float = 0.9) -> Face:
    return Face((x, y, x + width, y + (height or width)), confidence)


def votes_on_one_frame(**faces: list[Face]) -> list[Vote]:
    agreement = Agreement(list(faces))
    agreement.add(Frame(EMPTY, 0.5, 12), faces)
    return agreement.result()


def doubts_of(*faces: Face) -> list[tuple[str, ...]]:
    """Doubts of faces that one detector found in one frame, in the order given."""
    votes = votes_on_one_frame(only=list(faces))
    return [next(vote.doubts for vote in votes if vote.face is face) for face in faces]


def film(portrait: np.ndarray, frames: int = 5, *, moving: bool = True, flicker: bool = False) -> list[Frame]:
    """A large portrait that moves sideways, above a small one that hangs still, with sensor noise."""
    rng = np.random.default_rng(0)
    images = []
    for i in range(frames):
        canvas = np.full((640, 720, 3), 110, np.uint8)
        x = 40 * i * moving
        canvas[:400, x : x + 400] = cv2.resize(portrait, (400, 400), interpolation=cv2.INTER_AREA)
        poster = cv2.resize(portrait, (220, 220), interpolation=cv2.INTER_AREA)
        canvas[410:630, 480:700] = cv2.convertScaleAbs(poster, alpha=1 - 0.15 * (i % 2) * flicker)
        images.append(np.clip(canvas + rng.normal(0, 1.5, canvas.shape), 0, 255).astype(np.uint8))
    return [Frame(image, i / 5, 6 * i) for i, image in enumerate(images)]


def watch(frames: list[Frame], names: tuple[str, ...] = ("mtcnn", "haar")) -> list[Vote]:
    detectors = {name: load_detector(DetectorSpec(detector=name, scale=1.0)) for name in names}
    agreement = Agreement(names)
    for frame in frames:
        agreement.add(frame, {name: detector.detect(frame.image_HW3) for name, detector in detectors.items()})
    return agreement.result()


def test_overlapping_boxes_are_one_face_led_by_the_first_detector():
    ours, theirs, far = face(100, 100, 100, confidence=0.6), face(110, 110, 100, confidence=1.0), face(400, 100, 90)
    votes = votes_on_one_frame(mtcnn=[ours], haar=[far, theirs])
    assert [vote.faces for vote in votes] == [{"mtcnn": ours, "haar": theirs}, {"haar": far}]
    assert [vote.votes for vote in votes] == [2, 1]
    assert votes[0].face is ours
    assert (votes[0].frame_index, votes[0].time_seconds) == (12, 0.5)


def test_a_detector_votes_once_for_a_face_and_joins_the_nearest():
    left, right = face(100, 100, 100), face(150, 100, 100)
    surer, weaker = face(140, 100, 100, confidence=0.9), face(145, 100, 100, confidence=0.5)
    votes = votes_on_one_frame(mtcnn=[left, right], haar=[weaker, surer])
    assert [vote.faces for vote in votes] == [{"mtcnn": left, "haar": weaker}, {"mtcnn": right, "haar": surer}]
    assert len(votes_on_one_frame(mtcnn=[left, face(105, 100, 100)])) == 2


@pytest.mark.parametrize(
    ("finders", "detectors", "alone"), [(1, 1, False), (1, 2, True), (1, 3, True), (2, 3, False), (2, 4, True)]
)
def test_alone_is_what_no_more_than_half_of_the_detectors_found(finders, detectors, alone):
    faces = {f"detector{i}": [face(100, 100, 100)] * (i < finders) for i in range(detectors)}
    (vote,) = votes_on_one_frame(**faces)
    assert vote.votes == finders
    assert ("alone" in vote.doubts) == alone


def test_nested_is_a_face_inside_a_larger_one():
    assert doubts_of(face(100, 100, 100), face(120, 120, 45)) == [(), ("nested",)]
    assert doubts_of(face(100, 100, 100), face(190, 120, 45)) == [(), ()]
    assert doubts_of(face(100, 100, 100), face(100, 100, 100)) == [(), ()]


@pytest.mark.parametrize(
    ("x", "y", "side", "torso"),
    [
        (110, 200, 50, True),  # on the chest
        (110, 100, 50, False),  # beside the chin: less than one face height below
        (300, 200, 50, False),  # next to the shoulder
        (110, 340, 50, True),
        (110, 200, 100, False),  # as large as the face itself
    ],
)
def test_torso_is_a_smaller_face_below_a_face(x, y, side, torso):
    assert ("torso" in doubts_of(face(100, 50, 80, 100), face(x, y, side))[1]) == torso
    assert "torso" not in doubts_of(face(100, 50, 80, 100), face(x, y, side))[0]


def test_small_is_below_the_usual_size_in_the_video():
    agreement = Agreement(["only"])
    sides = [100, 104, 100, 39, 41]
    for i, side in enumerate(sides):
        agreement.add(Frame(EMPTY, i / 5, i), {"only": [face(90 * i, 100, side)]})
    assert [vote.doubts for vote in agreement.result()] == [(), (), (), ("small",), ()]


def test_a_poster_is_still_and_a_person_is_not(portrait):
    frames = film(portrait)
    votes = watch(frames)
    large = [vote for vote in votes if vote.face.side_px > 70]
    poster = [vote for vote in votes if vote.face.xyxy_px[1] > 410 and vote.face.xyxy_px[0] > 480]
    assert [vote.frame_index for vote in poster] == [frame.index for frame in frames]
    assert all("still" in vote.doubts for vote in poster)
    assert len(large) >= len(frames)
    assert not any("still" in vote.doubts for vote in large)
    assert all({"mtcnn", "haar"} == set(vote.faces) for vote in large)


@pytest.mark.parametrize(
    ("frames", "settings"), [(5, {"moving": False}), (2, {}), (5, {"flicker": True})], ids=["photo", "short", "alive"]
)
def test_no_poster_without_contrast_to_the_rest(portrait, frames, settings):
    assert not any("still" in vote.doubts for vote in watch(film(portrait, frames, **settings), ("mtcnn",)))


def test_a_poster_must_be_seen_in_every_frame(portrait):
    poster = face(500, 430, 100, confidence=0.8)
    for missing, still in ((None, True), (3, False)):
        agreement = Agreement(["only"])
        for i, frame in enumerate(film(portrait)):
            jitter = face(501, 430, 100)  # moves less than the pixels beneath would
            agreement.add(frame, {"only": [] if i == missing else [jitter if i % 2 else poster]})
        assert all(("still" in vote.doubts) == still for vote in agreement.result())


def test_no_face_no_vote():
    agreement = Agreement(["only"])
    assert agreement.result() == []
    agreement.add(Frame(EMPTY, 0.0, 0), {"only": []})
    assert agreement.result() == []


def test_a_box_outside_the_frame_is_no_trouble():
    agreement = Agreement(["only"])
    for i in range(3):
        agreement.add(Frame(EMPTY, i / 5, i), {"only": [face(-200, -200, 100)]})
    assert [vote.doubts for vote in agreement.result()] == [()] * 3


def test_other_detectors_than_announced_are_refused():
    with pytest.raises(UsageError, match="haar"):
        Agreement(["mtcnn", "haar"]).add(Frame(EMPTY, 0.0, 0), {"mtcnn": []})


def test_frames_are_not_kept():
    agreement = Agreement(["only"])
    image = np.zeros((400, 600, 3), np.uint8)
    before = sys.getrefcount(image)
    agreement.add(Frame(image, 0.0, 0), {"only": [face(100, 100, 100)]})
    assert sys.getrefcount(image) == before


def test_each_doubt_has_a_sentence():
    assert all(sentence.endswith(".") for sentence in DOUBTS.values())
