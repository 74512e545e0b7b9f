import hashlib
import os
import shutil

import av
import numpy as np
import pytest

from tests.media_factory import cut_without_reencoding, pattern, write_sound, write_video
from unmask.errors import LimitError, NoVideoError, UnreadableError, UnsupportedError
from unmask.media import probe
from unmask.media.container import MAX_FRAME_PIXELS


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


def test_a_sound_track_before_the_picture_is_no_picture(tmp_path):
    with av.open(str(tmp_path / "clip.mkv"), "w") as container:
        sound = container.add_stream("aac", rate=44100)
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for i in range(10):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pattern(i), format="rgb24")))
        container.mux(stream.encode())
        del sound
    assert probe(tmp_path / "clip.mkv").codec == "h264"


def test_the_headers_count_is_a_rumour(tmp_path):
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


def broken_files(folder):
    (folder / "empty.mp4").touch()
    (folder / "byte.mp4").write_bytes(b"\0")
    (folder / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(50_000))
    (folder / "text.mp4").write_text("not a video\n" * 100)
    whole = write_video(folder / "whole.mp4", map(pattern, range(30)))
    (folder / "no_moov.mp4").write_bytes(whole.read_bytes().split(b"moov")[0])
    (folder / "cut_in_first_frame.mkv").write_bytes(
        write_video(folder / "whole.mkv", map(pattern, range(30)), options={"crf": "1"}).read_bytes()[:1500]
    )
    (folder / "folder.mp4").mkdir()
    os.mkfifo(folder / "pipe.mp4")
    return [
        "empty.mp4",
        "byte.mp4",
        "noise.mp4",
        "text.mp4",
        "no_moov.mp4",
        "cut_in_first_frame.mkv",
        "folder.mp4",
        "pipe.mp4",
    ]


def test_broken_files_are_unreadable(tmp_path):
    for name in broken_files(tmp_path):
        with pytest.raises(UnreadableError):
            probe(tmp_path / name)


def test_sound_alone_is_no_video(tmp_path):
    with pytest.raises(NoVideoError, match="only sound"):
        probe(write_sound(tmp_path / "sound.mp4"))
    with pytest.raises(NoVideoError):
        probe(write_sound(tmp_path / "sound.mkv"))


@pytest.mark.parametrize(
    "text",
    [
        "ffconcat version 1.0\nfile whole.mp4\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nwhole.mp4\n#EXT-X-ENDLIST\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n",
    ],
)
def test_play_lists_open_nothing(tmp_path, text):
    write_video(tmp_path / "whole.mp4", map(pattern, range(30)))
    (tmp_path / "list.mp4").write_text(text)
    with pytest.raises((UnsupportedError, UnreadableError)):
        probe(tmp_path / "list.mp4")


def test_a_picture_is_not_supported(tmp_path):
    import cv2

    cv2.imwrite(str(tmp_path / "picture.png"), pattern(1))
    shutil.move(tmp_path / "picture.png", tmp_path / "picture.mp4")
    with pytest.raises(UnsupportedError, match="convert"):
        probe(tmp_path / "picture.mp4")


def test_huge_frames_are_refused(tmp_path):
    black = np.zeros((4320, 7680, 3), np.uint8)
    assert black.shape[0] * black.shape[1] > MAX_FRAME_PIXELS
    path = write_video(tmp_path / "8k.mp4", [black], options={"preset": "ultrafast"})
    with pytest.raises(LimitError, match="7680x4320"):
        probe(path)


def test_any_file_name(tmp_path):
    whole = write_video(tmp_path / "whole.mp4", map(pattern, range(5)))
    for name in (b"\xff\xfe.mp4", b"new\nline.mp4", b"%03d.mp4", b"http:__x.mp4", b"<b>&amp;.mp4"):
        copy = os.fsdecode(os.path.join(os.fsencode(tmp_path), name))
        shutil.copy(whole, copy)
        assert probe(copy).frames == 5


def test_a_title_in_another_encoding_is_no_damage(tmp_path):
    path = write_video(tmp_path / "clip.avi", map(pattern, range(5)), codec="mpeg4", metadata={"title": "Cafe_"})
    data = path.read_bytes()
    assert b"Cafe_" in data
    path.write_bytes(data.replace(b"Cafe_", b"Caf\xe9_"))
    assert probe(path).frames == 5


def test_a_matroska_file_that_ends_early_is_cut_short(tmp_path):
    whole = write_video(tmp_path / "whole.mkv", map(pattern, range(120)), gop=30)
    assert not probe(whole).cut_short
    (tmp_path / "half.mkv").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    assert probe(tmp_path / "half.mkv").cut_short


def test_the_last_frame_of_a_variable_rate_clip_has_its_own_length(tmp_path):
    times = [0, 40, 1500, 1540, 1580]
    facts = probe(write_video(tmp_path / "vfr.mp4", map(pattern, range(5)), times=times))
    assert 1.58 <= facts.duration_seconds < 1.8
