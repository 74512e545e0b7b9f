import cv2
import numpy as np
import pytest

from unmask.augment.distortions import COMPRESSION_CRF, DISTORTIONS, LEVELS, distort
from unmask.errors import UsageError


@pytest.fixture(scope="module")
def image():
    rng = np.random.default_rng(0)
    return cv2.resize(rng.integers(0, 256, (9, 17, 3), np.uint8), (544, 288), interpolation=cv2.INTER_CUBIC)


def distance(one, other):
    return float(np.abs(one.astype(np.float64) - other).mean())


@pytest.mark.parametrize("name", DISTORTIONS)
def test_each_level_is_worse_than_the_one_before(name, image):
    seen = [distort(image, name, level, np.random.default_rng(0)) for level in LEVELS]
    assert all(one.shape == image.shape and one.dtype == np.uint8 for one in seen)
    distances = [distance(image, one) for one in seen]
    assert distances[0] > 0
    assert distances == sorted(distances)


def test_the_parameters_are_the_published_ones():
    assert {name: parameters for name, (_, parameters) in DISTORTIONS.items() if name != "jpeg"} == {
        "saturation": (0.4, 0.3, 0.2, 0.1, 0.0), "contrast": (0.85, 0.725, 0.6, 0.475, 0.35),
        "blocks": (16, 32, 48, 64, 80), "noise": (0.001, 0.002, 0.005, 0.01, 0.05), "blur": (7, 9, 13, 17, 21),
        "pixelation": (2, 3, 4, 5, 6),
    }  # fmt: skip
    assert COMPRESSION_CRF == (30, 32, 35, 38, 40)


def test_without_saturation_all_colours_are_one_grey(image):
    grey = distort(image, "saturation", 5, np.random.default_rng(0))
    assert np.ptp(grey, axis=2).max() == 0
    luma = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    assert np.abs(grey[..., 0].astype(int) - luma).max() <= 1


def test_contrast_is_cut_to_whole_levels(image):
    assert (distort(image, "contrast", 3, np.random.default_rng(0)) == (image * np.float32(0.6)).astype(np.uint8)).all()


def test_blocks_are_grey_squares_as_many_as_the_size_asks_for():
    black = np.zeros((512, 700, 3), np.uint8)
    covered = (distort(black, "blocks", 1, np.random.default_rng(0)) == 128).all(2)
    assert 0.8 * 32 * 64 < covered.sum() <= 32 * 64  # 512 // 256 * 16 squares of 8 pixels, some over others
    small = np.zeros((255, 700, 3), np.uint8)
    assert not distort(small, "blocks", 5, np.random.default_rng(0)).any()  # as in the published code


def test_noise_has_the_published_strength():
    """A grey frame in their colours, noise of variance 0.001 there, and back: its deviation as computed by hand."""
    grey = np.full((400, 400, 3), 128, np.uint8)
    noisy = distort(grey, "noise", 1, np.random.default_rng(0)).astype(np.float64) - 128
    luma, chroma = np.sqrt(0.001) * 255 * 255 / 219, np.sqrt(0.001) * 255 * 255 / 224
    expected = [np.hypot(luma, 1.403 * chroma), np.sqrt(luma**2 + (0.344**2 + 0.714**2) * chroma**2)]
    assert noisy[..., :2].std((0, 1)) == pytest.approx(expected, rel=0.03)
    assert abs(noisy.mean()) < 0.2


def test_chance_comes_from_the_generator(image):
    for name in ("blocks", "noise"):
        one, same, other = (distort(image, name, 2, np.random.default_rng(seed)) for seed in (1, 1, 2))
        assert (one == same).all()
        assert (one != other).any()


@pytest.mark.parametrize(("name", "level"), [("fog", 1), ("blur", 0), ("blur", 6)])
def test_unknown_ones_are_refused(image, name, level):
    with pytest.raises(UsageError, match="level 1 to 5"):
        distort(image, name, level, np.random.default_rng(0))
