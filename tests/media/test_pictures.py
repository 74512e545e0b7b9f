import numpy as np
import pytest

from tests.media.fields import write_fields
from tests.media.odd import encoded, write_interlaced
from tests.media_factory import number_of, pattern
from unmask.media import open_video, pick_frames, probe, read_frames
from unmask.media.pictures import Bits, FieldPairs, is_hidden_vp8, kind_reader, split_units

MOMENTS = [pattern(number, (160, 96)) for number in range(24)]


def test_numbers_are_read_bit_by_bit():
    bits = Bits(bytes([0b10100110, 0b01000010]))
    assert [bits.golomb() for _ in range(4)] == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="end"):
        bits.take(9)
    assert [Bits(bytes([byte])).signed_golomb() for byte in (0b10000000, 0b01000000, 0b01100000)] == [0, 1, -1]


@pytest.mark.parametrize("codec", ["mpeg2video", "mpeg1video", "mpeg4"])
def test_the_kinds_of_pictures_are_read(codec):
    read = kind_reader(codec)
    kinds = [read(bytes(packet)) for packet in encoded(range(12), codec, {"bf": "2", "b_strategy": "0", "g": "12"})]
    assert kinds[0] == "I"
    assert kinds.count("B") >= 5
    assert None not in kinds
    assert read(b"") is read(b"\0\0\1\xb6") is read(b"\0\0\1\0") is None


def test_hidden_frames_of_vp8_are_known():
    packets = encoded(range(60), "libvpx", {"auto-alt-ref": "1", "lag-in-frames": "16", "cpu-used": "5"})
    assert sum(not is_hidden_vp8(bytes(packet)) for packet in packets) == 60


@pytest.mark.parametrize("suffix", ["ts", "mkv", "mp4"])
def test_two_fields_are_one_frame(tmp_path, suffix):
    path = write_fields(tmp_path / f"camcorder.{suffix}", MOMENTS)
    with open_video(path) as video:
        frames = list(read_frames(video, np.arange(len(video.index))))
        few = list(read_frames(video, pick_frames(video, 5)))
    assert [number_of(frame.image_HW3) for frame in frames] == list(range(0, 24, 2))
    assert len(few) == 5
    assert np.diff([frame.time_seconds for frame in frames]) == pytest.approx(0.04)
    assert probe(path).interlaced


def test_frames_that_are_woven_are_no_fields(tmp_path):
    path = write_interlaced(tmp_path / "woven.ts", MOMENTS, "libx264", {"x264-params": "tff=1"})
    assert probe(path).frames == 12


@pytest.mark.parametrize(
    "data", [b"", b"\0\0\1", b"\0\0\1\x67", b"\0\0\1\x67" + bytes(40), b"\0\0\1\x67" + b"\xff" * 9]
)
def test_damaged_parameter_sets_are_no_fields(data):
    pairs = FieldPairs(data)
    assert not pairs.is_second(data)
    assert not pairs.is_second(b"\0\0\1\x21" + bytes(20))


def test_units_follow_lengths_or_start_codes():
    assert split_units(b"\0\0\0\1ab\0\0\1c", 0) == [b"ab", b"c"]
    assert split_units(b"\0\2ab\0\1c", 2) == [b"ab", b"c"]
    assert split_units(b"", 0) == split_units(b"", 4) == []
