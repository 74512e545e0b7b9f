import importlib.util
import math
import sys
import threading
from types import ModuleType

import numpy as np
import pytest

from unmask.errors import UsageError
from unmask.faces import load_detector
from unmask.faces.dlib_hog import score_to_confidence
from unmask.faces.track import iou
from unmask.types import DetectorSpec

installed = pytest.mark.skipif(importlib.util.find_spec("dlib") is None, reason="dlib is not installed")


class FakeRectangle:
    """As dlib's: the last pixel counts."""

    def __init__(self, left: int, top: int, side: int) -> None:
        self._left, self._top, self._side = left, top, side

    def left(self) -> int:
        return self._left

    def top(self) -> int:
        return self._top

    def right(self) -> int:
        return self._left + self._side - 1

    def bottom(self) -> int:
        return self._top + self._side - 1

    def width(self) -> int:
        return self._side

    def height(self) -> int:
        return self._side


@pytest.fixture
def fake_dlib(monkeypatch) -> ModuleType:
    """A module whose detector finds two faces, and notes how it was called and how many there are."""
    module = ModuleType("dlib")
    module.calls, module.made = [], []

    class Detector:
        def run(self, image, upsample_num_times, adjust_threshold):
            module.calls.append((image.shape, upsample_num_times, adjust_threshold))
            return [FakeRectangle(-4, 10, 50), FakeRectangle(100, 20, 90)], [0.0, 1.5], [3, 0]

    def make() -> Detector:
        module.made.append(threading.get_ident())
        return Detector()

    module.get_frontal_face_detector = make
    monkeypatch.setitem(sys.modules, "dlib", module)
    return module


def test_boxes_are_in_frame_pixels_largest_first(fake_dlib):
    faces = load_detector(DetectorSpec(detector="dlib", scale=0.5)).detect(np.zeros((300, 400, 3), np.uint8))
    assert [face.xyxy_px for face in faces] == [(200, 40, 380, 220), (-8, 20, 92, 120)]
    assert [face.confidence for face in faces] == [pytest.approx(0.8176, abs=1e-4), 0.5]
    assert all(face.landmarks_px is None for face in faces)
    assert fake_dlib.calls == [((150, 200, 3), 1, 0.0)]


def test_large_faces_need_no_upsampling(fake_dlib):
    detector = load_detector(DetectorSpec(detector="dlib", scale=1.0, min_face_px=80))
    assert len(detector.detect(np.zeros((300, 400, 3), np.uint8))) == 1
    assert fake_dlib.calls == [((300, 400, 3), 0, 0.0)]


def test_each_thread_has_its_own_detector(fake_dlib):
    detector = load_detector(DetectorSpec(detector="dlib"))
    threads = [threading.Thread(target=detector.detect, args=(np.zeros((40, 40, 3), np.uint8),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(fake_dlib.made) == 1 + len(threads)


def test_without_dlib_the_message_names_the_cure(monkeypatch):
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(UsageError, match="pip install dlib"):
        load_detector(DetectorSpec(detector="dlib"))


def test_confidence_grows_with_the_score_within_0_and_1():
    scores = [-math.inf, -1e4, -2.0, 0.0, 0.3, 1.5, 1e4, math.inf]
    confidences = [score_to_confidence(score) for score in scores]
    assert confidences == sorted(confidences)
    assert (confidences[0], confidences[3], confidences[-1]) == (0.0, 0.5, 1.0)
    assert score_to_confidence(1.0) == pytest.approx(1 / (1 + math.exp(-1)))


@installed
def test_agrees_with_mtcnn_on_the_portrait(portrait):
    faces = load_detector(DetectorSpec(detector="dlib", scale=1.0)).detect(portrait)
    (mtcnn,) = load_detector(DetectorSpec(scale=1.0)).detect(portrait)
    best = max(faces, key=lambda face: face.confidence)
    assert iou(np.asarray(best.xyxy_px), np.asarray(mtcnn.xyxy_px)) > 0.5
    assert best.confidence > 0.7


@installed
@pytest.mark.parametrize("shape", [(1, 1), (12, 12), (13, 500), (40, 19)])
def test_tiny_pictures_have_no_face(shape):
    assert load_detector(DetectorSpec(detector="dlib")).detect(np.zeros((*shape, 3), np.uint8)) == []
