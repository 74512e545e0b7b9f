import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.faces.scenes import COUNT, scene
from unmask.errors import ModelError, UsageError
from unmask.faces import detect_large, detector_scale, load_detector, mtcnn, mtcnn_networks, pyramid
from unmask.faces.track import iou
from unmask.types import DetectorSpec

REFERENCE = json.loads((Path(__file__).parent / "reference_boxes.json").read_text())


@pytest.fixture(scope="module")
def detector():
    return mtcnn.Mtcnn(DetectorSpec(scale=1.0, thresholds=tuple(REFERENCE["thresholds"])))


@pytest.mark.slow
def test_finds_the_faces_of_facenet_pytorch(detector):
    matched, wanted, extra, worst_px = 0, 0, 0, 0.0
    for number in range(COUNT):
        boxes, scores, landmarks = detector.detect_scaled(scene(number))
        references = REFERENCE["scenes"][number]
        extra += max(0, len(boxes) - len(references))
        for reference in references:
            wanted += 1
            overlaps = [iou(np.asarray(reference["xyxy_px"]), box) for box in boxes.astype(float)]
            best = int(np.argmax(overlaps)) if overlaps else -1
            if best >= 0 and overlaps[best] >= 0.9:
                matched += 1
                worst_px = max(worst_px, float(np.abs(landmarks[best] - reference["landmarks_px"]).max()))
                assert scores[best] == pytest.approx(reference["score"], abs=1e-3)
    assert wanted > 100
    assert matched / wanted >= 0.995
    assert extra <= 0.005 * wanted
    assert worst_px <= 1


def test_largest_face_comes_first_in_frame_pixels():
    number = max(range(COUNT), key=lambda n: len(REFERENCE["scenes"][n]))
    faces = load_detector(DetectorSpec(scale=0.5)).detect(np.repeat(np.repeat(scene(number), 2, 0), 2, 1))
    areas = [(f.xyxy_px[2] - f.xyxy_px[0]) * (f.xyxy_px[3] - f.xyxy_px[1]) for f in faces]
    small = mtcnn.Mtcnn(DetectorSpec(scale=1.0)).detect(scene(number))
    assert len(faces) > 1
    assert areas == sorted(areas, reverse=True)
    assert faces[0].xyxy_px == pytest.approx([2 * x for x in small[0].xyxy_px], abs=2)
    assert faces[0].landmarks_px == pytest.approx(2 * small[0].landmarks_px, abs=2)


@pytest.mark.parametrize("shape", [(1, 1), (12, 12), (13, 500), (40, 19)])
def test_tiny_pictures_have_no_face(detector, shape):
    assert detector.detect(np.zeros((*shape, 3), np.uint8)) == []


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_faces_of_twice_the_least_side_are_found_as_among_all(portrait, scale):
    detector = mtcnn.Mtcnn(DetectorSpec(scale=scale))
    (face, *_), (again,) = detector.detect(portrait), detect_large(detector, portrait, 54)
    assert again.xyxy_px == face.xyxy_px
    assert again.side_px > 2 * 54
    assert [each.xyxy_px for each in detect_large(detector, portrait, 0)] == [
        each.xyxy_px for each in detector.detect(portrait)
    ]


def test_faces_are_found_again_near_where_they_were(detector, portrait):
    before, now, gone = (np.full((360, 480, 3), 120, np.uint8) for _ in range(3))
    picture = cv2.resize(portrait[:300, 80:380], (240, 240), interpolation=cv2.INTER_AREA)
    before[60:300, 100:340], now[68:308, 110:350] = picture, picture
    known, (there,) = detector.detect(before), detector.detect(now)
    (found,) = detector.detect_near(now, known)
    assert found.xyxy_px == pytest.approx(there.xyxy_px, abs=0.06 * there.side_px)
    assert found.landmarks_px == pytest.approx(there.landmarks_px, abs=0.06 * there.side_px)
    assert detector.detect_near(gone, known) is None
    assert detector.detect_near(now, [*known, *known]) is None, "one face is not two"


def test_between_two_frames_the_same_boxes_are_found(detector, portrait):
    """Two people who move, and somebody large who is in neither of the frames around."""
    picture = cv2.resize(portrait[:300, 80:380], (150, 150), interpolation=cv2.INTER_AREA)
    large = cv2.resize(portrait[:300, 80:380], (300, 300), interpolation=cv2.INTER_AREA)
    frames = [np.full((420, 900, 3), 120, np.uint8) for _ in range(3)]
    for number, frame in enumerate(frames):
        frame[20 : 20 + 150, 30 * number : 30 * number + 150] = picture
        frame[250 - 20 * number : 400 - 20 * number, 250 + 40 * number : 400 + 40 * number] = picture
    frames[1][100:400, 550:850] = large
    before, now, after = (detector.detect(frame) for frame in frames)
    assert (len(before), len(now), len(after)) == (2, 3, 2)
    pairs = [(face, min(after, key=lambda other: abs(other.xyxy_px[1] - face.xyxy_px[1]))) for face in before]
    around = detector.detect_around(frames[1], pairs)
    assert [face.xyxy_px for face in around] == [face.xyxy_px for face in now]
    assert [face.confidence for face in around] == [face.confidence for face in now]
    assert len(detector.detect_around(frames[0], pairs[:1])) < 3, "who is small and on no way may be missing"


