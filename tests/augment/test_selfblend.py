"""Made fakes: hulls, masks, the ranges that arXiv 2204.08376 draws from, and every kind of blend."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from unmask.augment.changes import Change, Offset, align, misfit, paste
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
from unmask.augment.selfblend import (
    BLEND_KINDS,
    NEEDS_DONOR,
    WEIGHTS,
    Donor,
    Scene,
    blend,
    blend_pair,
    mask_targets,
    self_blend,
)
from unmask.faces import load_detector
from unmask.types import DetectorSpec

FRONT = np.array([[96, 110], [160, 110], [128, 145], [102, 180], [154, 180]], np.float32)
TURNED = np.array([[110, 110], [162, 110], [158, 145], [114, 180], [154, 180]], np.float32)  # to the right
DRAWS = 3000


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def face(portrait):
    """The portrait's face with what is around it, 256 px, and its landmarks."""
    found = load_detector(DetectorSpec(scale=1.0)).detect(portrait)[0]
    x1, y1, x2, y2 = (int(value) for value in found.xyxy_px)
    half = (x2 - x1) // 2
    left, top = max(0, x1 - half), max(0, y1 - half)
    crop = portrait[top : y2 + half, left : x2 + half]
    scale = np.array([256, 256]) / crop.shape[1::-1]
    return cv2.resize(crop, (256, 256)), ((found.landmarks_px - [left, top]) * scale).astype(np.float32)


@pytest.fixture(scope="module")
def donor(face):
    """Somebody else, mirrored, smaller and in another light."""
    image, landmarks = face
    other = cv2.resize(np.ascontiguousarray(image[:, ::-1]), (150, 180))
    mirrored = np.column_stack([255 - landmarks[:, 0], landmarks[:, 1]])[[1, 0, 2, 4, 3]]
    return Donor((0.7 * other).astype(np.uint8), (mirrored * [150 / 256, 180 / 256]).astype(np.float32))


def inside(polygon, points):
    return all(cv2.pointPolygonTest(polygon, (float(x), float(y)), False) >= 0 for x, y in points)


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


@pytest.mark.parametrize("kind", BLEND_KINDS)
def test_a_kind_changes_the_face_and_nothing_else(kind, face, donor):
    image, landmarks = face
    for seed in range(8):
        for strength in (0.0, 1.0):
            fake = blend(image, landmarks, rng(seed), donor, strength=strength, weights={kind: 1})
            assert fake.source_kind == kind
            assert fake.image_HW3.shape == fake.target_HW3.shape == image.shape
            assert fake.image_HW3.dtype == np.uint8
            assert fake.mask_HW.dtype == np.float32
            assert fake.mask_HW.min() == 0
            assert 0.2 < fake.mask_HW.max() <= 1
            changed = (fake.image_HW3 != fake.target_HW3).any(2)
            assert not changed[fake.mask_HW == 0].any()
            assert changed[fake.mask_HW > 0.2].mean() > 0.1


def test_cloning_puts_the_face_back_where_it_was(face):
    """The donor is the face itself, and half of the time it is the donor that is cloned."""
    apart = []
    for seed in range(10):
        target, image, mask = BLEND_KINDS["clone"](Scene(*face, Donor(*face), strength=0), rng(seed))
        apart.append(np.abs(image.astype(int) - target)[mask > 0.5].mean())
    assert np.sort(apart)[2] <= 1  # OpenCV cuts its solution off


@pytest.mark.parametrize("kind", BLEND_KINDS)
def test_the_same_seed_gives_the_same_fake(kind, face, donor):
    one, two = (blend(*face, rng(5), donor, weights={kind: 1}) for _ in range(2))
    np.testing.assert_array_equal(one.image_HW3, two.image_HW3)
    np.testing.assert_array_equal(one.mask_HW, two.mask_HW)
    other = blend(*face, rng(6), donor, weights={kind: 1})
    assert (one.mask_HW != other.mask_HW).any()


@pytest.mark.parametrize("kind", BLEND_KINDS)
def test_strength_makes_differences_larger(kind, face, donor):
    def difference(strength):
        fakes = [blend(*face, rng(seed), donor, strength=strength, weights={kind: 1}) for seed in range(16)]
        return np.mean([np.abs(fake.image_HW3.astype(int) - fake.target_HW3).mean() for fake in fakes])

    subtle, middle, strong = (difference(strength) for strength in (0, 0.5, 1))
    assert 0 < subtle < middle < strong


def test_half_of_the_time_the_target_is_the_changed_one(face):
    image, landmarks = face
    fakes = [BLEND_KINDS["self"](Scene(image, landmarks), rng(seed)) for seed in range(200)]
    changed = [not np.array_equal(target, image) for target, _, _ in fakes]
    assert np.mean(changed) == pytest.approx(0.5, abs=0.1)


