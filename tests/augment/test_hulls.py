"""Hulls and masks of blends, and the ranges that arXiv 2204.08376 draws from."""

import cv2
import numpy as np
import pytest

from tests.augment.landmarks import FRONT, TURNED, rng
from unmask.augment.hulls import (
    HULL_WEIGHTS,
    HULLS,
    RATIOS,
    WHOLE,
    FaceFrame,
    Softness,
    blend_mask,
    draw_hull,
    elastic_field,
    hull,
    soften,
)


def inside(polygon, points):
    return all(cv2.pointPolygonTest(polygon, (float(x), float(y)), False) >= 0 for x, y in points)


DRAWS = 3000


@pytest.mark.parametrize("landmarks", [FRONT, TURNED])
def test_hulls_lie_on_the_face(landmarks):
    for name in WHOLE:
        assert inside(hull(landmarks, name), landmarks)
    for name in HULLS:
        polygon = hull(landmarks, name)
        assert inside(np.array([[40, 25], [216, 25], [216, 260], [40, 260]], np.float32), polygon)
        assert cv2.isContourConvex(polygon)
        assert name in WHOLE or cv2.contourArea(polygon) < cv2.contourArea(hull(landmarks, "full"))
    assert inside(hull(landmarks, "eyes"), landmarks[:2])
    assert inside(hull(landmarks, "nose"), landmarks[2:3])
    assert inside(hull(landmarks, "mouth"), landmarks[3:])
    assert not inside(hull(landmarks, "left"), landmarks[[1, 4]])
    assert set(HULL_WEIGHTS) == set(HULLS)
    assert sum(HULL_WEIGHTS.values()) == pytest.approx(1)


def test_hulls_are_as_large_as_faces_are():
    width, height = np.ptp(hull(FRONT), axis=0)
    eye_distance, length = 64, 70
    assert width == pytest.approx(2.04 * eye_distance, rel=0.01)
    assert height == pytest.approx(2.49 * length, rel=0.01)
    assert FaceFrame.of(FRONT).size_px == pytest.approx((width, 2.03 * length), rel=0.01)


def test_the_cheek_that_the_nose_points_to_is_near():
    left, right = FaceFrame.of(FRONT).cheeks_px
    assert left == pytest.approx(right)
    left, right = FaceFrame.of(TURNED).cheeks_px
    assert right < 0.6 * left


@pytest.mark.parametrize("name", HULLS)
def test_hulls_turn_grow_and_mirror_with_the_face(name):
    angle, scale, move = 0.7, 1.9, np.array([40, -15])
    turn = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    mirror = np.diag([-1, 1])
    twin = {"left": "right", "right": "left"}.get(name, name)
    turned = hull((TURNED @ turn + move).astype(np.float32), name)
    assert _apart(turned, hull(TURNED, name) @ turn + move) < 0.01
    mirrored = (TURNED @ mirror)[[1, 0, 2, 4, 3]].astype(np.float32)
    assert _apart(hull(mirrored, twin), hull(TURNED, name) @ mirror) < 0.01


def _apart(one, other):
    """The furthest that a corner of one polygon is from the nearest corner of the other, in pixels."""
    distances = np.linalg.norm(one[:, None] - other, axis=2)
    return max(distances.min(0).max(), distances.min(1).max())


@pytest.mark.parametrize(
    "landmarks",
    [np.zeros((5, 2)), np.zeros((4, 2)), np.full((5, 2), np.nan), FRONT * 1e4, FRONT[[0, 1, 2, 0, 1]]],
)
def test_degenerate_landmarks_are_refused(landmarks):
    with pytest.raises(ValueError, match=r"landmarks are|apart"):
        hull(landmarks)


def test_a_face_outside_the_picture_is_refused():
    with pytest.raises(ValueError, match="outside"):
        blend_mask(hull(FRONT + 500), (256, 256), rng())


def test_softness_draws_the_values_of_the_paper():
    draws = [Softness.draw(rng(seed)) for seed in range(DRAWS)]
    sides = {side for draw in draws for side in draw.size_HW}
    assert (min(sides), max(sides)) == (192, 256)
    assert {side for draw in draws for side in draw.kernels_px} == set(range(5, 26, 2))
    assert {draw.sigma_px for draw in draws} == set(range(5, 46))
    ratios = np.array([draw.ratio for draw in draws])
    for ratio, expected in ((0.25, 1 / 6), (0.5, 1 / 6), (0.75, 1 / 6), (1, 1 / 2)):
        assert np.mean(ratios == ratio) == pytest.approx(expected, abs=0.03)


def test_the_elastic_field_is_that_of_a_full_draw():
    """A full draw of uniform noise, blurred with sigma 7 and times 50, deviates by 50 / sqrt(3) / (2 sqrt(pi) 7)."""
    fields = np.stack([elastic_field((256, 256), rng(seed)) for seed in range(20)])
    assert fields.std() == pytest.approx(50 / np.sqrt(3) / (2 * np.sqrt(np.pi) * 7), rel=0.1)
    larger = elastic_field((512, 512), rng())
    assert larger.shape == (512, 512, 2)
    assert larger.std() == pytest.approx(2 * fields[0].std(), rel=0.05)


def test_softening_eats_into_the_mask_and_leaves_one_peak():
    square = np.zeros((200, 220), np.float32)
    square[60:140, 60:160] = 1
    soft = soften(square, Softness((200, 220), (21, 5), 45, 1.0))
    assert soft.max() == 1
    assert not soft[:68].any()  # 10 px eaten, 2 px blurred
    assert soft[68:72, 110].any()
    assert (soft[75:125, 75:145] > 0.999).all()
    bar = np.zeros((200, 220), np.float32)
    bar[90:110, 60:160] = 1
    assert 0.2 < soften(bar, Softness((200, 220), (25, 5), 45, 1.0)).sum() / bar.sum() < 1
    dot = np.zeros((200, 220), np.float32)
    dot[100, 100] = 1
    assert soften(dot, Softness((200, 220), (21, 5), 45, 1.0)).max() == 1


@pytest.mark.parametrize("shape", [(256, 256), (40, 48), (500, 300)])
def test_masks_are_weights(shape):
    landmarks = FRONT * np.array([shape[1], shape[0]]) / 256
    for seed in range(20):
        mask = blend_mask(hull(landmarks, draw_hull(rng(seed))), shape, rng(seed))
        assert mask.shape == shape
        assert mask.dtype == np.float32
        assert mask.min() == 0
        assert 0 < mask.max() <= 1
    ratios = [blend_mask(hull(FRONT), (256, 256), rng(seed)).max() for seed in range(40)]
    assert {min(RATIOS, key=lambda ratio: abs(ratio - top)) for top in ratios} == set(RATIOS)


def test_nothing_is_pasted_where_it_is_not_allowed():
    allowed = np.zeros((256, 256), np.float32)
    allowed[:, :128] = 1
    mask = blend_mask(hull(FRONT), (256, 256), rng(), allowed_HW=allowed)
    assert mask[:, :120].any()
    assert not mask[:, 145:].any()  # the blur may reach a little further
    with pytest.raises(ValueError, match="nothing"):
        blend_mask(hull(FRONT), (256, 256), rng(), allowed_HW=0 * allowed)
