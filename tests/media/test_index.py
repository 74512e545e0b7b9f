"""What packets tell of frames: where decoding can start, and what x264 wrote of its settings."""

from types import SimpleNamespace

import av
import numpy as np
import pytest

from tests.media_factory import pattern, write_video
from unmask.media.index import _key_test, _usable_keys, index_packets


@pytest.mark.parametrize(
    ("positions", "ranks", "usable"),
    [
        ([0, 3], [0, 1, 2, 3], [0, 3]),
        ([0, 2], [0, 1, -1, 2], [0]),  # cut away by an edit list
        ([0, 2, 3], [1, 0, 3, 2], [0, 2]),  # shown earlier than the one before
        ([1], [-1, 0], [1]),
        ([0], [-1], []),
        ([], [0, 1], []),
    ],
)
def test_key_packets_are_shown_and_rise(positions, ranks, usable):
    assert _usable_keys(np.array(positions, np.int64), np.array(ranks, np.int64)).tolist() == usable


def stream(name="h264", extradata=None):
    context = SimpleNamespace(codec=SimpleNamespace(canonical_name=name), extradata=extradata)
    return SimpleNamespace(codec_context=context)


@pytest.mark.parametrize(
    ("extradata", "packet", "is_afresh"),
    [
        (None, b"\0\0\1\x65data", True),
        (None, b"\0\0\1\x09\xf0\0\0\1\x25data", True),
        (None, b"\0\0\1\x06\0\0\1\x41data", False),  # a recovery point
        (b"\1\x64\0\x1e\xff", b"\0\0\0\2\x65a", True),
        (b"\1\x64\0\x1e\xff", b"\0\0\0\2\x41a\0\0\0\1\x65", True),
        (b"\1\x64\0\x1e\xff", b"\0\0\0\2\x41a", False),
        (b"\1\x64\0\x1e\xfd", b"\0\2\x65a", True),
        (b"\1\x64\0\x1e", b"\0\0\1\x65", True),
        (b"\0\0\0\1\x67", b"\0\0\1\x65", True),
        (b"\1\x64\0\x1e\xff", b"\0\0\0\0\0\0\0\1\x41", False),
    ],
)
def test_decoding_starts_afresh_at_idr_pictures_only(extradata, packet, is_afresh):
    assert _key_test(stream(extradata=extradata))(packet) is is_afresh
    assert _key_test(stream("hevc", extradata))(packet) is True


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    path = write_video(tmp_path_factory.mktemp("index") / "a.mp4", map(pattern, range(30)), gop=10)
    with av.open(str(path)) as container:
        track = container.streams.video[0]
        packets = list(container.demux(track))
        return packets, index_packets(iter(packets), track), path


def test_lengths_and_ends_are_those_of_the_packets(index):
    packets, found, path = index
    sizes = [packet.size for packet in packets if packet.size]
    assert found.sizes.tolist() == sizes
    assert (found.frames.packets, found.frames.size_bytes) == (30, sum(sizes))
    last = max(packet.pos + packet.size for packet in packets if packet.size)
    assert found.end_byte == last <= path.stat().st_size
    assert found.last_tick == max(packet.dts for packet in packets if packet.size)
    assert found.frames.key_packets.tolist() == [0, 10, 20]
    assert found.frames.end_seconds == pytest.approx(1.0)


def test_the_settings_of_x264_stand_in_its_first_key_packet(index):
    _, found, _ = index
    ((place, text),) = found.settings
    assert place == 0
    assert text.startswith("x264 - core ")
    assert "keyint=10" in text


def test_settings_are_kept_of_so_many_starts(index):
    _, _, path = index
    said = b"\0\0\0\x20\x06\x05x264 - core 164 - options: a\x80"
    made = []
    for number in range(20):
        packet = av.Packet(bytes(5000 * (number == 3)) + said)
        packet.pts = packet.dts = 512 * number
        packet.is_keyframe = number != 4
        made.append(packet)
    with av.open(str(path)) as container:
        found = index_packets(iter(made), container.streams.video[0])
    assert [place for place, _ in found.settings] == [n for n in range(20) if n not in (3, 4)][:16]
    assert {text for _, text in found.settings} == {"x264 - core 164 - options: a"}
