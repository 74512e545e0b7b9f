import hashlib
import io

import av
import pytest

from tests.media_factory import cut_without_reencoding, pattern, write_video
from unmask.media import probe
from unmask.media.facts import _is_followed


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
