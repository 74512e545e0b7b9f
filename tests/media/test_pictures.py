import numpy as np
import pytest

from tests.media.fields import BitWriter, write_fields
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


def signed(value):
    """Return the code of a signed number, se(v)."""
    return 2 * value - 1 if value > 0 else -2 * value


def sequence(profile=77, *, planes=False, chroma=1, lists=(), order=2, number_bits=4, frames_only=0):
    """Return the sequence parameter set of an H.264 film, after its start code (ITU-T H.264, 7.3.2.1.1)."""
    bits = BitWriter().put(profile, 8).put(0, 8).put(30, 8).golomb(0)
    if profile >= 100:
        bits.golomb(chroma)
        if chroma == 3:
            bits.put(int(planes), 1)
        bits.golomb(0, 0).put(0, 1).put(int(bool(lists)), 1)
        for deltas in lists or ():
            bits.put(int(deltas is not None), 1).golomb(*(signed(delta) for delta in deltas or ()))
    bits.golomb(number_bits - 4, order)
    if order == 0:
        bits.golomb(5)
    if order == 1:
        bits.put(0, 1).golomb(signed(-3), signed(2), 2, signed(40), signed(-7))
    bits.golomb(2).put(1, 1).golomb(9, 2).put(frames_only, 1).put(1, 1)
    return b"\x67" + bits.data()


def piece(number, parity, *, number_bits=4, planes=False):
    """Return the start of a slice of a field, parity 0 or 1, or of a frame, None."""
    bits = BitWriter().golomb(300, 7, 0)
    if planes:
        bits.put(2, 2)
    bits.put(number, number_bits)
    bits.put(0, 1) if parity is None else bits.put(1, 1).put(parity, 1)
    return b"\x21" + bits.put(0xAAAA, 16).data()


def unit(content):
    return b"\0\0\0\1" + content


SEQUENCES = {
    "main": {},
    "order by low bits": {"order": 0},
    "order by a cycle": {"order": 1},
    "many frame numbers": {"number_bits": 9},
    "high": {"profile": 100},
    "high with lists": {"profile": 100, "lists": ([1] * 16, [-8], None, None, None, None, [2] * 64, [-8])},
    "a list whose end is reached late": {"profile": 100, "lists": ([*range(3), -11], *[None] * 7)},
    "4:4:4": {"profile": 244, "chroma": 3},
    "4:4:4 with lists": {"profile": 244, "chroma": 3, "lists": (*[None] * 11, [3] * 64)},
    "planes of their own": {"profile": 244, "chroma": 3, "planes": True},
}


@pytest.mark.parametrize("kind", SEQUENCES)
def test_fields_are_paired_whatever_the_film_says_before(kind):
    """The frame number, by which fields belong together, lies behind all of it."""
    form = SEQUENCES[kind]
    how = {"number_bits": form.get("number_bits", 4), "planes": form.get("planes", False)}
    pairs = FieldPairs(unit(sequence(**form)))
    assert pairs.may_occur
    told = [(3, 0), (3, 1), (4, 1), (4, 0), (5, 0), (6, 1), (6, 1), (6, 0), (6, 1), (7, None), (7, 0), (8, None)]
    seconds = [pairs.is_second(unit(piece(number, parity, **how))) for number, parity in told]
    assert seconds == [False, True, False, True, False, False, False, True, False, False, False, False]


def test_a_film_of_whole_frames_has_no_fields():
    pairs = FieldPairs(unit(sequence(frames_only=1)))
    assert not pairs.may_occur
    assert [pairs.is_second(unit(piece(3, parity))) for parity in (0, 1)] == [False, False]
    assert FieldPairs(b"").may_occur, "nothing is known yet"
    assert [pairs.is_second(unit(sequence()) + unit(piece(3, parity))) for parity in (0, 1)] == [False, True], (
        "it learns"
    )


def test_both_fields_in_one_packet_are_a_whole_frame():
    pairs = FieldPairs(unit(sequence()))
    both = unit(piece(3, 0)) + unit(piece(3, 1))
    assert not pairs.is_second(both)
    assert not pairs.is_second(unit(piece(3, 1)))
    slices = unit(piece(4, 0)) + unit(piece(4, 0))
    assert not pairs.is_second(slices)
    assert pairs.is_second(slices.replace(piece(4, 0), piece(4, 1))), "a field may have several slices"


@pytest.mark.parametrize("length_bytes", [1, 2, 4])
def test_parameter_sets_of_a_container_are_read(length_bytes):
    """MP4 and Matroska keep them in an avcC box, and write lengths in front of units (ISO/IEC 14496-15, 5.2.4.1)."""
    other, own = sequence(frames_only=1), sequence()
    sets = b"".join(len(one).to_bytes(2, "big") + one for one in (other, own))
    box = bytes([1, 77, 0, 30, 0xFC | length_bytes - 1, 0xE0 | 2]) + sets
    pairs = FieldPairs(box + b"\1\0\2\x68\x80")
    units = [len(one).to_bytes(length_bytes, "big") + one for one in (piece(1, 0), piece(1, 1))]
    assert [pairs.is_second(one) for one in units] == [False, True]


def test_a_slice_that_ends_within_its_head_is_no_field():
    pairs = FieldPairs(unit(sequence(number_bits=16)))
    assert not pairs.is_second(unit(b"\x21\x80"))
    assert [pairs.is_second(unit(piece(3, parity, number_bits=16))) for parity in (0, 1)] == [False, True]


def test_a_number_of_more_than_32_bits_is_damage():
    assert Bits(bytes(4) + b"\x80" + bytes(5)).golomb() == (1 << 32) - 1
    with pytest.raises(ValueError, match="too long"):
        Bits(bytes(4) + b"\x40" + bytes(9)).golomb()
