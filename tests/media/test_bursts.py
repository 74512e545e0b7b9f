"""Bursts: frames whose packets stand out, found without decoding."""

import cv2
import numpy as np
import pytest

from tests.media_factory import write_video
from unmask.media import open_video
from unmask.media.bursts import MOST_BURSTS, find_bursts


def lengths(frames, seed=0):
    """Packets as an encoder writes them: a long one, then three short ones, each a little different."""
    rng = np.random.default_rng(seed)
    return (np.where(np.arange(frames) % 4 == 0, 4000, 900) * rng.uniform(0.8, 1.25, frames)).astype(np.int64)


def test_frames_that_stand_out_are_found_in_order_of_time():
    sizes = lengths(1000)
    sizes[[702, 301]] *= 12
    found = find_bursts(sizes, np.array([0, 250, 500, 750]), np.arange(1000) / 25)
    assert {301, 702} <= set(found.tolist())
    assert len(found) <= MOST_BURSTS
    assert (np.diff(found) >= 0.5 * 25).all()


def test_key_frames_and_what_follows_a_burst_at_once_are_none():
    sizes = lengths(600)
    keys = np.arange(0, 600, 50)
    sizes[keys] *= 30
    sizes[[120, 121, 124]] *= 12
    found = find_bursts(sizes, keys, np.arange(600) / 25)
    assert not set(found.tolist()) & set(keys.tolist())
    assert sum(118 <= index <= 126 for index in found.tolist()) == 1


@pytest.mark.parametrize("sizes", [np.full(600, 800), np.zeros(600, np.int64), np.array([5, 900, 5])])
def test_where_nothing_stands_out_there_are_none(sizes):
    assert not len(find_bursts(sizes, np.array([0]), np.arange(len(sizes)) / 25))


def test_all_key_frames_have_none():
    assert not len(find_bursts(lengths(200), np.arange(200), np.arange(200) / 25))


@pytest.mark.parametrize(
    ("codec", "options"),
    [
        ("libx264", {}),
        ("mpeg4", {"b": "2000000"}),
        ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "crf": "32", "b": "0"}),
    ],
)
def test_something_new_in_a_shot_is_a_burst(tmp_path, codec, options):
    """A patch of the picture is another one from one frame on, and again what it was; the rest goes on."""
    rng = np.random.default_rng(1)
    room, patch = (
        cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 6), None, 0, 255, cv2.NORM_MINMAX)
        for noise in rng.integers(0, 255, (2, 192, 256, 3)).astype(np.uint8)
    )
    images = []
    for i in range(160):
        image = np.roll(room, i // 2, axis=1)
        if 62 <= i < 91:
            image[48:144, 64:160] = patch[48:144, 64:160]
        images.append(image)
    clip = write_video(tmp_path / "clip.mkv", images, rate=25, codec=codec, options=options, gop=160)
    with open_video(clip) as video:
        found = video.index.bursts
    assert all(np.abs(found - at).min() <= 5 for at in (62, 91))
