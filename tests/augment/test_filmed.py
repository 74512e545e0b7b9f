"""Pictures at the size they have in their clips: framing, what happens on the way, and codecs as the world's."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from unmask.augment.codec import compress_h264
from unmask.augment.filmed import Box, Framing, Road, fitted, framed, smaller
from unmask.augment.transforms import Example

PORTRAIT = Path(__file__).parents[2] / "examples" / "data" / "eileen_collins.png"
BOX = (170.0, 70.0, 310.0, 250.0)
SIZE_PX = 224


@pytest.fixture(scope="module")
def portrait() -> np.ndarray:
    return cv2.cvtColor(cv2.imread(str(PORTRAIT)), cv2.COLOR_BGR2RGB)


def example_of(image_HW3: np.ndarray, label: float = 0.0) -> Example:
    return Example(image_HW3, np.zeros(image_HW3.shape[:2], np.uint8), label)


def moving(portrait: np.ndarray, frames: int = 24) -> tuple[list[np.ndarray], list[Box]]:
    """Film the portrait with an unsteady, noisy camera of 480 px; return the frames and where the face is in each."""
    rng, filmed, boxes = np.random.default_rng(0), [], []
    for i in range(frames):
        zoom, turn = 1 + 0.01 * np.sin(1.7 * i), 0.012 * np.sin(1.1 * i)
        x, y = 4.6 * np.sin(0.9 * i), 2.8 * np.cos(1.3 * i)
        matrix_23 = np.array([[zoom, turn, -x - 240 * (zoom - 1)], [-turn, zoom, -y - 160 * (zoom - 1)]])
        frame = cv2.warpAffine(portrait, matrix_23, (480, 480), flags=cv2.INTER_CUBIC)
        filmed.append((frame + 6 * rng.standard_normal(frame.shape)).clip(0, 255).astype(np.uint8))
        boxes.append((BOX[0] - x, BOX[1] - y, BOX[2] - x, BOX[3] - y))
    return filmed, boxes


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(-10 * np.log10(((a.astype(float) - b.astype(float)) ** 2).mean() / 255**2))


def high_frequencies(image: np.ndarray) -> float:
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return float((grey - cv2.GaussianBlur(grey, (0, 0), 1.5)).std())


@pytest.mark.parametrize("crf", [23, 32, 40])
def test_training_compresses_a_face_as_a_clip_does(portrait, crf):
    frames, boxes = moving(portrait)
    through_clip = compress_h264(frames, crf, preset="medium")
    qualities, sharpness = [], []
    for i in range(2, len(frames), 3):
        clean, scanned = (framed(picture, boxes[i], SIZE_PX) for picture in (frames[i], through_clip[i]))
        native = framed(frames[i], boxes[i], round(1.25 * (boxes[i][3] - boxes[i][1])))
        trained = fitted(example_of(compress_h264([native], crf)[0]), SIZE_PX).image_HW3
        qualities.append([psnr(clean, picture) for picture in (trained, scanned)])
        sharpness.append([high_frequencies(picture) / high_frequencies(clean) for picture in (trained, scanned)])
    assert abs(np.subtract(*np.mean(qualities, 0))) <= 0.5
    assert abs(np.subtract(*np.mean(sharpness, 0))) <= 0.03


def test_both_members_of_a_pair_go_the_same_way(portrait):
    other = cv2.GaussianBlur(portrait, (0, 0), 1)
    for seed in range(30):
        shapes, means = [], []
        for image in (portrait, other):
            rng = np.random.default_rng(seed)
            example = fitted(Road()(Framing()(example_of(image), BOX, 0.0, rng), rng), SIZE_PX)
            shapes.append(example.image_HW3.shape)
            means.append(float(example.image_HW3.mean()))
        assert shapes == [(SIZE_PX, SIZE_PX, 3)] * 2
        assert abs(means[0] - means[1]) < 4


def test_the_same_draws_give_the_same_picture(portrait):
    pictures = []
    for _ in range(2):
        rng = np.random.default_rng(5)
        pictures.append(Road()(Framing()(example_of(portrait), BOX, 120.0, rng), rng).image_HW3)
    assert np.array_equal(*pictures)


def test_a_known_size_is_kept_or_halved(portrait):
    sides = {
        Framing(margin=0.0, zoom=(1.0, 1.0), degrees=0.0)(
            example_of(portrait), BOX, 90.0, np.random.default_rng(seed)
        ).image_HW3.shape[0]
        for seed in range(40)
    }
    assert max(sides) <= 136
    assert min(sides) >= 44
    assert 90 in sides


def test_beyond_the_picture_it_is_black_or_smaller(portrait):
    corner = (-60.0, -60.0, 100.0, 100.0)
    crop = framed(portrait, corner, SIZE_PX)
    assert not crop[:30, :30].any()
    found = [
        Framing(degrees=0.0)(example_of(portrait), corner, 160.0, np.random.default_rng(seed)).image_HW3[:4, :4].max()
        for seed in range(20)
    ]
    assert any(not level for level in found)
    assert any(level > 20 for level in found)


def test_the_mask_follows_a_smaller_picture(portrait):
    for seed in range(20):
        small = smaller(example_of(portrait), np.random.default_rng(seed))
        assert small.mask_HW.shape == small.image_HW3.shape[:2]
