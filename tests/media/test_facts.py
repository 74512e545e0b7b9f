import hashlib
import io
from fractions import Fraction
from types import SimpleNamespace

import av
import pytest

from tests.media_factory import cut_without_reencoding, pattern, write_video
from unmask.media import probe
from unmask.media.facts import _is_cut_short, _is_followed


def test_facts_of_an_ordinary_clip(tmp_path):
    path = write_video(tmp_path / "clip.mp4", map(pattern, range(60)), tone=True)
    facts = probe(path)
    assert facts.size_bytes == path.stat().st_size
    assert facts.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (facts.container, facts.codec, facts.pixel_format) == ("QuickTime / MOV", "h264", "yuv420p")
    assert (facts.width, facts.height, facts.rotation_degrees, facts.mirrored) == (160, 96, 0, False)
    assert (facts.frames, facts.frames_claimed, facts.cut_short) == (60, 60, False)
    assert facts.frame_rate == pytest.approx(30)
    assert facts.duration_seconds == pytest.approx(2, abs=0.05)
    assert facts.start_seconds == pytest.approx(0, abs=0.1)
    assert facts.bit_rate > 0
    assert facts.encoder.startswith("Lavf")
    audio = facts.audio
    assert (audio.codec, audio.channels, audio.sample_rate_hz) == ("aac", 2, 44100)
    assert audio.frames > 50
    assert audio.duration_seconds == pytest.approx(2, abs=0.2)


def test_a_silent_clip_has_no_audio(tmp_path):
    assert probe(write_video(tmp_path / "clip.mp4", map(pattern, range(5)))).audio is None


def test_the_headers_count_is_not_believed(tmp_path):
    whole = write_video(tmp_path / "whole.mp4", map(pattern, range(120)), gop=30)
    facts = probe(cut_without_reencoding(whole, tmp_path / "cut.mp4", 1.5))
    assert facts.frames < facts.frames_claimed
    assert not facts.cut_short


def test_one_frame(tmp_path):
    facts = probe(write_video(tmp_path / "one.mp4", [pattern(1)]))
    assert facts.frames == 1
    assert facts.duration_seconds >= 0


def test_the_frames_of_the_file_may_be_gone(tmp_path):
    whole = write_video(tmp_path / "whole.mp4", map(pattern, range(90)), options={"crf": "5", "movflags": "faststart"})
    path = tmp_path / "half.mp4"
    data = whole.read_bytes()
    if data.index(b"moov") > data.index(b"mdat"):  # put the header first, as a web player wants it
        with av.open(str(whole)) as original, av.open(str(path), "w", options={"movflags": "faststart"}) as copy:
            out = copy.add_stream_from_template(original.streams.video[0])
            for packet in original.demux(video=0):
                if packet.dts is not None:
                    packet.stream = out
                    copy.mux(packet)
        data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    facts = probe(path)
    assert facts.cut_short
    assert facts.frames < facts.frames_claimed == 90


def test_a_matroska_file_that_ends_early_is_cut_short(tmp_path):
    whole = write_video(tmp_path / "whole.mkv", map(pattern, range(120)), gop=30)
    assert not probe(whole).cut_short
    (tmp_path / "half.mkv").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    assert probe(tmp_path / "half.mkv").cut_short


def test_the_last_frame_of_a_variable_rate_clip_has_its_own_length(tmp_path):
    times = [0, 40, 1500, 1540, 1580]
    facts = probe(write_video(tmp_path / "vfr.mp4", map(pattern, range(5)), times=times))
    assert 1.58 <= facts.duration_seconds < 1.8


@pytest.mark.parametrize("suffix", ["flv", "mp4", "wmv", "y4m"])
def test_another_recording_in_the_file_is_noticed(tmp_path, suffix):
    codec = {"wmv": "wmv2", "y4m": "rawvideo"}.get(suffix, "libx264")
    path = write_video(tmp_path / f"clip.{suffix}", map(pattern, range(8)), codec=codec)
    assert not probe(path).is_followed
    path.write_bytes(2 * path.read_bytes())
    assert probe(path).is_followed


def test_where_the_container_tells_no_place_nothing_is_known_of_what_follows():
    two = io.BytesIO(2 * b"FLV\x01 and more")
    assert not _is_followed(two, 0)
    assert _is_followed(two, 5)
    assert not _is_followed(two, 30)


def test_pixels_are_square_unless_the_file_says_otherwise(tmp_path):
    square = write_video(tmp_path / "square.y4m", map(pattern, range(3)), codec="wrapped_avframe")
    square.write_bytes(square.read_bytes().replace(b" A1:1", b"").replace(b" A0:0", b""))
    assert probe(square).sample_aspect_ratio == 1
    options = {"aspect": "4:3"}  # of a pixel
    wide = write_video(tmp_path / "wide.mkv", map(pattern, range(3)), options=options)
    assert probe(wide).sample_aspect_ratio == pytest.approx(4 / 3)


def test_sound_of_an_unknown_codec_is_told_as_such(tmp_path):
    path = write_video(tmp_path / "v.mkv", map(pattern, range(10)), tone=True)
    path.write_bytes(path.read_bytes().replace(b"A_AAC", b"A_XYZ"))
    audio = probe(path).audio
    assert (audio.codec, audio.bit_rate, audio.start_seconds) == ("unknown", None, pytest.approx(0, abs=0.05))


@pytest.mark.parametrize(
    ("container", "frames", "packets", "last_tick", "expected"),
    [
        ("mp4", 100, 99, 0, False),
        ("mp4", 100, 98, 500, True),
        ("avi", 100, 60, 98, False),  # frames that were dropped have no packet, but a place
        ("avi", 100, 60, 97, True),
        ("avi", 100, 99, 5, False),
    ],
)
def test_a_frame_less_than_the_header_counts_is_none(container, frames, packets, last_tick, expected):
    index = SimpleNamespace(packets=packets)
    stream = SimpleNamespace(frames=frames)
    there = SimpleNamespace(frames=index, last_tick=last_tick)
    assert _is_cut_short(SimpleNamespace(format=SimpleNamespace(name=container)), stream, there) is expected


@pytest.mark.parametrize(
    ("tag", "duration", "name", "sound", "end", "expected"),
    [
        ("00:00:02.600000000", None, "matroska,webm", [], 2.0, False),
        ("00:00:02.610000000", None, "matroska,webm", [], 2.0, True),
        ("01:02:03.5", None, "matroska,webm", [], 3500.0, True),
        ("01:02:03.5", None, "matroska,webm", [], 3546.0, False),
        ("no time", 9_000_000, "matroska,webm", [], 2.0, False),
        (None, 2_600_000, "flv", [], 2.0, False),
        (None, 2_610_000, "flv", [], 2.0, True),
        (None, 9_000_000, "flv", ["sound"], 2.0, False),  # which may well outlast the video
        (None, 9_000_000, "mpegts", [], 2.0, False),
        (None, None, "flv", [], 2.0, False),
    ],
)
def test_where_no_frames_are_counted_the_seconds_are(tag, duration, name, sound, end, expected):
    stream = SimpleNamespace(
        frames=0, metadata={"DURATION": tag} if tag else {}, time_base=Fraction(1, 10), start_time=0
    )
    container = SimpleNamespace(
        duration=duration, format=SimpleNamespace(name=name), streams=SimpleNamespace(audio=sound)
    )
    there = SimpleNamespace(frames=SimpleNamespace(end_seconds=end))
    assert _is_cut_short(container, stream, there) is expected
    if expected and end < 3:
        stream.start_time = 1  # the film begins later than its clock, by a tenth of a second
        assert _is_cut_short(container, stream, there) is False
