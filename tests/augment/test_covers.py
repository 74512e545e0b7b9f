"""What covers a face without manipulating it: drawn alike on both members of a pair, and never all of the face."""

import numpy as np
import pytest

from unmask.augment import covers
from unmask.augment.covers import COVERS, covered
from unmask.augment.transforms import Example

SIDE_PX = 160
FACE = np.random.default_rng(0).integers(60, 200, (SIDE_PX, SIDE_PX, 3), np.uint8)


def example_of(image_HW3: np.ndarray) -> Example:
    return Example(image_HW3, np.full(image_HW3.shape[:2], 255, np.uint8), 1.0)


@pytest.fixture(params=COVERS)
def only(request, monkeypatch) -> str:
    """All but one kind of cover are put aside."""
    monkeypatch.setattr(covers, "COVERS", {request.param: COVERS[request.param]})
    return request.param


def test_each_cover_is_seen_and_leaves_most_of_the_face(only):
    shares = [
        (covered(example_of(FACE), np.random.default_rng(seed)).image_HW3 != FACE).any(2).mean() for seed in range(40)
    ]
    assert np.mean(np.array(shares) > 0) > 0.8
    assert np.median(shares) < 0.6


def test_both_members_of_a_pair_are_covered_alike(only):
    other = 255 - FACE
    for seed in range(10):
        one, two = (covered(example_of(image), np.random.default_rng(seed)) for image in (FACE, other))
        assert np.array_equal(one.mask_HW, two.mask_HW)
        hidden = one.mask_HW == 0
        assert np.abs(one.image_HW3[hidden].astype(int) - two.image_HW3[hidden]).max(initial=0) <= 0.2 * 255


def test_a_mask_ends_where_a_cover_hides_the_face():
    found = [covered(example_of(FACE), np.random.default_rng(seed)).mask_HW for seed in range(60)]
    assert any((mask == 0).any() for mask in found)
    assert all((mask == 255).mean() > 0.3 for mask in found)


@pytest.mark.parametrize("side_px", [24, 48, 400])
def test_faces_of_any_size_are_covered(side_px, only):
    image = np.full((side_px, side_px, 3), 120, np.uint8)
    for seed in range(10):
        found = covered(example_of(image), np.random.default_rng(seed))
        assert found.image_HW3.shape == image.shape


def test_every_kind_is_drawn():
    assert all(weight > 0 for _, weight in COVERS.values())
    assert set(COVERS) == {"caption", "mark", "sticker", "glasses", "mask"}
