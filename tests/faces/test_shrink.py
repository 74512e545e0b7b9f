"""Frames are shrunk as OpenCV shrinks them, by any factor."""

import cv2
import numpy as np
import pytest

from unmask.faces.shrink import shares, shrink_by_area


@pytest.mark.parametrize(
    ("shape", "size"),
    [((1080, 1920), (633, 356)), ((217, 101), (33, 71)), ((90, 160), (80, 45)), ((7, 640), (211, 1)), ((5, 9), (8, 5))],
)
def test_a_frame_is_shrunk_as_opencv_does_but_for_ties(shape, size):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    expected = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    difference = np.abs(shrink_by_area(image, size).astype(int) - expected)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.002


def test_a_part_of_a_frame_is_shrunk_like_a_copy_of_it_and_white_stays_white():
    image = np.random.default_rng(1).integers(0, 256, (100, 200, 3), np.uint8)
    part = image[3:90, 5:150]
    np.testing.assert_array_equal(shrink_by_area(part, (47, 28)), shrink_by_area(part.copy(), (47, 28)))
    assert (shrink_by_area(np.full((90, 100, 3), 255, np.uint8), (33, 29)) == 255).all()


@pytest.mark.parametrize(("length", "count"), [(2160, 712), (1080, 356), (31, 30), (8, 8), (5, 1)])
def test_each_row_counts_as_much_as_any_other(length, count):
    counted, made = np.zeros(length), 0
    for rows, shares_BK in shares(length, count):
        counted[rows] += shares_BK.sum(0)
        made += len(shares_BK)
        np.testing.assert_allclose(shares_BK.sum(1), 1, atol=1e-5)
    assert made == count
    np.testing.assert_allclose(counted, count / length, atol=1e-5)
