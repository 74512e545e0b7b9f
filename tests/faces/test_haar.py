import threading
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from tests.faces.scenes import scene
from tests.media_factory import on_canvas
from unmask.errors import ModelError
from unmask.faces import load_detector
from unmask.faces.track import iou
from unmask.scan.decide import judge
from unmask.types import CropScore, DetectorSpec, Face, FaceQuality, ScoredFace


def overlap(a: Face, b: Face) -> float:
    return iou(np.asarray(a.xyxy_px), np.asarray(b.xyxy_px))


def test_agrees_with_mtcnn_on_the_portrait(portrait):
    (haar,) = load_detector(DetectorSpec(detector="haar", scale=1.0)).detect(portrait)
    (mtcnn,) = load_detector(DetectorSpec(scale=1.0)).detect(portrait)
    assert overlap(haar, mtcnn) > 0.5
    assert haar.confidence == 1.0
    assert haar.landmarks_px is None


def test_boxes_are_those_of_the_notebook(portrait):
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
    grey = cv2.cvtColor(portrait, cv2.COLOR_RGB2GRAY)
    expected = {(x, y, x + w, y + h) for x, y, w, h in cascade.detectMultiScale(grey, 1.3, 5).tolist()}
    found = load_detector(DetectorSpec(detector="haar", scale=1.0)).detect(portrait)
    assert {face.xyxy_px for face in found} == expected


def test_boxes_are_in_frame_pixels_largest_first(portrait):
    canvas = on_canvas(portrait, (900, 520), (380, 0), 500)
    canvas[200:500, 20:320] = cv2.resize(portrait, (300, 300), interpolation=cv2.INTER_AREA)
    whole = load_detector(DetectorSpec(detector="haar", scale=1.0)).detect(canvas)
    half = load_detector(DetectorSpec(detector="haar", scale=0.5)).detect(canvas)
    assert len(whole) == 2
    assert whole[0].side_px > whole[1].side_px
    assert overlap(whole[0], half[0]) > 0.6


def test_min_face_px_leaves_small_faces_out(portrait):
    assert load_detector(DetectorSpec(detector="haar", scale=1.0, min_face_px=150)).detect(portrait) == []


@pytest.mark.parametrize("shape", [(1, 1), (12, 12), (13, 500), (40, 19)])
def test_tiny_pictures_have_no_face(shape):
    assert load_detector(DetectorSpec(detector="haar")).detect(np.zeros((*shape, 3), np.uint8)) == []


@pytest.mark.slow
def test_threads_share_one_instance():
    detector = load_detector(DetectorSpec(detector="haar", scale=1.0))
    scenes = [scene(number) for number in range(12)]
    expected = [[face.xyxy_px for face in detector.detect(image)] for image in scenes]
    together = threading.Barrier(4)

    def run(_: int) -> list[list[tuple[float, ...]]]:
        together.wait()
        return [[face.xyxy_px for face in detector.detect(image)] for image in scenes]

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(run, range(4))) == [expected] * 4
    assert any(expected)


def test_a_missing_cascade_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(cv2.data, "haarcascades", str(tmp_path))
    with pytest.raises(ModelError, match="pip install 'opencv-python-headless"):
        load_detector(DetectorSpec(detector="haar"))


@pytest.mark.parametrize(("landmarks", "named"), [(False, False), (True, True)])
def test_faces_without_landmarks_are_judged_without_a_region(scanner, portrait, landmarks, named):
    face = load_detector(DetectorSpec(detector="mtcnn" if landmarks else "haar", scale=1.0)).detect(portrait)[0]
    score = CropScore(9.0, np.eye(8, dtype=np.float32))
    quality = FaceQuality(100.0, 0.1, 1.0)
    sightings = [ScoredFace(1, i, i / 5, face, (score,), portrait[:96, :96], quality) for i in range(16)]
    judgement = judge(sightings, scanner.cards)
    assert judgement.label == "fake"
    assert (judgement.faces[0].region is not None) == named


def test_landmarks_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"\(5, 2\)"):
        Face((0, 0, 1, 1), 1.0, np.zeros((4, 2), np.float32))