def test_kinds_are_drawn_by_their_weights(face, donor):
    image, landmarks = cv2.resize(face[0], (64, 64)), face[1] / 4
    small = Donor(cv2.resize(donor.image_HW3, (48, 60)), donor.landmarks_K2 * np.float32([48 / 150, 60 / 180]))
    drawn = [blend(image, landmarks, rng(seed), small).source_kind for seed in range(500)]
    for kind, weight in WEIGHTS.items():
        assert drawn.count(kind) / 500 == pytest.approx(weight, abs=0.07)
    alone = {blend(image, landmarks, rng(seed)).source_kind for seed in range(200)}
    assert alone == set(BLEND_KINDS) - NEEDS_DONOR
    assert sum(WEIGHTS.values()) == pytest.approx(1)


def test_a_kind_that_needs_a_donor_says_so(face):
    with pytest.raises(ValueError, match="needs a donor"):
        BLEND_KINDS["cross"](Scene(*face), rng())
    with pytest.raises(ValueError, match="no kind"):
        blend(*face, rng(), weights={"cross": 1.0})


@pytest.mark.parametrize("bad", [{"strength": 1.1}, {"strength": -0.1}, {"weights": {}}])
def test_wrong_arguments_are_refused(bad, face):
    with pytest.raises(ValueError, match=r"strength|no kind"):
        blend(*face, rng(), **bad)
    with pytest.raises(ValueError, match="an image is"):
        blend(face[0][..., 0], face[1], rng())


def test_both_of_a_pair_are_finished_alike(face):
    def noisy(image, generator):
        return np.clip(image + generator.normal(0, 5, image.shape), 0, 255).astype(np.uint8)

    real, fake, mask = blend_pair(*face, rng(1), finish=noisy)
    bare_real, bare_fake, bare_mask = blend_pair(*face, rng(1))
    np.testing.assert_array_equal(mask, bare_mask)
    assert (real != bare_real).any()
    assert (fake != bare_fake).any()
    np.testing.assert_array_equal(real[mask == 0], fake[mask == 0])


@pytest.mark.parametrize("kind", BLEND_KINDS)
@pytest.mark.parametrize("side", [40, 24])
def test_small_faces(kind, side, face, donor):
    image, landmarks = cv2.resize(face[0], (side, side)), face[1] * side / 256
    for seed in range(10):
        fake = blend(image, landmarks, rng(seed), donor, weights={kind: 1})
        assert fake.mask_HW.shape == (side, side)
        assert (fake.image_HW3 != fake.target_HW3).any()


@pytest.mark.parametrize("kind", BLEND_KINDS)
def test_faces_at_the_border(kind, face, donor):
    image, landmarks = face
    (left, top), (right, bottom) = landmarks.min(0).astype(int), landmarks.max(0).astype(int) + 1
    for window in (np.s_[top:, :], np.s_[:, left:], np.s_[:bottom, :], np.s_[:, :right], np.s_[top:bottom, left:right]):
        part = np.ascontiguousarray(image[window])
        shifted = landmarks - np.float32([window[1].start or 0, window[0].start or 0])
        for seed in range(4):
            fake = blend(part, shifted, rng(seed), donor, weights={kind: 1})
            assert fake.image_HW3.shape == part.shape


def test_maps_for_the_network():
    mask = np.zeros((256, 256), np.float32)
    mask[:, 128:] = 1
    mask[:, 120:128] = 0.5
    region, boundary = mask_targets(mask, 256)
    assert region.shape == boundary.shape == (32, 32)
    assert region.dtype == boundary.dtype == np.float32
    np.testing.assert_array_equal(region[0, [14, 15, 16]], [0, 0.5, 1])
    np.testing.assert_array_equal(boundary[0, [14, 15, 16]], [0, 1, 0])
    assert mask_targets(mask, 160)[0].shape == (20, 20)
    assert mask_targets(mask, 160)[0].mean() == pytest.approx(mask.mean(), abs=1e-3)


points = arrays(np.float32, (5, 2), elements=st.floats(-50, 150, width=32))


@settings(max_examples=150, deadline=None)
@given(points, points, st.sampled_from(sorted(BLEND_KINDS)), st.integers(0, 99))
def test_any_landmarks_give_a_fake_or_a_value_error(landmarks, others, kind, seed):
    image = rng(seed).integers(0, 256, (96, 80, 3), dtype=np.uint8)
    other = Donor(image[::-1, :60].copy(), others)
    try:
        fake = blend(image, landmarks, rng(seed), other, weights={kind: 1})
    except ValueError:
        return
    assert 0 <= fake.mask_HW.min() <= fake.mask_HW.max() <= 1
    assert np.array_equal(fake.image_HW3[fake.mask_HW == 0], fake.target_HW3[fake.mask_HW == 0])


def test_a_face_within_a_larger_image_is_blended_behind_its_mask(portrait):
    points = load_detector(DetectorSpec(scale=1.0)).detect(portrait)[0].landmarks_px
    for seed in range(8):
        blended, mask = self_blend(portrait, points, rng(seed))
        assert mask.shape == portrait.shape[:2]
        assert mask.max() == 1
        assert 0.003 < (mask > 0.5).mean() < 0.3
        assert (blended[mask == 0] == portrait[mask == 0]).all()
        assert (blended != portrait).any()
        assert np.array_equal(self_blend(portrait, points, rng(seed))[0], blended)
    with pytest.raises(ValueError, match="outside the image"):
        self_blend(portrait, points + 5000, rng())
