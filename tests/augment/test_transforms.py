"""Augmentation: exact geometry, how often each change comes, and that nothing depends on the worker."""

import pickle
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unmask.augment import transforms as aug
from unmask.augment.transforms import AUGMENTATIONS, Example, OneOf, Sometimes, load_augmentation, rng_for
from unmask.errors import UsageError

FACE = np.array([[12, 14], [28, 15], [20, 24], [14, 32], [27, 33]], np.int16)
LIGHT = {
    "jpeg": partial(aug.jpeg, low=60),
    "noise": aug.gaussian_noise,
    "blur": aug.gaussian_blur,
    "motion": aug.motion_blur,
    "brightness": aug.brightness_contrast,
    "pca": partial(aug.fancy_pca, sigma=5),
    "hsv": aug.hue_saturation_value,
    "gray": aug.to_gray,
}
GEOMETRY = {
    "flip": aug.flip,
    "smaller": partial(aug.isotropic_resize, size_px=61),
    "larger": partial(aug.isotropic_resize, size_px=200),
    "square": partial(aug.resize, size_px=70),
    "pad": partial(aug.pad, size_px=131),
    "part": partial(aug.padding_part, part=4),
    "crop": partial(aug.resized_square_crop, size_px=75, min_scale=0.8),
    "turn": aug.shift_scale_rotate,
}
NAMES = ("winner", "winner_val", "robustforensics", "robustforensics_val")


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def example(height: int = 40, width: int = 40, landmarks=FACE, seed: int = 0) -> Example:
    image = cv2.GaussianBlur(noise(height, width, seed), (0, 0), 3)
    return Example(image, image[..., 0].copy(), 1.0, landmarks)


def run(transform, given: Example, index: int = 0) -> Example:
    return transform(given, rng_for(0, 0, index))


# --- values and plumbing


@pytest.mark.parametrize(
    "wrong",
    [
        {"image_HW3": np.zeros((4, 5), np.uint8)},
        {"image_HW3": np.zeros((4, 5, 3), np.float32)},
        {"mask_HW": np.zeros((5, 4), np.uint8)},
        {"mask_HW": np.zeros((4, 5), bool)},
        {"label": 1.01},
        {"label": float("nan")},
        {"landmarks_px": np.zeros((68, 2), np.float32)},
    ],
)
def test_examples_of_another_form_are_refused(wrong):
    fine = {"image_HW3": np.zeros((4, 5, 3), np.uint8), "mask_HW": np.zeros((4, 5), np.uint8), "label": 1.0}
    assert repr(Example(**fine)) == "Example(5x4, label=1)"
    with pytest.raises(ValueError, match="not"):
        Example(**fine | wrong)


def test_one_of_and_sometimes_keep_their_rates():
    ran = []
    parts = tuple(partial(lambda example, rng, name: (ran.append(name), example)[1], name=name) for name in "abc")
    chain = Sometimes(OneOf(parts), 0.7)
    for i in range(9000):
        run(chain, example(2, 2, None), i)
    assert [ran.count(name) / 9000 for name in "abc"] == pytest.approx([0.7 / 3] * 3, abs=0.015)


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        (
            "winner",
            "jpeg .5 gaussian_noise .1 gaussian_blur .05 flip .5 Compose 1 OneOf .7 to_gray .2 shift_scale_rotate .5",
        ),
        ("robustforensics", "resized_square_crop 1 flip .5 brightness_contrast .5 jpeg .2 motion_blur .5"),
    ],
)
def test_lists_are_in_order_with_their_rates(name, steps):
    found = []
    for step in load_augmentation(name).transforms:
        inner, rate = (step.transform, step.p) if isinstance(step, Sometimes) else (step, 1.0)
        inner = inner.func if isinstance(inner, partial) else inner
        found.append((getattr(inner, "__name__", type(inner).__name__), rate))
    names, rates = steps.split()[::2], map(float, steps.split()[1::2])
    assert found == list(zip(names, rates, strict=True))


def test_generators_depend_on_seed_epoch_and_index():
    first = {
        (seed, epoch, index): rng_for(seed, epoch, index).random()
        for seed in (0, 1, 2**40)
        for epoch in (0, 1)
        for index in (0, 1, 2**33)
    }
    assert len(set(first.values())) == len(first)
    assert all(rng_for(*key).random() == value for key, value in first.items())


