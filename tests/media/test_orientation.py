import numpy as np
import pytest

from tests.media_factory import write_video
from unmask.media import probe, sample_frames


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
