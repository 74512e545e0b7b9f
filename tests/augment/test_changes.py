"""Changes, offsets and alignment of faces, and the ranges that arXiv 2204.08376 draws from."""

import cv2
import numpy as np
import pytest

from tests.augment.landmarks import FRONT, TURNED, rng
from unmask.augment.changes import Change, Offset, align, misfit, paste
from unmask.augment.hulls import (
    FaceFrame,
)

DRAWS = 3000


def test_change_draws_the_values_of_the_paper():
    draws = [Change.draw(rng(seed)) for seed in range(DRAWS)]
    rgb = np.array([draw.rgb for draw in draws])
    assert np.mean(rgb.any(1)) == pytest.approx(0.3, abs=0.03)
    assert np.abs(rgb).max() == pytest.approx(20, abs=0.2)
    assert np.abs([draw.hsv for draw in draws]).max() == pytest.approx(0.3, abs=0.01)
    for name in ("brightness", "contrast"):
        values = np.array([getattr(draw, name) for draw in draws])
        assert (values.min(), values.max()) == pytest.approx((-0.1, 0.1), abs=0.001)
    shrinks = [draw.shrink for draw in draws if draw.shrink is not None]
    sharpens = np.array([draw.sharpen for draw in draws if draw.sharpen is not None])
    assert len(shrinks) + len(sharpens) == DRAWS
    assert len(shrinks) / DRAWS == pytest.approx(0.5, abs=0.03)
    assert set(shrinks) == {2, 4}
    assert sharpens.min(0) == pytest.approx((0.2, 0.5), abs=0.01)
    assert sharpens.max(0) == pytest.approx((0.5, 1), abs=0.01)


def test_a_visible_change_is_never_a_small_one():
    for seed in range(100):
        change = Change.draw_visible(rng(seed))
        assert all(6 <= abs(level) <= 14 for level in change.rgb)
        assert change.shrink == 3
    image = rng().integers(0, 256, (60, 60, 3), np.uint8)
    assert np.abs(Change.draw_visible(rng())(image).astype(int) - image).mean() > 10


def test_offset_draws_the_values_of_the_paper():
    draws = [Offset.draw(rng(seed)) for seed in range(DRAWS)]
    assert np.abs([draw.shift for draw in draws]).max(0) == pytest.approx((0.03, 0.015), rel=0.02)
    zooms = np.array([draw.zoom for draw in draws])
    assert zooms.min(0) == pytest.approx((0.95, 0.95), abs=0.001)
    assert zooms.max(0) == pytest.approx((1 / 0.95, 1 / 0.95), abs=0.001)


def test_an_offset_zooms_around_the_face():
    frame = FaceFrame.of(FRONT)
    centre = frame.to_pixels(np.array([[0, 0.6]]))
    still = cv2.transform(centre[None], Offset(zoom=(0.95, 1.05)).matrix(frame))[0]
    np.testing.assert_allclose(still, centre, atol=1e-3)
    moved = cv2.transform(centre[None], Offset(shift=(0.03, -0.015)).matrix(frame))[0]
    np.testing.assert_allclose(moved - centre, [[0.06 * 2.04 * 64, -0.036 * 2.03 * 70]], rtol=0.01)


def test_pasting_rounds():
    grey = np.full((9, 9, 3), 77, np.uint8)
    for weight in np.linspace(0, 1, 23, dtype=np.float32):
        assert (paste(grey, grey, np.full((9, 9), weight, np.float32)) == 77).all()
    white = np.full((9, 9, 3), 255, np.uint8)
    assert (paste(white, grey, np.ones((9, 9), np.float32)) == 255).all()
    assert (paste(white, grey, np.full((9, 9), 0.5, np.float32)) == 166).all()


def test_a_change_does_what_it_says():
    grey = np.full((32, 32, 3), 100, np.uint8)
    np.testing.assert_array_equal(Change(rgb=(10, 0, -20))(grey)[0, 0], [110, 100, 80])
    np.testing.assert_array_equal(Change(brightness=0.1, contrast=0.1)(grey)[0, 0], [136] * 3)
    noise = rng().integers(0, 256, (32, 32, 3), dtype=np.uint8)
    assert Change(shrink=4)(noise).std() < noise.std()
    assert Change(sharpen=(0.5, 1))(noise).std() > noise.std()
    np.testing.assert_array_equal(Change()(grey), grey)


@pytest.mark.parametrize("shear", [False, True])
def test_a_donor_is_laid_over_the_target(face, donor, shear):
    image, landmarks = face
    laid, allowed = align(donor.image_HW3, donor.landmarks_K2, landmarks, (256, 256), shear=shear)
    assert laid.shape == image.shape
    back, _ = align(image, landmarks, landmarks, (256, 256), shear=shear)
    assert np.abs(back.astype(int) - image).mean() < 0.5
    assert set(np.unique(allowed)) <= {0, 1}
    large = cv2.resize(image, None, fx=3, fy=3)
    shrunk, _ = align(large, landmarks * 3, landmarks, (256, 256), shear=shear)
    assert np.abs(shrunk.astype(int) - image)[30:-30, 30:-30].mean() < 5


def test_misfit_tells_faces_turned_alike():
    assert misfit(FRONT * 3 + 10, FRONT) == pytest.approx(0, abs=1e-4)
    assert misfit(TURNED, FRONT) > 0.1


def test_a_donor_that_is_a_point_is_refused(face):
    with pytest.raises(ValueError, match="laid over"):
        align(face[0], np.ones((5, 2), np.float32), face[1], (256, 256), shear=False)
