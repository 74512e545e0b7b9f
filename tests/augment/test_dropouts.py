"""Dropouts: how often each comes, which pixels go, and what a fake keeps."""

import pickle
import sys
from collections import Counter
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unmask.augment import dropouts
from unmask.augment.dropouts import (
    GUARD_PX,
    DlibOutline,
    WinnerDropouts,
    five_point_outline,
    half_image_keeps,
    is_valid,
    landmark_region,
    mixup,
)
from unmask.augment.transforms import Example, load_augmentation, rng_for
from unmask.errors import UsageError

FACE = np.array([[30, 40], [70, 40], [50, 60], [35, 80], [65, 80]], np.int16)
GUARDED = ("half_image", "gridmask", "pivot")


def example(label: float = 1.0, landmarks=FACE, size=(110, 100), mask: int = 200) -> Example:
    return Example(np.full((*size, 3), 128, np.uint8), np.full(size, mask, np.uint8), label, landmarks)


def black(found: Example) -> np.ndarray:
    return (found.image_HW3 == 0).all(-1)


def shares(names: list[str]) -> dict[str, float]:
    return {name: count / len(names) for name, count in Counter(names).items()}


# --- rates


@pytest.mark.parametrize(
    ("landmarks", "rates"),
    [
        (FACE, {"A": 0.70, "B": 0.06, "C": 0.024, "none": 0.216}),
        (None, {"B": 0.20, "C": 0.08, "none": 0.72}),
    ],
)
def test_branches_come_as_often_as_the_winners(landmarks, rates):
    ran: list[str] = []

    def noting(name):
        return lambda example, rng: (ran.append(name), example)[1]

    chain = WinnerDropouts(noting("A"), noting("B"), noting("C"))
    given = example(landmarks=landmarks, size=(4, 4))
    for i in range(20000):
        before = len(ran)
        chain(given, rng_for(0, 0, i))
        if len(ran) == before:
            ran.append("none")
    found = shares(ran)
    assert set(found) == set(rates)
    assert found == pytest.approx(rates, abs=0.01)


