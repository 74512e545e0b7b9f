import cv2
import numpy as np
import pytest

from unmask.comparison.fingerprint import points_of
from unmask.comparison.placement import MIN_INLIERS, Placement, fit_placement, match_points


def test_points_of_a_mirrored_frame_need_not_be_looked_for(portrait):
    gray = cv2.cvtColor(portrait, cv2.COLOR_RGB2GRAY)
    sift = cv2.SIFT_create(200)
    own, flipped = points_of(sift, gray, 0.0), points_of(sift, np.ascontiguousarray(gray[:, ::-1]), 0.0)
    turned = own.mirrored(gray.shape[1])
    pairs = match_points(turned, flipped)
    apart = np.abs(turned.xy_N2[pairs[:, 0]] - flipped.xy_N2[pairs[:, 1]]).max(1)
    assert (apart < 1.5).sum() > 0.6 * len(own.xy_N2)
    assert len(match_points(own, flipped)) < 0.5 * len(pairs)


@pytest.mark.parametrize("placement", [Placement(0.5, 0.6, 30, -12), Placement(-1.0, 1.0, 639, 0)])
def test_a_placement_is_found_among_wrong_matches(placement):
    rng = np.random.default_rng(1)
    own = rng.uniform(0, 600, (60, 2))
    other = placement.applied(own) + rng.normal(0, 0.3, own.shape)
    other[40:] = rng.uniform(0, 600, (20, 2))
    fit = fit_placement(own, other, 3.0, placement.mirrored)
    assert fit.inliers >= 38
    assert fit.placement.matrix_23 == pytest.approx(placement.matrix_23, abs=0.5)


def test_chance_gives_no_placement():
    rng = np.random.default_rng(2)
    fits = [fit_placement(*rng.uniform(0, 600, (2, 40, 2)), 3.0, False) for _ in range(20)]
    assert fits == [None] * 20
    assert fit_placement(np.ones((MIN_INLIERS - 1, 2)), np.ones((MIN_INLIERS - 1, 2)), 3.0, False) is None


def test_a_mirrored_placement_is_unmirrored():
    placement = Placement(-2.0, 2.0, 639, 4)
    upright = placement.unmirrored(640)
    (x, y), (mirrored_x, mirrored_y) = upright.applied(np.array([[5, 7]]))[0], placement.applied(np.array([[5, 7]]))[0]
    assert (639 - mirrored_x, mirrored_y) == (x, y)
