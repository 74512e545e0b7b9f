import shutil

import av
import numpy as np
import pytest
from av.stream import Disposition

from tests.media.odd import write_tracks
from tests.media_factory import pattern, write_sound, write_video
from unmask.errors import LimitError, NoVideoError, UnreadableError, UnsupportedError
from unmask.media import Limits, container, probe
from unmask.media.tags import texts


def test_a_sound_track_before_the_video_is_no_video(tmp_path):
    with av.open(str(tmp_path / "clip.mkv"), "w") as film:
        sound = film.add_stream("aac", rate=44100)
        stream = film.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for i in range(10):
            film.mux(stream.encode(av.VideoFrame.from_ndarray(pattern(i), format="rgb24")))
        film.mux(stream.encode())
        del sound
    assert probe(tmp_path / "clip.mkv").codec == "h264"


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


def test_a_picture_is_known_by_its_content(tmp_path):
    import cv2

    cv2.imwrite(str(tmp_path / "image.png"), pattern(1))
    shutil.move(tmp_path / "image.png", tmp_path / "image.mp4")
    assert probe(tmp_path / "image.mp4").is_picture
    cv2.imwrite(str(tmp_path / "image.bmp"), pattern(1))
    with pytest.raises(UnsupportedError, match="convert the file to JPEG or PNG"):
        probe(tmp_path / "image.bmp")


def test_huge_frames_are_refused(tmp_path):
    black = np.zeros((4320, 7680, 3), np.uint8)
    assert black.shape[0] * black.shape[1] > Limits().frame_pixels
    path = write_video(tmp_path / "8k.mp4", [black], options={"preset": "ultrafast"})
    with pytest.raises(LimitError, match="7680x4320"):
        probe(path)


def test_a_title_in_another_encoding_is_no_damage(tmp_path):
    path = write_video(tmp_path / "clip.avi", map(pattern, range(5)), codec="mpeg4", metadata={"title": "Cafe_"})
    data = path.read_bytes()
    assert b"Cafe_" in data
    path.write_bytes(data.replace(b"Cafe_", b"Caf\xe9_"))
    assert probe(path).frames == 5
    with path.open("rb") as file, container.open_container(file, 1 << 20) as (opened, _):
        assert "Caf\ufffd_" in texts(opened.metadata).values()


def test_a_codec_outside_the_list_is_not_decoded(tmp_path):
    options = {"strict": "experimental"}
    write_video(tmp_path / "clip.mkv", map(pattern, range(3)), codec="snow", options=options)
    with pytest.raises(UnsupportedError, match=r"codec snow is not read; convert the file to H\.264"):
        probe(tmp_path / "clip.mkv")


def test_no_decoder_outside_the_list_is_opened_to_look_into_a_container(tmp_path):
    """FFmpeg finds size and form of a track by decoding some of it, unless its decoder is not allowed."""
    path = write_video(tmp_path / "clip.mkv", map(pattern, range(3)), codec="snow", options={"strict": "experimental"})
    with path.open("rb") as file, av.open(file, "r", options={"codec_whitelist": container._decoders()}) as opened:
        assert opened.streams.video[0].codec_context.pix_fmt is None
    assert {"h264", "libdav1d", "libvpx-vp9", "mp3float"} <= set(container._decoders().split(","))


def test_a_codec_that_nobody_knows_is_not_decoded(tmp_path):
    path = write_video(tmp_path / "clip.mkv", map(pattern, range(3)))
    content = path.read_bytes()
    assert content.count(b"V_MPEG4/ISO/AVC") == 1
    path.write_bytes(content.replace(b"V_MPEG4/ISO/AVC", b"V_MPEG4/ISO/XYZ"))
    with pytest.raises(UnsupportedError, match=r"no decoder for this video codec; convert the file to H\.264"):
        probe(path)


def test_the_larger_and_longer_film_counts_before_a_small_one_and_a_preview(tmp_path):
    tracks = [
        ("libx264", (160, 96), range(12)), ("libx264", (320, 192), range(10)), ("libx264", (320, 192), range(12)),
        ("libx264", (64, 48), range(12)), ("snow", (320, 192), range(12)), ("mjpeg", (640, 384), range(1)),
    ]  # fmt: skip
    path = write_tracks(tmp_path / "clip.mkv", [(codec, size, list(numbers)) for codec, size, numbers in tracks])
    with path.open("rb") as file, container.open_container(file, 1 << 20) as (opened, first):
        for stream in opened.streams.video:
            stream.disposition = 0
        films = container.find_films(opened, first, is_picture=False)
    assert films.tracks == (2, 1, 0)
    assert films.others == 2, "the preview, and the codec that is not read"


def test_the_film_that_is_flagged_counts_first(tmp_path):
    tracks = [("libx264", (320, 192), list(range(6))), ("libx264", (160, 96), list(range(6)))]
    path = write_tracks(tmp_path / "clip.mkv", tracks)
    with path.open("rb") as file, container.open_container(file, 1 << 20) as (opened, first):
        opened.streams.video[0].disposition = Disposition.forced
        opened.streams.video[1].disposition = Disposition.default | Disposition.forced
        assert container.find_films(opened, first, is_picture=False).tracks == (1, 0)
