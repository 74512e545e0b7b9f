import contextlib
import itertools
from types import SimpleNamespace

import av
import numpy as np
import pytest

from tests.media.odd import write_tracks
from tests.media_factory import cut_without_reencoding, number_of, pattern, write_video
from unmask.errors import NoVideoError
from unmask.media import Limits, SignatureLog, open_video, pick_frames, read_frames, sample_frames
from unmask.media.frames import _is_skippable, survey_packets
from unmask.media.index import FrameIndex


def full_decode(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        images = []
        with contextlib.suppress(av.error.FFmpegError):  # a truncated file
            images.extend(frame.to_ndarray(format="rgb24") for frame in container.decode(stream))
        return images


@pytest.mark.parametrize(
    ("codec", "options", "gop", "suffix"),
    [
        ("libx264", {}, 30, "mp4"),
        ("libx264", {"bf": "3", "b-pyramid": "normal"}, 250, "mp4"),
        ("libx264", {"x264-params": "open-gop=1:keyint=12:bframes=3"}, 12, "mp4"),
        ("libx264", {"x264-params": "open-gop=1:keyint=12:bframes=3"}, 12, "ts"),
        ("libx264", {"x264-params": "intra-refresh=1:keyint=30:bframes=0"}, 30, "mp4"),
        ("libx264", {"x264-params": "intra-refresh=1:keyint=30:bframes=0"}, 30, "ts"),
        ("libx265", {"x265-params": "log-level=none"}, 30, "mp4"),
        ("libx265", {"x265-params": "log-level=none:bframes=4:b-adapt=0"}, 60, "mp4"),
        ("libx265", {"x265-params": "log-level=none:temporal-layers=2:bframes=4"}, 60, "mp4"),
        ("libx265", {"x265-params": "log-level=none"}, 30, "ts"),
        ("mpeg4", {"bf": "2"}, 12, "avi"),
        ("mpeg2video", {"bf": "2"}, 12, "mpg"),
        ("mpeg1video", {}, 12, "mpg"),
        ("libvpx-vp9", {"deadline": "realtime"}, 30, "webm"),
    ],
)
def test_frames_are_bit_identical_to_a_full_decode(tmp_path, codec, options, gop, suffix):
    path = write_video(tmp_path / f"clip.{suffix}", map(pattern, range(100)), codec=codec, options=options, gop=gop)
    expected = full_decode(path)
    for sampling, count in itertools.product(("time", "reference"), (5, 32, 100)):
        frames = list(sample_frames(path, count, sampling))
        assert len(frames) == min(count, len(expected))
        for frame in frames:
            assert (frame.image_HW3 == expected[frame.index]).all(), (sampling, count, frame)
    with open_video(path) as video:
        log = SignatureLog()
        signed = list(read_frames(video, np.array([3, 50, 51, 97]), log))
    assert [frame.index for frame in signed] == [3, 50, 51, 97]
    assert all((frame.image_HW3 == expected[frame.index]).all() for frame in signed)
    assert {3, 50, 51, 97} <= set(log.arrays()[0].tolist())


def test_times_and_numbers_of_a_variable_rate_clip(tmp_path):
    times = [0, 40, 80, 500, 540, 2000, 2040, 2080, 2120, 3000]
    path = write_video(tmp_path / "vfr.mp4", map(pattern, range(10)), times=times)
    frames = list(sample_frames(path, 32))
    assert [number_of(frame.image_HW3) for frame in frames] == list(range(10))
    assert [round(frame.time_seconds * 1000) for frame in frames] == times
    chosen = list(sample_frames(path, 4))
    assert [round(frame.time_seconds * 1000) for frame in chosen] == [0, 540, 2000, 3000]


def test_a_copied_cut_gives_the_frames_that_exist(tmp_path):
    whole = write_video(tmp_path / "whole.mp4", map(pattern, range(120)), gop=30)
    cut = cut_without_reencoding(whole, tmp_path / "cut.mp4", 1.5)
    shown = full_decode(cut)
    frames = list(sample_frames(cut, 1000))
    assert len(frames) == len(shown) < 120
    assert [number_of(frame.image_HW3) for frame in frames] == [number_of(image) for image in shown]
    assert frames[0].time_seconds == 0


def test_a_truncated_clip_gives_what_is_left(tmp_path):
    whole = write_video(tmp_path / "whole.mkv", map(pattern, range(120)), gop=30)
    path = tmp_path / "half.mkv"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    shown = full_decode(path)
    frames = list(sample_frames(path, 1000))
    assert 20 < len(frames) < 120
    assert [number_of(frame.image_HW3) for frame in frames] == [number_of(image) for image in shown]


def test_holes_give_fewer_frames_never_doubles(tmp_path):
    path = write_video(tmp_path / "clip.mp4", map(pattern, range(120)), gop=20, options={"crf": "10"})
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat")
    middle = start + (len(data) - start) // 2
    data[middle : middle + 6000] = bytes(6000)
    path.write_bytes(data)
    with open_video(path) as video:
        frames = list(read_frames(video, pick_frames(video, 120)))
    indices = [frame.index for frame in frames]
    assert indices == sorted(set(indices))
    assert 60 < len(frames) <= 120


def test_a_key_frame_far_ahead_is_jumped_to(tmp_path, monkeypatch):
    path = write_video(tmp_path / "long.mp4", map(pattern, range(600)), gop=20, options={"bf": "2"})
    decoded = 0
    import unmask.media.frames as module

    original = module.decode_packet

    def counting(*args):
        nonlocal decoded
        decoded += 1
        return original(*args)

    monkeypatch.setattr(module, "decode_packet", counting)
    with open_video(path, Limits(isolate=False)) as video:
        frames = list(read_frames(video, pick_frames(video, 4)))
        assert [number_of(frame.image_HW3) for frame in frames] == [0, 200, 399, 599]
        assert 0 < decoded < 80
        decoded = 0
        (late,) = read_frames(video, np.array([590]))
    assert number_of(late.image_HW3) == 590
    assert 0 < decoded < 20, "also the first one"


@pytest.mark.parametrize("isolate", [True, False])
@pytest.mark.parametrize("film", [0, 2])
def test_a_film_that_is_not_there_is_refused(tmp_path, film, isolate):
    path = write_video(tmp_path / "a.mp4", map(pattern, range(3)))
    with (
        pytest.raises(NoVideoError, match=f"holds 1 films, and no number {film}"),
        open_video(path, Limits(isolate=isolate), film=film),
    ):
        pass


@pytest.mark.parametrize(
    ("codec", "extradata", "may_skip"),
    [
        ("h264", None, True), ("mpeg4", b"", True), ("mpeg2video", None, True), ("mpeg1video", None, True),
        ("vp9", None, False), ("av1", None, False), ("hevc", None, False), ("hevc", bytes(40), False),
        ("hevc", b"\1" + bytes(20) + b"\x0f\3", True),  # one temporal layer
        ("hevc", b"\1" + bytes(20) + b"\x17\3", False),  # two of them
        ("hevc", b"\1" + bytes(20) + b"\x0f", False),  # cut short
        ("hevc", b"\0" + bytes(20) + b"\x0f\3", False),
    ],
)  # fmt: skip
def test_frames_that_nothing_refers_to_are_skipped_where_that_changes_no_other(codec, extradata, may_skip):
    assert _is_skippable(SimpleNamespace(codec=SimpleNamespace(canonical_name=codec), extradata=extradata)) is may_skip


def test_key_frames_are_surveyed_at_least_so_far_apart():
    def surveyed(times, end):
        keys = np.arange(len(times), dtype=np.int64)
        index = FrameIndex(np.array(times, np.float64), 10 * keys, keys, True, end, len(times), 1)
        return sorted(survey_packets(index))

    assert surveyed([0, 0.5, 0.9, 1.7, 1.9, 5], 6) == [0, 20, 40, 50]
    assert surveyed(np.arange(0, 2560, 5.0), 2560) == [20 * number for number in range(256)], "at most 256"
    assert surveyed([7.0], 9) == [0]


def test_each_film_of_a_file_can_be_read(tmp_path):
    sizes = [(320, 192), (160, 96)]
    path = write_tracks(
        tmp_path / "a.mkv", [("libx264", size, list(range(first, 60, 2))) for first, size in enumerate(sizes)]
    )
    for film, (width, height) in enumerate(sizes):
        with open_video(path, Limits(isolate=False), film=film + 1) as video:
            facts = video.facts
            (frame,) = read_frames(video, np.array([5]))
        assert (facts.film, facts.films, facts.width, facts.height) == (film + 1, 2, width, height)
        assert number_of(frame.image_HW3) == 10 + film