def _digest(name: str, index: int) -> bytes:
    found = load_augmentation(name)(example(60, 50, seed=index), rng_for(5, 1, index))
    return found.image_HW3.tobytes() + found.mask_HW.tobytes() + found.landmarks_px.tobytes()


@pytest.mark.parametrize("name", ["winner", "robustforensics", "winner_dropouts", "h264"])
def test_items_look_the_same_in_any_worker_and_order(name):
    order = np.random.default_rng(0).permutation(12).tolist()
    alone = [_digest(name, i) for i in range(12)]
    with ThreadPoolExecutor(4) as pool:
        threads = dict(zip(order, pool.map(partial(_digest, name), order), strict=True))
    assert [threads[i] for i in range(12)] == alone
    if name == "winner":
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
            processes = dict(zip(order, pool.map(partial(_digest, name), order), strict=True))
        assert [processes[i] for i in range(12)] == alone


def test_names_of_a_recipe():
    load_augmentation("winner")
    others = {"winner_dropouts", "landmark_blackout", "half_face", "half_image", "gridmask", "pivot", "h264"}
    clips = {"robustforensics_clip", "robustforensics_clip_plain", "robustforensics_clip_val"}
    assert {*NAMES, *others, *clips, "degrade", "degrade_hard", "degrade_val"} == {*AUGMENTATIONS}
    for name in AUGMENTATIONS:
        pickle.loads(pickle.dumps(load_augmentation(name)))
    with pytest.raises(UsageError, match="winner_val"):
        load_augmentation("winers")
    with pytest.raises(UsageError, match="size"):
        load_augmentation("winner", size=380)


# --- exact geometry


@pytest.mark.parametrize(
    ("size", "size_px", "expected"),
    [
        ((100, 80), 50, (50, 40)),
        ((80, 100), 50, (40, 50)),
        ((333, 250), 380, (380, 285)),
        ((7, 3), 5, (5, 2)),
        ((1000, 1), 10, (10, 1)),
        ((49, 49), 380, (380, 380)),
    ],
)
def test_longer_side_is_met_and_the_other_rounded_down(size, size_px, expected):
    found = run(partial(aug.isotropic_resize, size_px=size_px), example(*size, landmarks=None))
    assert found.image_HW3.shape[:2] == expected


