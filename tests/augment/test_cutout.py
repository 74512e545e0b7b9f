"""Parts cut out of pictures: alike for both of a pair, with nothing to be found there, and never all of a fake."""

import numpy as np
import pytest

from unmask.augment.cutout import Cutout, Cutouts
from unmask.augment.transforms import Example


def example(label: float, seed: int = 0) -> Example:
    rng = np.random.default_rng(seed)
    mask_HW = np.full((60, 80), 200, np.uint8) if label else np.zeros((60, 80), np.uint8)
    return Example(rng.integers(0, 256, (60, 80, 3), np.uint8), mask_HW, label)


@pytest.mark.parametrize("fill", ["colour", "noise", "blur"])
def test_both_pictures_lose_the_same_place_and_the_mask_there(fill):
    cutout = Cutout(((0.25, 0.5, 0.5, 0.75),), fill, 3)
    real, fake = cutout(example(0.0, 1)), cutout(example(1.0, 2))
    inside = (slice(30, 45), slice(20, 40))
    changed = np.zeros((60, 80), bool)
    changed[inside] = True
    assert (fake.mask_HW[inside] == 0).all()
    assert (fake.mask_HW[~changed] == 200).all()
    np.testing.assert_array_equal(real.image_HW3[~changed], example(0.0, 1).image_HW3[~changed])
    assert (real.image_HW3[inside] != example(0.0, 1).image_HW3[inside]).any()
    if fill != "blur":
        np.testing.assert_array_equal(real.image_HW3[inside], fake.image_HW3[inside])


def test_what_a_cutout_hides_is_measured():
    mask_HW = np.zeros((40, 40), np.uint8)
    mask_HW[:20] = 255
    assert Cutout(((0.0, 0.0, 1.0, 0.25),), "colour", 0).hides(mask_HW) == pytest.approx(0.5)
    assert Cutout(((0.0, 0.5, 1.0, 1.0),), "colour", 0).hides(mask_HW) == 0
    assert Cutout(((0.0, 0.0, 1.0, 1.0),), "colour", 0).hides(np.zeros_like(mask_HW)) == 0


def test_cutouts_follow_their_settings():
    cutouts, rng = Cutouts(p=0.5, side=(0.2, 0.3)), np.random.default_rng(0)
    drawn_all = [cutouts.draw(rng) for _ in range(400)]
    drawn = [cutout for cutout in drawn_all if cutout is not None]
    assert 150 < len(drawn) < 250
    boxes = np.array([box for cutout in drawn for box in cutout.boxes])
    assert boxes.min() >= 0
    assert boxes.max() <= 1
    sides = boxes[:, 2:] - boxes[:, :2]
    assert sides.min() >= 0.2 - 1e-9
    assert sides.max() <= 0.3 + 1e-9
    assert {cutout.fill for cutout in drawn} == {"colour", "noise", "blur"}
    assert Cutouts(p=0.0).draw(rng) is None
