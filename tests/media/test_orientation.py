from types import SimpleNamespace

import numpy as np
import pytest

from tests.media_factory import write_video
from unmask.media import probe, sample_frames
from unmask.media.orientation import Orientation, orientation_of


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
@pytest.mark.parametrize(("hflip", "vflip"), [(False, False), (True, False), (False, True)])
def test_frames_are_upright(tmp_path, degrees, hflip, vflip):
    image = np.full((96, 160, 3), 40, np.uint8)
    image[:32, :32] = [250, 20, 20]  # the stored top left corner is red
    path = write_video(tmp_path / "clip.mp4", [image] * 5, orientation=(degrees, hflip, vflip))
    frame = next(sample_frames(path, 1)).image_HW3
    facts = probe(path)
    assert (facts.width, facts.height) == frame.shape[1::-1]
    assert frame.shape[:2] == ((160, 96) if degrees in (90, 270) else (96, 160))
    upright = np.rot90(image, degrees // 90)  # counter-clockwise, as set_display_rotation says
    upright = upright[:, ::-1] if hflip else upright
    upright = upright[::-1] if vflip else upright
    assert np.abs(frame.astype(int) - upright).mean() < 8
    assert facts.mirrored == (hflip != vflip)
    if not (hflip or vflip):
        assert facts.rotation_degrees == degrees


def matrix(a, b, c, d):
    """Return the side data of a frame whose display matrix is this one, in 16.16 fixed point."""
    numbers = np.array([[a, b, 0], [c, d, 0], [0, 0, 1 << 14]]) * 65536
    return SimpleNamespace(side_data={"DISPLAYMATRIX": numbers.astype(np.int32).tobytes()})


@pytest.mark.parametrize(
    "numbers", [(0.7, 0.7, -0.7, 0.7), (1, 1, 0, 1), (0, 1, 1, 1), (0, 0, 0, 0), (1, 0, 0, 0), (0, 1, 0, 0)]
)
def test_anything_but_right_angles_counts_as_upright(numbers):
    assert orientation_of(matrix(*numbers)) == Orientation()


def test_a_little_shear_does_not_count_and_a_short_matrix_neither():
    assert orientation_of(matrix(0.5, 0.4, 1, -0.1)) == Orientation(), "half counts as nothing"
    assert orientation_of(matrix(-0.9, 0.3, -0.2, -1.5)) == Orientation(flip_x=True, flip_y=True)
    assert orientation_of(SimpleNamespace(side_data={"DISPLAYMATRIX": bytes(32)})) == Orientation()


@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("flip_x", [False, True])
@pytest.mark.parametrize("flip_y", [False, True])
def test_what_is_said_of_an_orientation_is_what_it_does(transpose, flip_x, flip_y):
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    one = Orientation(transpose, flip_x, flip_y)
    turned = np.rot90(image, one.rotation_degrees // 90)
    assert np.array_equal(one.apply(image), turned[:, ::-1] if one.mirrored else turned)