def test_resize_averages_areas_to_shrink_and_is_cubic_to_enlarge():
    given = example(48, 36)
    for size_px, method in ((24, cv2.INTER_AREA), (96, cv2.INTER_CUBIC)):
        found = run(partial(aug.isotropic_resize, size_px=size_px), given)
        size = (size_px * 3 // 4, size_px)
        assert np.array_equal(found.image_HW3, cv2.resize(given.image_HW3, size, interpolation=method))
        assert np.array_equal(found.mask_HW, cv2.resize(given.mask_HW, size, interpolation=cv2.INTER_NEAREST))
    assert run(partial(aug.isotropic_resize, size_px=48), given) is given


def test_padding_is_centred_with_the_odd_pixel_last():
    given = example(5, 8, FACE)
    found = run(partial(aug.pad, size_px=12), given)
    assert np.array_equal(found.image_HW3[3:8, 2:10], given.image_HW3)
    assert found.image_HW3.sum() == given.image_HW3.sum()
    assert np.array_equal(found.mask_HW[3:8, 2:10], given.mask_HW)
    assert np.array_equal(found.landmarks_px, FACE + [2, 3])
    assert run(partial(aug.pad, size_px=6), given).image_HW3.shape[:2] == (6, 8)


@pytest.mark.parametrize(
    ("size", "part", "rows", "columns"),
    [
        ((100, 100), 3, (0, 100), (0, 100)),
        ((100, 100), 4, (5, 95), (5, 95)),
        ((100, 50), 6, (10, 90), (5, 45)),
        ((103, 57), 5, (8, 94), (5, 51)),
        ((101, 99), 10, (14, 86), (14, 84)),
        ((127, 98), 20, (22, 104), (17, 80)),
        ((187, 137), 8, (23, 163), (17, 119)),
        ((251, 195), 6, (25, 225), (20, 175)),
        ((333, 218), 4, (17, 315), (11, 206)),
        ((58, 45), 5, (5, 52), (4, 41)),
        ((6, 7), 4, (1, 4), (0, 6)),
        ((4, 9), 4, (0, 3), (0, 8)),
        ((1, 9), 4, (0, 1), (0, 9)),
    ],
)
def test_margin_of_one_part_of_the_box(size, part, rows, columns):
    """Recorded from change_padding of selimsef/dfdc_deepfake_challenge (89c6290), which leaves nothing of one pixel."""
    given = example(*size)
    found = run(partial(aug.padding_part, part=part), given)
    assert np.array_equal(found.image_HW3, given.image_HW3[slice(*rows), slice(*columns)])
    assert np.array_equal(found.mask_HW, given.mask_HW[slice(*rows), slice(*columns)])
    assert np.array_equal(found.landmarks_px, FACE - [columns[0], rows[0]])


def test_mirrored_landmarks_swap_sides():
    found = run(aug.flip, example(40, 41))
    assert found.landmarks_px.tolist() == [[12, 15], [28, 14], [20, 24], [13, 33], [26, 32]]
    twice = run(aug.flip, found)
    assert np.array_equal(twice.image_HW3, example(40, 41).image_HW3)
    assert np.array_equal(twice.landmarks_px, FACE)


def test_square_crops_keep_within_their_share():
    given = example(50, 50, None)
    ramp = Example(np.dstack([np.tile(np.arange(50, dtype=np.uint8), (50, 1))] * 3), given.mask_HW, 1.0)
    widths = [
        int(np.ptp(run(partial(aug.resized_square_crop, size_px=50), ramp, i).image_HW3[0, :, 0])) + 1
        for i in range(999)
    ]
    assert (min(widths), max(widths)) == (44, 50)
    wide = run(partial(aug.resized_square_crop, size_px=20, min_scale=0.9), example(20, 60))
    assert np.array_equal(wide.image_HW3, example(20, 60).image_HW3[:, 20:40])


def test_val_lists_are_exact():
    given = example(30, 20)
    found = run(aug.winner_val(30), given)
    assert np.array_equal(found.image_HW3[:, 5:25], given.image_HW3)
    assert run(load_augmentation("robustforensics_val", size_px=17), given).image_HW3.shape == (17, 17, 3)


# --- image, mask and landmarks stay together


def spot(x: float, y: float) -> Example:
    """A disc of 7 pixels' radius in image and mask, with all landmarks in its centre."""
    mask = cv2.circle(np.zeros((100, 90), np.uint8), (int(x), int(y)), 7, 255, -1)
    return Example(np.dstack([mask] * 3), mask, 1.0, np.full((5, 2), (x, y), np.float32))


def centre(plane: np.ndarray) -> np.ndarray:
    return np.argwhere(plane > 127).mean(0)[::-1]


@pytest.mark.parametrize("name", GEOMETRY)
@settings(max_examples=25, deadline=None)
@given(x=st.integers(36, 54), y=st.integers(36, 64), index=st.integers(0, 10**6))
def test_marker_moves_with_picture_mask_and_landmarks(name, x, y, index):
    found = run(GEOMETRY[name], spot(x, y), index)
    landmark = found.landmarks_px.mean(0)
    zoom = found.image_HW3.shape[0] / 100
    assert centre(found.image_HW3[..., 0]) == pytest.approx(landmark, abs=0.5)
    assert centre(found.mask_HW) == pytest.approx(landmark, abs=0.35 + 0.5 * max(1, zoom))
    assert found.image_HW3[..., 0].max() == 255


@pytest.mark.parametrize("name", [*LIGHT, *GEOMETRY, *NAMES])
@settings(max_examples=25, deadline=None)
@given(height=st.integers(1, 70), width=st.integers(1, 70), index=st.integers(0, 10**6), placed=st.booleans())
def test_any_example_stays_one_and_the_given_one_is_not_touched(name, height, width, index, placed):
    transform = load_augmentation(name, size_px=33) if name in NAMES else (LIGHT | GEOMETRY)[name]
    image, mask = noise(height, width, index), noise(height, width, index + 1)[..., 0].copy()
    landmarks = FACE.copy() if placed else None
    given = Example(image.copy(), mask.copy(), 0.25, landmarks)
    found = run(transform, given, index)
    assert np.array_equal(given.image_HW3, image)
    assert np.array_equal(given.mask_HW, mask)
    assert landmarks is None or np.array_equal(landmarks, FACE)
    assert found.image_HW3.dtype == found.mask_HW.dtype == np.uint8
    assert found.image_HW3.flags.c_contiguous
    assert (found.label, found.landmarks_px is None) == (0.25, not placed)
    if name in NAMES:
        assert found.image_HW3.shape == (33, 33, 3)
    for before, after in ((given.image_HW3, found.image_HW3), (given.mask_HW, found.mask_HW)):
        assert after is before or not np.shares_memory(after, before)


# --- light


@pytest.mark.parametrize("name", LIGHT)
def test_light_changes_the_picture_only(name):
    given = example()
    found = run(LIGHT[name], given)
    assert found.image_HW3.shape == given.image_HW3.shape
    assert not np.array_equal(found.image_HW3, given.image_HW3)
    assert found.mask_HW is given.mask_HW
    assert found.landmarks_px is given.landmarks_px


def levels(transform, level: int, count: int = 400) -> Iterator[np.ndarray]:
    given = Example(np.full((2, 2, 3), level, np.uint8), np.zeros((2, 2), np.uint8), 0.0)
    return (run(transform, given, i).image_HW3[0, 0] for i in range(count))


def test_limits_of_brightness_and_contrast():
    at_zero = [int(pixel[0]) for pixel in levels(aug.brightness_contrast, 0)]
    assert (min(at_zero), max(at_zero)) == (0, 50)
    at_100 = [int(pixel[0]) for pixel in levels(aug.brightness_contrast, 100, 4000)]
    assert 29 <= min(at_100) < 40
    assert 160 < max(at_100) <= 171


def test_noise_has_the_variance_asked_for():
    given = Example(np.full((200, 200, 3), 128, np.uint8), np.zeros((200, 200), np.uint8), 0.0)
    variances = [run(aug.gaussian_noise, given, i).image_HW3.var() for i in range(60)]
    assert 9 < min(variances) < 16
    assert 44 < max(variances) < 52
    grey = run(partial(aug.gaussian_noise, variance=(20, 20)), given).image_HW3
    assert np.abs(np.corrcoef(grey.reshape(-1, 3).T.astype(float))[0, 1]) < 0.05


def test_value_shift_moves_grey_and_to_gray_is_grey():
    values = list(levels(partial(aug.hue_saturation_value, saturation=0), 100))
    assert {int(np.ptp(pixel)) for pixel in values} == {0}
    assert (min(p[0] for p in values), max(p[0] for p in values)) == (80, 119)
    assert np.ptp(run(aug.to_gray, example()).image_HW3, axis=2).max() == 0


def test_principal_components_shift_all_pixels_alike():
    given = Example(noise(30, 30) // 2 + 64, np.zeros((30, 30), np.uint8), 0.0)
    shifts = []
    for i in range(200):
        shift = run(aug.fancy_pca, given, i).image_HW3.astype(int) - given.image_HW3
        assert np.ptp(shift.reshape(-1, 3), axis=0).max() == 0
        shifts.append(shift[0, 0])
    assert np.min(shifts) < 0 < np.max(shifts)


@pytest.mark.parametrize("low", [50, 60])
def test_jpeg_loses_more_at_lower_quality(low):
    given = example(64, 64)
    losses = [
        np.abs(run(partial(aug.jpeg, low=quality, high=quality), given).image_HW3.astype(int) - given.image_HW3).mean()
        for quality in (low, 80, 100)
    ]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] > losses[-1]
    means = run(partial(aug.jpeg, low=low), given).image_HW3.mean((0, 1)) - given.image_HW3.mean((0, 1))
    assert np.abs(means).max() < 1.5


def test_motion_blur_keeps_the_brightness():
    given = Example(np.full((9, 9, 3), 77, np.uint8), np.zeros((9, 9), np.uint8), 0.0)
    for i in range(100):
        assert (run(aug.motion_blur, given, i).image_HW3 == 77).all()
