"""Video compression as an augmentation: sizes, parameters, pairs, and how near a single image is to a clip."""

import cv2
import numpy as np
import pytest

from unmask.augment.codec import H264, TUNES, compress_h264, compress_pair
from unmask.augment.transforms import Example, load_augmentation, rng_for
from unmask.datasets.synthetic import film
from unmask.errors import UsageError


@pytest.fixture(scope="module")
def face(portrait) -> np.ndarray:
    return cv2.resize(portrait, (256, 256), interpolation=cv2.INTER_AREA)


def example(image: np.ndarray, label: float = 1.0) -> Example:
    return Example(image, np.full(image.shape[:2], 9, np.uint8), label, np.ones((5, 2), np.float32))


def distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(int) - b).mean())


def luma_psnr(a: np.ndarray, b: np.ndarray) -> float:
    grey_a, grey_b = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (a, b))
    return float(cv2.PSNR(grey_a, grey_b))


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 16), (7, 13), (17, 33), (64, 255)])
@pytest.mark.parametrize(("count", "scale"), [(1, 1.0), (5, 1.0), (1, 0.25)])
def test_any_size_comes_back(face, size, count, scale):
    image = cv2.resize(face, size[::-1])
    decoded = compress_h264([image] * count, 30, scale)
    assert [(found.shape, found.dtype) for found in decoded] == [(image.shape, np.uint8)] * count


@pytest.mark.parametrize("tune", TUNES)
def test_pixels_change_and_colours_stay(face, tune):
    before = face.copy()
    (decoded,) = compress_h264([face], 30, tune=tune)
    assert np.array_equal(face, before)
    assert 1 < distance(decoded, face) < 12
    assert np.abs(decoded.mean((0, 1)) - face.mean((0, 1))).max() < 2


def test_higher_crf_and_smaller_scale_lose_more(face):
    losses = [distance(compress_h264([face], crf)[0], face) for crf in (0, 17, 28, 40)]
    assert losses == sorted(losses)
    assert losses[0] < 3
    assert distance(compress_h264([face], 17, 0.25)[0], face) > losses[1]


def test_pictures_come_back_in_order(portrait):
    images = [image[::2, ::2] for image, _ in film(portrait, 12)]
    images = [np.roll(image, 20 * i, 1) for i, image in enumerate(images)]
    decoded = compress_h264(images, 20)
    assert [int(np.argmin([distance(found, image) for image in images])) for found in decoded] == list(range(12))


def test_single_picture_is_about_as_good_as_one_in_a_clip(portrait):
    images = [image[112:368, 192:448] for image, _ in film(portrait, 16)]
    in_clip = np.mean([luma_psnr(*pair) for pair in zip(compress_h264(images, 23), images, strict=True)])
    alone = luma_psnr(compress_h264(images[8:9], 23)[0], images[8])
    assert abs(alone - in_clip) < 1.5


@pytest.mark.parametrize("wrong", [{"crf": 52}, {"crf": -1}, {"crf": 20, "scale": 0}, {"crf": 20, "tune": "psnr"}])
def test_settings_out_of_range_are_refused(face, wrong):
    with pytest.raises(UsageError, match="use 0"):
        compress_h264([face], **wrong)


def test_clips_of_nothing_or_of_two_sizes_are_refused(face):
    for images in ([], [face, face[1:]]):
        with pytest.raises(UsageError, match="a clip needs"):
            compress_h264(images, 20)


def test_draws_cover_the_published_ranges():
    rng = rng_for(0, 0, 0)
    drawn = [H264().draw(rng) for _ in range(6000)]
    encodings = [encoding for encoding in drawn if encoding]
    assert len(encodings) / len(drawn) == pytest.approx(0.5, abs=0.02)
    assert {encoding.crf for encoding in encodings} == set(range(17, 41))
    assert {encoding.tune for encoding in encodings} == set(TUNES)
    scales = [encoding.scale for encoding in encodings if encoding.scale < 1]
    assert len(scales) / len(encodings) == pytest.approx(0.5, abs=0.03)
    assert 0.25 <= min(scales) < 0.27
    assert max(scales) > 0.98


def test_transform_changes_the_picture_only(face):
    given = example(face)
    found = load_augmentation("h264", p=1.0, crf=[28, 28])(given, rng_for(1, 2, 3))
    assert distance(found.image_HW3, face) > 1
    assert (found.mask_HW is given.mask_HW, found.label, found.landmarks_px is given.landmarks_px) == (True, 1.0, True)
    assert H264(p=0)(given, rng_for(0, 0, 0)) is given
    again = H264(p=1.0, crf=(28, 28))(given, rng_for(1, 2, 3))
    assert np.array_equal(again.image_HW3, found.image_HW3)


def test_pairs_share_their_parameters(face):
    real, fake = example(face, 0.0), example(face.copy(), 1.0)
    compressed = 0
    for i in range(20):
        found = compress_pair(real, fake, rng_for(0, 0, i))
        assert np.array_equal(found[0].image_HW3, found[1].image_HW3)
        assert [member.label for member in found] == [0.0, 1.0]
        compressed += found[0] is not real
    assert 5 <= compressed <= 15