def test_landmarks_are_blackened_as_often_as_the_winners():
    given = example(landmarks=FACE // 4, size=(28, 25))
    names = {landmark_region(FACE // 4, part, (28, 25)).tobytes(): part for part in ("eyes", "mouth", "nose")}
    names[np.zeros((28, 25), bool).tobytes()] = "none"
    blackout = load_augmentation("landmark_blackout")
    found = []
    for i in range(8000):
        after = blackout(given, rng_for(1, 0, i))
        found.append(names[black(after).tobytes()])
        assert after.mask_HW is given.mask_HW
    assert shares(found) == pytest.approx({"eyes": 0.5, "mouth": 0.25, "nose": 0.125, "none": 0.125}, abs=0.015)


def test_pivot_comes_as_often_as_intended():
    blackout = load_augmentation("pivot")
    for label, rate in ((1.0, 0.8), (0.0, 0.6)):
        given = example(label, size=(20, 20))
        changed = [blackout(given, rng_for(2, 0, i)) is not given for i in range(4000)]
        assert np.mean(changed) == pytest.approx(rate, abs=0.025)


# --- A: landmarks


@pytest.mark.parametrize(("part", "line", "grown"), [
    ("eyes", [(30, 40), (70, 40)], 10),
    ("mouth", [(35, 80), (65, 80)], 10),
    ("nose", [(50, 60), (50, 40)], 10),
])  # fmt: skip
def test_region_is_a_line_swept_by_a_diamond(part, line, grown):
    drawn = np.argwhere(cv2.line(np.zeros((110, 100), np.uint8), *line, 1, 2))
    pixels = np.stack(np.mgrid[:110, :100], -1)
    steps = np.min([np.abs(pixels - place).sum(-1) for place in drawn], axis=0)
    assert np.array_equal(landmark_region(FACE, part, (110, 100)), steps <= grown)


def test_distances_beyond_181_px_do_not_overflow_int16():
    small = landmark_region(FACE, "eyes", (110, 100)).sum()
    large = landmark_region((FACE * 10).astype(np.int16), "eyes", (1100, 1000)).sum()
    assert large / small == pytest.approx(100, rel=0.2)


def test_small_faces_lose_the_bare_line():
    region = landmark_region(np.array([[4, 4], [7, 4], [5, 5], [4, 7], [6, 7]]), "eyes", (12, 12))
    assert 8 <= region.sum() <= 16


def test_without_landmarks_nothing_goes():
    given = example(landmarks=None)
    for name in ("landmark_blackout", "half_face"):
        assert all(load_augmentation(name)(given, rng_for(0, 0, i)) is given for i in range(20))


# --- B: half a face


def test_outline_holds_the_landmarks_and_follows_the_face():
    outline = five_point_outline(example())
    hull = outline.astype(np.float32)
    assert all(cv2.pointPolygonTest(hull, (float(x), float(y)), False) >= 0 for x, y in FACE)
    (left, top), (right, bottom) = outline.min(0), outline.max(0)
    assert (left, right) == pytest.approx((6, 94))  # 2.2 distances of the eyes
    assert (top, bottom) == pytest.approx((22, 108))
    angle = np.deg2rad(30)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turned = five_point_outline(example(landmarks=(FACE @ turn.T)))
    area, turned_area = (cv2.contourArea(points.astype(np.float32)) for points in (outline, turned))
    assert turned_area == pytest.approx(area, rel=1e-3)


def test_outline_of_a_profile_is_not_a_line():
    profile = np.array([[50, 40], [51, 40], [40, 60], [48, 80], [49, 80]], np.float32)
    outline = five_point_outline(example(landmarks=profile))
    assert np.ptp(outline[:, 0]) > 0.7 * 40 * 2
    assert outline[:, 0].max() - 50 > 1.3 * (50 - outline[:, 0].min())  # the cheek is behind the nose


@pytest.mark.slow
def test_each_half_of_the_face_goes_as_often():
    given = example()
    points = np.rint(five_point_outline(given)).astype(np.int32)
    face = cv2.fillPoly(np.zeros((110, 100), np.uint8), [points], 1).astype(bool)
    rows, columns = (int(places.mean()) for places in np.nonzero(face))
    halves = {name: face.copy() for name in ("top", "bottom", "left", "right")}
    halves["top"][rows:], halves["bottom"][:rows] = False, False
    halves["left"][:, columns:], halves["right"][:, :columns] = False, False
    blackout, found = load_augmentation("half_face"), []
    for i in range(2000):
        after = blackout(given, rng_for(3, 0, i))
        found += [name for name, half in halves.items() if np.array_equal(half, black(after))]
        assert after.mask_HW is given.mask_HW
    assert len(found) == 2000
    assert shares(found) == pytest.approx(dict.fromkeys(halves, 0.25), abs=0.04)


def test_dlib_gives_the_outline_where_it_is_installed(tmp_path, monkeypatch):
    parts = [SimpleNamespace(x=i, y=2 * i) for i in range(68)]
    seen = [["face"]]
    fake = SimpleNamespace(
        get_frontal_face_detector=lambda: lambda image: seen[0],
        shape_predictor=lambda path: lambda image, box: SimpleNamespace(parts=lambda: parts),
    )
    monkeypatch.setitem(sys.modules, "dlib", fake)
    outline = DlibOutline(tmp_path / "points.dat")
    assert outline(example())[:, 0].tolist() == [*range(17), *range(26, 16, -1)]
    assert pickle.loads(pickle.dumps(outline)) == outline
    seen[0] = []
    given = example()
    assert load_augmentation("half_face", predictor=str(outline.predictor))(given, rng_for(0, 0, 0)) is given
    dropouts.load_dlib.cache_clear()


def test_asking_for_a_missing_dlib_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(UsageError, match="leave the predictor out"):
        load_augmentation("winner_dropouts", predictor=str(tmp_path / "none.dat"))


# --- C and the other guarded ones


def test_six_halves_split_rows_at_half_the_width_like_the_winners():
    keeps = half_image_keeps(10, 6)
    assert [int(keep.sum()) for keep in keeps] == [42, 18, 30, 30, 30, 30]
    assert [bool(keep[0, 0]) for keep in keeps] == [False, True, False, True, False, True]
    assert [int(keep.sum()) for keep in half_image_keeps(10, 6, exact=False)] == [30] * 6
    assert [int(keep.sum()) for keep in half_image_keeps(3, 8)] == [0, 24, 12, 12, 12, 12]


@pytest.mark.parametrize("name", GUARDED)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_fakes_keep_more_than_the_guard_of_their_mask(name, data):
    height, width = data.draw(st.integers(8, 40)), data.draw(st.integers(8, 40))
    rows, columns = data.draw(st.integers(1, height)), data.draw(st.integers(1, width))
    mask = np.zeros((height, width), np.uint8)
    mask[:rows, :columns] = data.draw(st.sampled_from([1, 103, 255]))
    image = np.full((height, width, 3), 50, np.uint8)
    before = Example(image.copy(), mask.copy(), 1.0)
    options = {"pivot": {"p_fake": 1.0}, "gridmask": {"p": 1.0}}.get(name, {})
    after = load_augmentation(name, **options)(before, rng_for(0, 0, data.draw(st.integers(0, 10**6))))
    assert np.array_equal(before.image_HW3, image)
    assert np.array_equal(before.mask_HW, mask)
    if after is not before:
        gone = black(after)
        assert np.count_nonzero(after.mask_HW) > GUARD_PX
        assert not after.mask_HW[gone].any()
        assert np.array_equal(after.mask_HW[~gone], mask[~gone])
        assert (after.image_HW3[~gone] == 50).all()


@pytest.mark.parametrize("name", GUARDED)
def test_fakes_without_a_mask_stay_and_reals_do_not(name):
    options = {"pivot": {"p_fake": 1.0, "p_real": 1.0}, "gridmask": {"p": 1.0}}.get(name, {})
    blackout = load_augmentation(name, **options)
    fake, real = example(1.0, mask=0), example(0.0, mask=0)
    assert all(blackout(fake, rng_for(0, 0, i)) is fake for i in range(50))
    assert all(black(blackout(real, rng_for(0, 0, i))).any() for i in range(50))


def test_gridmask_blackens_a_quarter_in_squares():
    gone = [black(load_augmentation("gridmask", p=1.0)(example(0.0), rng_for(0, 0, i))) for i in range(300)]
    assert np.mean(gone) == pytest.approx(0.25, abs=0.03)
    assert all(np.array_equal(mask, mask.any(1)[:, None] & mask.any(0)) for mask in gone)


def test_pivots_lie_in_the_middle_two_fifths():
    blackout = load_augmentation("pivot", p_fake=1.0)
    left = [int((~black(blackout(example(size=(100, 100)), rng_for(4, 0, i)))).sum()) for i in range(2000)]
    assert (min(left), max(left)) == (3000, 7000)


# --- the valid flag, and mixup


def test_valid_needs_more_than_32_pixels_above_20():
    mask = np.zeros((10, 10), np.uint8)
    mask.flat[:32] = 21
    image = np.zeros((10, 10, 3), np.uint8)
    assert not is_valid(Example(image, mask, 0.99))
    assert is_valid(Example(image, mask, 0.01))
    mask.flat[32] = 20
    assert not is_valid(Example(image, mask, 0.99))
    mask.flat[32] = 21
    assert is_valid(Example(image, mask, 0.99))


def test_mixup_blends_picture_mask_and_label_alike():
    real = Example(np.full((4, 6, 3), 100, np.uint8), np.zeros((4, 6), np.uint8), 0.0)
    fake = Example(np.full((4, 6, 3), 200, np.uint8), np.full((4, 6), 80, np.uint8), 1.0, FACE)
    shares = []
    for i in range(4000):
        mixed = mixup(real, fake, rng_for(0, 0, i))
        shares.append(mixed.label)
        assert abs(mixed.image_HW3.astype(float) - (100 + 100 * mixed.label)).max() <= 0.51
        assert abs(mixed.mask_HW.astype(float) - 80 * mixed.label).max() <= 0.51
    assert np.mean(shares) == pytest.approx(0.5, abs=0.02)
    assert np.var(shares) == pytest.approx(0.125, abs=0.01)  # Beta(1/2, 1/2)
    assert mixed.landmarks_px is FACE


def test_mixup_of_two_sizes_is_refused():
    with pytest.raises(UsageError, match="differ in size"):
        mixup(example(size=(4, 4)), example(size=(4, 5)), rng_for(0, 0, 0))