def test_parts_of_a_level_hold_the_pixels_of_the_whole():
    image = np.random.default_rng(0).integers(0, 256, (300, 517, 3), dtype=np.uint8)
    sums = pyramid.sums_of(image)
    whole = {level.scale: level.pixels_HW3 for level in pyramid.pyramid(sums, 20)}
    ways = np.array([[[30, 40, 75, 90], [50, 40, 95, 90]], [[440, 200, 500, 280], [470, 220, 530, 300]]], np.float32)
    parts = list(pyramid.pyramid(sums, 20, ways))
    assert {part.scale for part in parts} == set(whole)
    assert sum(part.pixels_HW3.size for part in parts) < 0.5 * sum(level.size for level in whole.values())
    for part in parts:
        height, width = part.pixels_HW3.shape[:2]
        level = whole[part.scale]
        assert part.row % 2 == part.column % 2 == 0
        assert (level[part.row : part.row + height, part.column : part.column + width] == part.pixels_HW3).all()


def test_what_a_network_says_does_not_depend_on_how_many_images_it_sees():
    crops = np.random.default_rng(0).uniform(-1, 1, (19, 24, 24, 3)).astype(np.float32)
    with mtcnn_networks.lend_networks() as networks:
        together = networks.run("rnet", crops)
        alone = [networks.run("rnet", crop[None]) for crop in crops]
        nothing = networks.run("onet", np.zeros((0, 48, 48, 3), np.float32))
    for number, (output, *others) in enumerate(zip(together, *alone, strict=True)):
        assert np.concatenate(others) == pytest.approx(output, abs=1e-6), number
    assert [output.shape for output in nothing] == [(0, 2), (0, 4), (0, 10)]


def test_min_face_px_leaves_small_faces_out():
    number = next(n for n in range(COUNT) if REFERENCE["scenes"][n])
    boxes, _, _ = mtcnn.Mtcnn(DetectorSpec(scale=1.0, min_face_px=250)).detect_scaled(scene(number))
    assert len(boxes) < len(REFERENCE["scenes"][number])


@pytest.mark.parametrize(
    ("width", "height", "scale"),
    [
        (299, 100, 2),
        (300, 300, 1),
        (640, 1000, 1),
        (1280, 720, 0.5),
        (1080, 1900, 0.5),
        (1920, 1080, 0.33),
        (2160, 3840, 0.33),
    ],
)
def test_adaptive_scale_is_the_rule_of_the_challenge(width, height, scale):
    assert detector_scale(width, height) == scale
    assert detector_scale(width, height, 0.5) == 0.5


def test_unknown_detector_names_the_known_ones():
    with pytest.raises(UsageError, match="mtcnn"):
        load_detector(DetectorSpec(detector="nobody"))


def test_a_replaced_weight_file_is_refused(monkeypatch):
    monkeypatch.setitem(mtcnn_networks._SHA256, "pnet", "0" * 64)
    with pytest.raises(ModelError, match=r"mtcnn==1\.0\.0"):
        mtcnn_networks.load_weights("pnet")


def test_area_pooling_is_adaptive_average_pooling():
    image = np.random.default_rng(0).integers(0, 256, (37, 53, 3), dtype=np.uint8)
    sums = pyramid.sums_of(image)
    expected = np.empty((11, 80, 3))
    for i in range(11):
        for j in range(80):
            rows = slice(i * 37 // 11, -(-(i + 1) * 37 // 11))
            columns = slice(j * 53 // 80, -(-(j + 1) * 53 // 80))
            expected[i, j] = (image[rows, columns].mean((0, 1)) - 127.5) / 128
    assert pyramid.area_pool(sums, (11, 80)) == pytest.approx(expected, abs=1e-6)
    crops = pyramid.area_crops(sums, np.array([[0, 0, 53, 37], [5, 7, 30, 20]]), 24)
    assert crops[0] == pytest.approx(pyramid.area_pool(sums, (24, 24)), abs=1e-6)
    assert crops[1] == pytest.approx(pyramid.area_pool(pyramid.sums_of(image[7:20, 5:30]), (24, 24)), abs=1e-6)


def test_of_too_many_candidates_the_largest_faces_remain(portrait, monkeypatch):
    """A frame of a few kilobytes can show thousands of faces, and what they cost grew with the square."""
    row = np.concatenate([cv2.resize(portrait, (side, 192)) for side in (192, 192, 192)], 1)
    small = cv2.resize(row, (row.shape[1] // 2, 96))
    image = np.concatenate([np.tile(small, (2, 2, 1)), row])
    every = load_detector(DetectorSpec(scale=1.0)).detect(image)
    assert len(every) >= 12
    monkeypatch.setattr(mtcnn, "_MAX_OUTPUT", 40)
    monkeypatch.setattr(mtcnn, "_MAX_REFINED", 600)
    monkeypatch.setattr(mtcnn, "_MAX_CELLS", 400)
    fewer = load_detector(DetectorSpec(scale=1.0)).detect(image)
    assert 3 <= len(fewer) < len(every)
    assert [face.xyxy_px for face in fewer[:3]] == [face.xyxy_px for face in every[:3]]
