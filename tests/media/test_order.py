"""Every frame belongs to the time line, whatever its time stamps are worth."""

import numpy as np
import pytest

from tests.media.odd import encoded, write_joined, write_packed
from tests.media_factory import number_of, pattern, write_video
from unmask.errors import UnreadableError
from unmask.media import open_video, pick_frames, probe, read_frames
from unmask.media.order import display_order
from unmask.media.pictures import Picture

FIRST, SECOND, THIRD = list(range(20)), list(range(1000, 1015)), list(range(2000, 2010))


def order_of(stamps, *, keys=None, dts=None, kinds=None, longest=1000.0, may_reorder=True):
    pictures = [
        Picture(
            stamp,
            dts[at] if dts else None,
            0,
            is_key=at in keys if keys is not None else True,
            kind=kinds[at] if kinds else None,
        )
        for at, stamp in enumerate(stamps)
    ]
    return display_order(pictures, 10.0, longest, may_reorder=may_reorder)


@pytest.mark.parametrize(
    ("stamps", "ticks"),
    [
        ([0, 10, 20, 30], [0, 10, 20, 30]),
        ([500, 510, 530], [0, 10, 30]),
        ([0, 10, 20, 0, 10, 20], [0, 10, 20, 30, 40, 50]),
        ([0, 10, 20, 5000, 5010], [0, 10, 20, 30, 40]),
        ([0, 10, 10, 20], [0, 10, 15, 20]),
        ([30, 20, 10, 0], [0, 10, 20, 30]),
        ([7, 7, 7, 7], [0, 10, 20, 30]),
        ([2**33 - 20, 2**33 - 10, 0, 10], [0, 10, 20, 30]),
        ([0, 10, -(2**62), 2**62], [0, 10, 20, 30]),
        ([0, 10, None, 30], [0, 10, 20, 30]),
    ],
    ids=["plain", "offset", "restart", "jump", "repeat", "backwards", "constant", "wrap", "noise", "missing"],
)
def test_each_packet_has_a_time_of_its_own(stamps, ticks):
    shown = order_of(stamps, kinds=["I"] * len(stamps))
    assert shown.ranks.tolist() == list(range(len(stamps)))
    assert shown.ticks.tolist() == pytest.approx(ticks)


def test_reordered_packets_are_sorted_run_by_run():
    stamps, dts = [0, 30, 10, 20, 0, 30, 10, 20], [-10, 0, 10, 20, -10, 0, 10, 20]
    shown = order_of(stamps, keys={0, 4}, dts=dts)
    assert shown.ranks.tolist() == [0, 3, 1, 2, 4, 7, 5, 6]
    assert shown.stamped


def test_a_long_still_is_reordered_as_well():
    shown = order_of([0, 900, 450, 1800], keys={0}, dts=[-1, 0, 450, 900])
    assert shown.ranks.tolist() == [0, 2, 1, 3]


def test_kinds_tell_the_order_where_stamps_do_not():
    shown = order_of([None] * 6, keys={0}, kinds=["I", "P", "B", "B", "P", "B"])
    assert shown.ranks.tolist() == [0, 3, 1, 2, 5, 4]


def test_without_stamps_frames_are_counted_unless_nothing_is_reordered():
    assert not order_of([None] * 4).stamped
    assert order_of([None] * 4, may_reorder=False).stamped


def test_leading_and_hidden_packets_are_not_shown():
    assert order_of([100, 80, 90, 110], keys={0}).ranks.tolist() == [0, -1, -1, 1]
    with pytest.raises(UnreadableError, match="no frame"):
        display_order([Picture(0, 0, 0, is_key=True, is_hidden=True)], 1.0, 10.0)


def read_numbers(path):
    with open_video(path) as video:
        frames = list(read_frames(video, np.arange(len(video.index))))
        few = list(read_frames(video, pick_frames(video, 6)))
    assert np.diff([frame.time_seconds for frame in frames]).min() > 0
    numbers = [number_of(frame.image_HW3) for frame in frames]
    assert [number_of(frame.image_HW3) for frame in few] == [numbers[frame.index] for frame in few]
    return numbers


