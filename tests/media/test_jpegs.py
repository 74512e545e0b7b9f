import io

import cv2
import numpy as np
import pytest

from tests.media.odd import encoded, exif
from tests.media_factory import number_of, pattern, write_video
from unmask.media import open_video, probe, read_frames
from unmask.media.jpegs import is_motion_jpeg, is_whole_jpeg

PICTURES = [bytes(packet) for packet in encoded(range(12), "mjpeg")]


@pytest.mark.parametrize(
    ("data", "is_film"),
    [
        (b"".join(PICTURES), True),
        (b"".join(picture + bytes(7) for picture in PICTURES), True),
        (b"".join(PICTURES[:2]), False),
        (PICTURES[0], False),
        (PICTURES[0] + b"ftypmp42" + PICTURES[1] + PICTURES[2], False),
        (PICTURES[0][:-9], False),
        (b"", False),
        (b"\xff\xd8" + b"\xff" * 99, False),
    ],
    ids=["film", "padded", "two views", "photograph", "motion photograph", "cut", "empty", "noise"],
)
def test_a_film_is_three_pictures_one_after_the_other(data, is_film):
    assert is_motion_jpeg(io.BytesIO(data)) is is_film


def test_a_photograph_with_a_thumbnail_is_no_film():
    data = cv2.imencode(".jpg", pattern(1))[1].tobytes()
    thumbnail = exif(1)[:-4] + PICTURES[0]
    segment = b"\xff\xe1" + (len(thumbnail) - 2).to_bytes(2, "big") + thumbnail[4:]
    assert not is_motion_jpeg(io.BytesIO(data[:2] + segment + data[2:]))


def multipart() -> bytes:
    """Return pictures as a camera sends them to a browser."""
    head = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
    return b"".join(head % len(picture) + picture + b"\r\n" for picture in PICTURES)


@pytest.mark.parametrize(
    ("name", "make"), [("a.mjpeg", lambda: b"".join(PICTURES)), ("a.mjpg", multipart), ("a", multipart)]
)
def test_pictures_of_a_camera_are_read(tmp_path, name, make):
    (tmp_path / name).write_bytes(make())
    with open_video(tmp_path / name) as video:
        frames = list(read_frames(video, np.arange(len(video.index))))
    assert [number_of(frame.image_HW3) for frame in frames] == list(range(12))


@pytest.mark.parametrize(
    ("suffix", "codec", "form", "size"),
    [
        ("y4m", "rawvideo", "yuv4mpegpipe", (160, 96)),
        ("h264", "libx264", "h264", (160, 96)),
        ("hevc", "libx265", "hevc", (160, 96)),
        ("m2v", "mpeg2video", "mpeg2video", (160, 96)),
        ("m4v", "mpeg4", "m4v", (160, 96)),
        ("ivf", "libvpx-vp9", "ivf", (160, 96)),
        ("dv", "dvvideo", "dv", (720, 576)),
    ],
)
def test_raw_streams_are_read(tmp_path, suffix, codec, form, size):
    options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    images = [pattern(number, size) for number in range(10)]
    path = write_video(tmp_path / f"clip.{suffix}", images, codec=codec, rate=25, options=options)
    with open_video(path) as video:
        frames = list(read_frames(video, np.arange(len(video.index))))
    assert len(frames) == 10
    assert [number_of(frame.image_HW3) for frame in frames] == list(range(10))
    assert not video.facts.cut_short


def test_one_photograph_is_a_picture(tmp_path):
    (tmp_path / "a.mjpeg").write_bytes(PICTURES[0])
    assert probe(tmp_path / "a.mjpeg").is_picture


def segment(marker, content=b""):
    return bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, "big") + content


START, END, SCAN = b"\xff\xd8", b"\xff\xd9", segment(0xDA, b"head")


@pytest.mark.parametrize(
    ("picture", "is_whole"),
    [
        (START + SCAN + b"data" + END, True),
        (START + b"\xff\xff" + SCAN + b"data" + END, True),  # fill bytes in front of a marker
        (START + b"\xff\x01" + segment(0xDB, b"table") + SCAN + b"data" + END, True),  # TEM has no length
        (START + segment(0xDB, b"table") + b"stray" + SCAN + b"data" + END, False),
        (START + SCAN + b"da\xff\0ta" + END, True),  # a byte of data
        (START + SCAN + b"da\xff\xd3ta" + END, True),  # a restart
        (START + SCAN + b"data" + segment(0xDA, b"second") + b"data" + END, True),
        (START + SCAN + b"data\xff", False),
        (START + SCAN + b"data" + END[:1], False),
        (START + END, True),
        (START + segment(0xDB, b"table") + END, True),
        (START, False),
        (b"\xff\xd7" + SCAN + END, False),
        (b"", False),
    ],
)
def test_where_a_picture_ends(picture, is_whole):
    assert is_whole_jpeg(io.BytesIO(picture)) is is_whole
    assert is_motion_jpeg(io.BytesIO(3 * picture)) is is_whole
    assert is_motion_jpeg(io.BytesIO(picture + bytes(5) + picture + b"\0" + picture)) is is_whole, "zeros fill up"
    assert not is_motion_jpeg(io.BytesIO(2 * picture)), "a photograph with another view of it"
