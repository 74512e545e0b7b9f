import numpy as np
import pytest

from unmask.augment.degrade import cut_off, far_away, soft_focus, square_view
from unmask.augment.transforms import Example, load_augmentation, rng_for


@pytest.fixture
def example(portrait):
    mask = np.zeros(portrait.shape[:2], np.uint8)
    mask[200:300, 200:300] = 255
    return Example(portrait, mask, 1.0, np.float32([[200, 200], [299, 200], [250, 250], [210, 299], [290, 299]]))


def test_a_view_keeps_mask_and_landmarks_together(example):
    for seed in range(20):
        view = square_view(example, rng_for(0, 0, seed), share=(0.6, 0.85), shift=0.05, size_px=96)
        assert view.image_HW3.shape == (96, 96, 3)
        rows, columns = np.nonzero(view.mask_HW > 127)
        x, y = view.landmarks_px.T
        assert abs(columns.min() - x.min()) < 3 and abs(columns.max() - x.max()) < 3  # noqa: PT018
        assert abs(rows.min() - y.min()) < 3 and abs(rows.max() - y.max()) < 3  # noqa: PT018


@pytest.mark.parametrize("change", [far_away, soft_focus])
def test_quality_is_lost_and_nothing_else_changes(example, change):
    changed = change(example, rng_for(0, 0, 1))
    assert changed.image_HW3.shape == example.image_HW3.shape
    assert changed.mask_HW is example.mask_HW
    assert np.abs(changed.image_HW3.astype(int) - example.image_HW3).mean() < 12
    assert (
        np.abs(np.diff(changed.image_HW3.astype(int), axis=1)).mean()
        < np.abs(np.diff(example.image_HW3.astype(int), axis=1)).mean()
    )


def test_cut_off_takes_picture_and_mask_from_the_sides(example):
    most_gone = 0.0
    for seed in range(20):
        cut = cut_off(example, rng_for(0, 0, seed), max_share=0.5)
        gone = (cut.image_HW3 == 0).all(-1) & (example.image_HW3 != 0).any(-1)
        assert not cut.mask_HW[gone].any()
        assert (cut.image_HW3[~gone] == example.image_HW3[~gone]).all()
        most_gone = max(most_gone, gone.mean())
    assert 0.2 < most_gone <= 0.75


def test_both_of_a_pair_get_the_same(example):
    augment = load_augmentation("degrade", size_px=96)
    real = Example(example.image_HW3, np.zeros_like(example.mask_HW), 0.0, example.landmarks_px)
    for seed in range(30):
        a, b = (augment(item, rng_for(0, 0, seed)) for item in (real, example))
        assert (a.image_HW3 == b.image_HW3).all()
        assert (a.landmarks_px == b.landmarks_px).all()


def test_validation_is_always_the_same(example):
    augment = load_augmentation("degrade_val", size_px=96)
    views = [augment(example, rng_for(0, 0, seed)).image_HW3 for seed in (0, 1)]
    assert (views[0] == views[1]).all()
