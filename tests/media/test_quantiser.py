"""Decoders of H.264, VP9 and MPEG-4 tell how coarsely a frame is quantised; others say nothing."""

import struct
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from tests.media_factory import write_video
from unmask.media import Limits, open_video, read_frames
from unmask.media.quantiser import block_quantisers, mean_quantiser


def quantisers(path, limits=Limits()):  # noqa: B008 - frozen
    with open_video(path, limits) as video:
        return [frame.quantiser for frame in read_frames(video, np.arange(4))]


@pytest.fixture(scope="module")
def pictures(portrait):
    small = cv2.resize(portrait, (192, 192), interpolation=cv2.INTER_AREA)
    return [np.roll(small, step, axis=1) for step in range(4)]


@pytest.mark.parametrize("isolate", [False, True])
@pytest.mark.parametrize("codec", ["libx264", "libvpx-vp9", "mpeg4"])
def test_codecs_that_keep_it_tell_it(pictures, tmp_path, codec, isolate):
    found = quantisers(write_video(tmp_path / "clip.mkv", pictures, codec=codec), Limits(isolate=isolate))
    assert all(value is not None and 0 < value < 1 for value in found)


def test_it_rises_with_compression(pictures, tmp_path):
    means = [
        np.mean(quantisers(write_video(tmp_path / f"{crf}.mp4", pictures, options={"crf": crf})))
        for crf in ("18", "30", "42")
    ]
    assert means == sorted(means)
    assert means[-1] > means[0] + 0.3


def test_other_codecs_say_nothing(pictures, tmp_path):
    assert (
        quantisers(write_video(tmp_path / "clip.mkv", pictures, codec="mjpeg", pixel_format="yuvj420p")) == [None] * 4
    )


def test_numbers_that_make_no_blocks_say_nothing_of_them():
    """FFmpeg writes blocks of 20 bytes; what else it may ever write is not read as such."""
    header = struct.Struct("@IQQii")
    for block_bytes in (16, 20, 21, 24, 42):
        content = header.pack(2, header.size, block_bytes, 1, 20) + bytes(2 * block_bytes)
        frame = SimpleNamespace(side_data={"VIDEO_ENC_PARAMS": content}, width=32, height=16)
        assert mean_quantiser(frame) == pytest.approx(20 / 51)
    assert mean_quantiser(SimpleNamespace(side_data={"VIDEO_ENC_PARAMS": content[:-1]})) is None


def h264_frame(blocks, codec=1, quantiser=20, size=(40, 20)):
    """Return a frame of which FFmpeg tells blocks: x, y, width, height, difference of each."""
    header = struct.Struct("@IQQii")
    content = header.pack(len(blocks), header.size, 20, codec, quantiser)
    content += np.array(blocks, np.int32).tobytes()
    return SimpleNamespace(side_data={"VIDEO_ENC_PARAMS": content}, width=size[0], height=size[1])


def test_each_macroblock_has_its_quantiser():
    """Blocks beyond the picture, which a damaged stream may name, are left out."""
    blocks = [(0, 0, 16, 16, 3), (16, 0, 16, 16, -25), (32, 16, 16, 16, 40), (48, 0, 16, 16, 9), (0, -16, 16, 16, 9)]
    assert block_quantisers(h264_frame(blocks)).tolist() == [[23, 0, 20], [20, 20, 51]]
    assert block_quantisers(h264_frame([])).tolist() == [[20] * 3] * 2
    assert block_quantisers(h264_frame(blocks, codec=0)) is None, "VP9"
    assert block_quantisers(SimpleNamespace(side_data={}, width=16, height=16)) is None


@pytest.mark.parametrize(("codec", "most"), [(0, 255), (1, 51), (2, 31)])
def test_the_mean_is_a_share_of_the_codecs_range(codec, most):
    blocks = [(0, 0, 16, 16, 4), (16, 0, 16, 16, -2)]
    assert mean_quantiser(h264_frame(blocks, codec)) == pytest.approx(21 / most)
    assert mean_quantiser(h264_frame([], codec, 300)) == 1
    assert mean_quantiser(h264_frame([], codec, -3)) == 0
    assert mean_quantiser(h264_frame(blocks, 3)) is None
