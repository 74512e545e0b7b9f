import platform

import numpy as np
import pytest

from tests.media.colours.record import CLIPS, FOLDER, picture
from unmask.media import Limits, open_video, probe, read_frames, sample_frames
from unmask.types import Frame

EXACT = 0 if platform.machine() == "x86_64" else 3
"""FFmpeg's code for other processors rounds otherwise."""
QUICK = [name for name in CLIPS if "10bit" not in name and name != "odd.avi"]


@pytest.fixture(scope="module")
def recorded():
    return {version: dict(np.load(FOLDER / f"opencv-{version}.npz")) for version in ("4.12", "4.14")}


def second_frame(name, colours, limits=Limits()) -> Frame:  # noqa: B008 - frozen
    with open_video(FOLDER / name, limits, colours) as video:
        (frame,) = read_frames(video, np.array([1]))
    return frame


def distance(image, other):
    return int(np.abs(image.astype(int) - other).max())


@pytest.mark.parametrize("name", CLIPS)
@pytest.mark.parametrize("isolate", [True, False])
def test_bt601_is_what_opencv_decoded_up_to_4_12(name, isolate, recorded):
    image_HW3 = second_frame(name, "bt601", Limits(isolate=isolate)).image_HW3
    assert distance(image_HW3, recorded["4.12"][name]) <= EXACT


@pytest.mark.parametrize("name", QUICK)
def test_tagged_is_what_opencv_decodes_since_4_13(name, recorded):
    image_HW3 = second_frame(name, "tagged").image_HW3
    assert distance(image_HW3, recorded["4.14"][name]) <= EXACT
    assert (second_frame(name, "bt601").image_HW3 == image_HW3).all() == (name == "untagged.mp4")


@pytest.mark.parametrize("name", [name for name in CLIPS if name not in QUICK])
def test_tagged_frames_beyond_8_bits_or_of_odd_height_are_not_too_dark(name):
    """The picture is known; a codec blurs it and does not darken it."""
    width, height = CLIPS[name][2]
    image_HW3 = second_frame(name, "tagged").image_HW3
    assert abs(image_HW3.mean() - np.roll(picture(width, height), 5, 1).mean()) < 0.3


def test_facts_do_not_depend_on_colours():
    with open_video(FOLDER / "bt709.mp4", colours="bt601") as video:
        assert video.facts == probe(FOLDER / "bt709.mp4")
    (first, second) = sample_frames(FOLDER / "bt709.mp4", 2)
    assert (second.image_HW3 == second_frame("bt709.mp4", "tagged").image_HW3).all()
    assert first.index == 0
