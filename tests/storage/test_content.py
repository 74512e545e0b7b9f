import io

import av
import cv2
import numpy as np
import pytest

from tests.media_factory import pattern, write_sound, write_video
from unmask.storage.content import HEAD_BYTES, content_of, content_of_name

CODECS = {
    "mp4": "libx264", "mov": "libx264", "mkv": "libx264", "webm": "libvpx", "avi": "mpeg4", "flv": "flv",
    "ts": "mpeg2video", "mpg": "mpeg2video", "vob": "mpeg2video", "wmv": "msmpeg4", "asf": "msmpeg4", "3gp": "libx264",
    "f4v": "libx264", "nut": "mpeg4", "m2v": "mpeg2video", "h264": "libx264", "mxf": "mpeg2video", "gif": "gif",
    "m2ts": "mpeg2video", "y4m": "rawvideo", "ivf": "libvpx",
}  # fmt: skip


@pytest.mark.parametrize("suffix", CODECS)
def test_videos_of_every_container_are_recognised_without_their_name(tmp_path, suffix):
    if CODECS[suffix] not in av.codecs_available:
        pytest.skip(f"this FFmpeg cannot encode {CODECS[suffix]}")
    rgb = {"gif": "rgb8"}.get(suffix, "yuv420p")
    path = write_video(
        tmp_path / f"clip.{suffix}", map(pattern, range(5)), codec=CODECS[suffix], rate=25, pixel_format=rgb
    )
    assert content_of(path.read_bytes()[:HEAD_BYTES]) == "video"
    assert content_of_name(path) == "video"


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp", "tiff"])
def test_images_are_recognised(suffix):
    data = cv2.imencode(f".{suffix}", np.zeros((9, 9, 3), np.uint8))[1].tobytes()
    assert content_of(data[:HEAD_BYTES]) == "image"
    assert content_of_name(f"A.{suffix.upper()}") == "image"


def test_heif_and_avif_are_images_and_not_the_videos_they_resemble():
    assert content_of(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic") == "image"
    assert content_of(b"\0\0\0\x18ftypavif\0\0\0\0") == "image"
    assert content_of(b"\0\0\0\x18ftypisom\0\0\0\0") == "video"


@pytest.mark.parametrize(
    ("head", "content"),
    [
        (b"\0\0\0\x08wide\0\0\0\0mdat", "video"), (b"--myboundary\r\nContent-Type: image/jpeg\r\n", "video"),
        (b"--myboundary\r\nContent-Type: text/plain\r\n", None), (b"x Content-Type: image/jpeg", None),
        (b"RIFF\0\0\0\0WEBP", "image"), (b"RIFF\0\0\0\0XXXX", None), (b"FORM\0\0\0\0ILBM", None),
        (b"\0\0\0\x18ftypM4A \0\0\0\0", "sound"), (b"OggS" + bytes(24) + b"\x80theora", "video"),
        (b"\x47" + bytes(187) + b"\x47" + bytes(187) + b"\x47" + bytes(187), None), (b"", None),
    ],
)  # fmt: skip
def test_heads(head, content):
    assert content_of(head) == content


@pytest.mark.parametrize("suffix", ["m4a", "aac", "wav", "ogg", "flac", "mp3", "aiff"])
def test_sound_is_recognised(tmp_path, suffix):
    codecs = {"wav": "pcm_s16le", "aiff": "pcm_s16be", "flac": "flac", "ogg": "flac", "mp3": "libmp3lame"}
    if suffix in ("m4a", "aac"):
        path = write_sound(tmp_path / f"sound.{suffix}")
        data = path.read_bytes()
    else:
        target = io.BytesIO()
        with av.open(target, "w", format=suffix) as container:
            track = container.add_stream(codecs[suffix], rate=44100, layout="mono")
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.int16), format="s16", layout="mono")
            frame.sample_rate = 44100
            resampler = av.AudioResampler(format=track.format, layout="mono", rate=44100, frame_size=1024)
            for part in resampler.resample(frame):
                container.mux(track.encode(part))
            container.mux(track.encode())
        data = target.getvalue()
    assert content_of(data[:HEAD_BYTES]) == "sound"
    assert content_of_name(f"x.{suffix}") == "sound"


@pytest.mark.parametrize(
    "data", [b"", b"G", b"%PDF-1.7\n", b"PK\x03\x04", b"filename,label\n", b"\0" * 1024, b"RIFF1234"]
)
def test_other_files_are_neither(data):
    assert content_of(data) is None
    assert content_of_name("notes.txt") is None
