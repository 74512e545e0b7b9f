"""Every transformation that lies between a copy and its original is found, singly and in chains."""

import numpy as np
import pytest

from tests.comparison.films import bars, crop, frames_of, half, mark, mirror, write
from unmask.comparison.alignment import align, refine
from unmask.comparison.fingerprint import fingerprint
from unmask.media import open_video

WHOLE = (0, 0, 320, 240)
CROPPED = (16, 12, 304, 228)
BARRED = (-20, -40, 340, 280)


@pytest.fixture(scope="module")
def original(made_once, portrait):
    """A film of two seconds, and its fingerprint."""
    folder = made_once("compared_original", lambda folder: write(folder / "o.mp4", frames_of(portrait)))
    with open_video(folder / "o.mp4") as video:
        return folder / "o.mp4", fingerprint(video)


def aligned(path, original):
    """The refined alignment of a film with the original, and the box of its frame there; None where there is none."""
    with open_video(path) as suspect, open_video(original[0]) as other:
        rough = align(fingerprint(suspect), original[1])
        if rough is None:
            return None
        found = refine(suspect, other, rough)
        corners = np.array([[0, 0], [suspect.facts.width, suspect.facts.height]]) - 0.5
        return found, (found.placement.applied(corners) + 0.5).ravel()


COPIES = {
    "x264": (None, {"crf": 40}, WHOLE),
    "hevc": (None, {"codec": "libx265", "crf": 32}, WHOLE),
    "vp9": (None, {"codec": "libvpx-vp9", "crf": 40}, WHOLE),
    "mirror": (mirror, {}, WHOLE),
    "crop": (crop, {}, CROPPED),
    "half": (half, {}, WHOLE),
    "bars": (bars, {}, BARRED),
    "mark": (mark, {}, WHOLE),
    "chain": (lambda image: half(crop(mirror(mark(image)))), {"crf": 32}, CROPPED),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", COPIES)
def test_a_copy_is_laid_on_its_original(name, original, portrait, tmp_path):
    change, encoding, box = COPIES[name]
    frames = (change(frame) if change else frame for frame in frames_of(portrait))
    found, where = aligned(write(tmp_path / "copy.mkv", frames, **encoding), original)
    assert found.line.offset_seconds == pytest.approx(0, abs=0.03)
    assert found.line.rate == 1
    assert found.mirrored == (name in ("mirror", "chain"))
    assert where == pytest.approx(box, abs=1.5)


@pytest.mark.slow
def test_an_offset_is_found_to_the_frame(original, portrait, tmp_path):
    frames = list(frames_of(portrait))[13:]
    found, _ = aligned(write(tmp_path / "later.mkv", frames), original)
    assert found.line.offset_seconds == pytest.approx(13 / 25, abs=0.021)
    assert found.line.rate == 1
    with open_video(tmp_path / "later.mkv") as suspect:  # and the other way round: the original begins later
        back = align(original[1], fingerprint(suspect))
    assert back.line.offset_seconds == pytest.approx(-13 / 25, abs=0.08)
    assert back.span_seconds[0] == pytest.approx(13 / 25, abs=0.15)


@pytest.mark.slow
@pytest.mark.parametrize("keeps_time", [True, False])
def test_another_rate(keeps_time, original, portrait, tmp_path):
    """30 frames a second of a film of 25: as fast, with frames shown twice, or all frames in less time."""
    frames = list(frames_of(portrait))
    if keeps_time:
        frames = [frames[number * 25 // 30] for number in range(60)]
    found, _ = aligned(write(tmp_path / "fast.mkv", frames, rate=30), original)
    assert found.line.rate == pytest.approx(1 if keeps_time else 1.2, abs=0.005)
    assert found.line.offset_seconds == pytest.approx(0, abs=0.05)


def test_the_same_room_at_another_time_is_not_the_same_footage(original, portrait, tmp_path):
    assert aligned(write(tmp_path / "other.mkv", frames_of(portrait, seed=5)), original) is None


def test_another_scene_is_not_the_same_footage(original, portrait, tmp_path):
    frames = (frame[::-1, :, ::-1] for frame in frames_of(portrait, 20))
    assert aligned(write(tmp_path / "other.mkv", frames), original) is None