@pytest.mark.parametrize(
    ("first", "second"),
    [(0, 0), (0, 5000), (200, 100), (95443.4, 0), (95443, 20), (0, 0.3)],
    ids=["restart", "jump", "backwards", "wrap", "before the wrap", "overlap"],
)
@pytest.mark.parametrize("how", [{}, {"codec": "mpeg2video", "options": {"bf": "2"}}], ids=["h264", "mpeg2"])
def test_joined_transport_streams_are_read_to_their_end(tmp_path, first, second, how):
    path = write_joined(tmp_path / "joined.ts", [(FIRST, first), (SECOND, second), (THIRD, 0)], **how)
    assert read_numbers(path) == FIRST + SECOND + THIRD
    facts = probe(path)
    assert facts.duration_seconds == pytest.approx(45 / 30, abs=0.15)
    assert not facts.cut_short


def test_joined_program_streams_are_read_to_their_end(tmp_path):
    how = {"codec": "mpeg2video", "options": {"bf": "2"}}
    path = write_joined(tmp_path / "joined.mpg", [(FIRST, 0), (SECOND, 0)], **how)
    assert read_numbers(path) == FIRST + SECOND


def test_joined_raw_streams_are_read_to_their_end(tmp_path):
    path = write_joined(tmp_path / "joined.h264", [(FIRST, 0), (SECOND, 0)], form="h264")
    assert read_numbers(path) == FIRST + SECOND


def test_divx_is_whole(tmp_path):
    path = write_packed(tmp_path / "packed.avi", FIRST)
    facts = probe(path)
    assert not facts.cut_short
    assert facts.frames == len(FIRST)
    assert facts.duration_seconds == pytest.approx(len(FIRST) / 30, abs=0.1)
    assert read_numbers(path) == FIRST


def test_alternate_references_of_vp8_are_no_frames(tmp_path):
    options = {"auto-alt-ref": "1", "lag-in-frames": "16", "cpu-used": "5", "b": "200k"}
    path = write_video(tmp_path / "clip.webm", map(pattern, range(60)), codec="libvpx", options=options)
    assert read_numbers(path) == list(range(60))


def test_a_film_of_photographs_with_stamps_that_run_backwards(tmp_path):
    import av

    path = tmp_path / "backwards.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=30)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuvj420p"
        for place, packet in enumerate(encoded(FIRST, "mjpeg")):
            packet.stream, packet.pts, packet.dts = stream, 2 * len(FIRST) - place, place
            container.mux(packet)
    assert read_numbers(path) == FIRST


@pytest.mark.parametrize("suffix", ["avi", "mkv", "webm", "gif"])
def test_other_joined_files_are_read_to_their_end(tmp_path, suffix):
    codec, pixels = {"avi": ("mpeg4", "yuv420p"), "gif": ("gif", "rgb8")}.get(suffix, ("libvpx", "yuv420p"))
    data = b""
    for numbers in (FIRST, SECOND):
        path = write_video(
            tmp_path / f"clip.{suffix}", map(pattern, numbers), codec=codec, pixel_format=pixels, rate=25
        )
        data += path.read_bytes()
    path.write_bytes(data)
    assert read_numbers(path) == FIRST + SECOND


def test_avi_does_not_say_when_frames_are_shown(tmp_path):
    options = {"x264-params": "bframes=3:b-pyramid=normal:b-adapt=0"}
    path = write_video(tmp_path / "clip.avi", map(pattern, FIRST), options=options)
    assert read_numbers(path) == FIRST


def test_the_longest_time_between_two_frames_is_one_and_a_longer_one_a_jump():
    assert order_of([0, 1000, 2000]).ticks.tolist() == [0, 1000, 2000]
    assert order_of([0, 1001, 2002]).ticks.tolist() == [0, 10, 20]
    assert order_of([0, 40, 1041, 1081]).ticks.tolist() == [0, 40, 80, 120]


@pytest.mark.parametrize("frames", ["1", "3"])
def test_an_avi_that_only_says_when_to_decode_gives_all_frames_in_order(tmp_path, frames):
    options = {"x264-params": f"b-adapt=0:bframes={frames}:b-pyramid=none"}
    path = write_video(tmp_path / "a.avi", map(pattern, range(24)), options=options)
    assert read_numbers(path) == list(range(24))
