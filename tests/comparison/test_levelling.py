import numpy as np
import pytest

from unmask.comparison.levelling import levelled
from unmask.comparison.placement import Placement
from unmask.faces.quality import sharpness
from unmask.types import Frame

SAME = Placement(1.0, 1.0, 0.0, 0.0)


@pytest.mark.parametrize(("suspect", "original", "coarser"), [(0.8, 0.4, 1), (0.4, 0.8, 0), (0.5, 0.5, None)])
def test_the_finer_frame_becomes_as_coarse_as_the_other(portrait, portrait_face, suspect, original, coarser):
    frames = Frame(portrait, 0.0, 0, suspect), Frame(portrait, 0.0, 0, original)
    after = levelled(*frames, SAME)
    for number, (one, frame) in enumerate(zip(after, frames, strict=True)):
        is_changed = sharpness(one.image_HW3, portrait_face) < 0.9 * sharpness(frame.image_HW3, portrait_face)
        assert is_changed == (number == coarser)
    assert after[0].quantiser == after[1].quantiser


def test_the_original_is_laid_into_the_pixels_of_the_suspect(portrait):
    small = portrait[100:300:2, 100:300:2]
    _, laid = levelled(Frame(small, 0.0, 0), Frame(portrait, 0.0, 0), Placement(2.0, 2.0, 100.0, 100.0))
    assert laid.image_HW3.shape == small.shape
    assert np.abs(laid.image_HW3[5:-5, 5:-5].astype(int) - small[5:-5, 5:-5]).mean() < 6
