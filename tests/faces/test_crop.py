import numpy as np
import pytest

from unmask.faces.crop import crop_face, crop_region
from unmask.types import CropSpec, Face


def face(*xyxy):
    return Face(xyxy, 0.9, np.zeros((5, 2), np.float32))


def test_box_rule_is_the_winners():
    """The worked example of the challenge winner: a half-resolution box, doubled, with a third of margin."""
    half = (100.4, 50.3, 150.7, 120.9)
    assert crop_region(face(*(2 * x for x in half)), CropSpec(380)) == (167, 53, 334, 288)


@pytest.mark.parametrize("side", range(1, 400))
def test_a_third_is_an_integer_third(side):
    left, _, right, _ = crop_region(face(1000.0, 1000.0, 1000.0 + side, 1001.0), CropSpec(380))
    assert (1000 - left, right - 1000 - side) == (side // 3, side // 3)


def test_box_is_clipped_fitted_and_padded():
    frame = np.full((300, 200, 3), 200, np.uint8)
    crop = crop_face(frame, face(150.0, 100.0, 240.0, 280.0), CropSpec(90))
    # 120..270 clipped to 200 wide: 80 x 260 clipped to 40..300; fitted to 27 x 90, centred.
    assert crop.shape == (90, 90, 3)
    columns = np.flatnonzero(crop.any((0, 2)))
    assert (columns[0], columns[-1]) == (31, 57)
    assert (crop[:, 31:58] == 200).all()


def test_square_keeps_its_centre_and_is_black_outside():
    frame = np.full((100, 100, 3), 50, np.uint8)
    frame[45:55, 5:15] = 250
    spec = CropSpec(60, margin=0.5, outline="square", enlarge="linear")
    assert crop_region(face(-5.0, 40.0, 25.0, 60.0), spec) == (-20, 20, 40, 80)
    crop = crop_face(frame, face(-5.0, 40.0, 25.0, 60.0), spec)
    assert (crop[:, :20] == 0).all()
    assert (crop[27:33, 27:33] == 250).all()
    assert (crop[2, 25:] == 50).all()


def test_exact_size_is_left_alone():
    frame = np.random.default_rng(0).integers(0, 256, (50, 50, 3), dtype=np.uint8)
    assert (crop_face(frame, face(10.0, 10.0, 34.0, 34.0), CropSpec(40, margin=1 / 3)) == frame[2:42, 2:42]).all()


def test_outside_the_frame_is_black():
    frame = np.full((50, 50, 3), 255, np.uint8)
    for outline in ("box", "square"):
        assert not crop_face(frame, face(200.0, 200.0, 230.0, 230.0), CropSpec(32, outline=outline)).any()


def test_a_spec_refuses_nonsense():
    with pytest.raises(ValueError, match="size_px"):
        CropSpec(4)
    with pytest.raises(ValueError, match="margin"):
        CropSpec(100, margin=-1)
