"""Every kind of blend."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.augment.landmarks import rng
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
