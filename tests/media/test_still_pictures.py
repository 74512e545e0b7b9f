import io
import struct
from functools import partial

import numpy as np
import pytest
from PIL import Image

from tests.hostile.factory import png
from tests.media_factory import pattern
from unmask import UnsupportedError
from unmask.errors import InputError
from unmask.media import Limits, open_video, probe, read_frames

IMAGE_HW3 = pattern(37, (160, 96))


def saved(form, **options):
    mode = options.pop("mode", "RGB")
    data = io.BytesIO()
    Image.fromarray(IMAGE_HW3).convert(mode).save(data, form, **options)
    return data.getvalue()


def read(path, **limits):
    with open_video(path, Limits(**limits)) as video:
        return video, list(read_frames(video, np.arange(len(video.index))))


FORMS = {
    "jpeg": ("JPEG", {"quality": 95}, "JPEG"),
    "progressive": ("JPEG", {"quality": 95, "progressive": True}, "JPEG"),
    "gray": ("JPEG", {"mode": "L"}, "JPEG"),
    "png": ("PNG", {}, "PNG"),
    "palette": ("PNG", {"mode": "P"}, "PNG"),
    "transparent": ("PNG", {"mode": "RGBA"}, "PNG"),
    "webp": ("WEBP", {"quality": 95}, "WebP"),
    "lossless": ("WEBP", {"lossless": True}, "WebP"),
    "gif": ("GIF", {}, "GIF"),
    "avif": ("AVIF", {"quality": 95}, "QuickTime"),
}


@pytest.mark.parametrize("name", FORMS)
def test_pictures_are_read_by_their_content_not_their_name(tmp_path, name):
    form, options, container = FORMS[name]
    path = tmp_path / "picture.mp4"
    path.write_bytes(saved(form, **options))
    video, frames = read(path)
    assert video.facts.is_picture
    assert container in video.facts.container
    assert (video.facts.frames, video.facts.duration_seconds, video.facts.frame_rate) == (1, 0, None)
    (frame,) = frames
    assert frame.image_HW3.shape == IMAGE_HW3.shape
    if name not in ("gray", "palette", "gif"):
        assert np.abs(frame.image_HW3.astype(int) - IMAGE_HW3).mean() < 12


@pytest.mark.parametrize("form", ["JPEG", "AVIF"])
def test_a_telephone_held_upright_gives_an_upright_picture(tmp_path, form):
    image = Image.fromarray(np.ascontiguousarray(np.rot90(IMAGE_HW3)))
    turned = image.getexif()
    turned[0x112] = 6  # shown turned by 90 degrees clockwise
    image.save(tmp_path / "a", form, exif=turned, quality=95)
    video, (frame,) = read(tmp_path / "a")
    assert video.facts.rotation_degrees == 270
    assert np.abs(frame.image_HW3.astype(int) - IMAGE_HW3).mean() < 12


def test_an_animated_gif_is_a_film(tmp_path):
    images = [Image.fromarray(pattern(number, (160, 96))) for number in range(5)]
    images[0].save(tmp_path / "a.gif", save_all=True, append_images=images[1:], duration=100)
    video, frames = read(tmp_path / "a.gif")
    assert (video.facts.is_picture, len(frames)) == (False, 5)
    assert frames[-1].time_seconds == pytest.approx(0.4)


def test_of_a_file_with_two_views_the_first_is_read(tmp_path):
    (tmp_path / "a.mpo").write_bytes(saved("JPEG") * 2)
    video, frames = read(tmp_path / "a.mpo")
    assert (video.facts.is_picture, len(frames)) == (True, 1)


def test_an_animated_webp_is_refused_with_the_cure(tmp_path):
    images = [Image.fromarray(pattern(number)) for number in range(3)]
    images[0].save(tmp_path / "a.webp", save_all=True, append_images=images[1:])
    with pytest.raises(UnsupportedError, match="animated, which is not read; convert it to MP4 or GIF"):
        probe(tmp_path / "a.webp")


JPEG, WEBP, AVIF = saved("JPEG"), saved("WEBP", lossless=True), saved("AVIF")
_SIZE = JPEG.index(b"\xff\xc0") + 5
HOSTILE = {
    "cut.jpg": JPEG[: len(JPEG) // 8],
    "large.jpg": JPEG[:_SIZE] + struct.pack(">HH", 65500, 65500) + JPEG[_SIZE + 4 :],
    "large.png": partial(png, 30_000, 30_000),  # takes half a second
    "large.webp": WEBP[:21] + b"\xff" * 4 + WEBP[25:],
    "cut.avif": AVIF[: len(AVIF) // 2],
    "zeros.heic": b"\0\0\0\x18ftypheic" + bytes(2000),
    "zeros.tiff": b"II*\0" + bytes(2000),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_damaged_and_oversized_pictures_are_refused(tmp_path, name):
    content = HOSTILE[name]
    (tmp_path / name).write_bytes(content() if callable(content) else content)
    with pytest.raises(InputError):
        read(tmp_path / name)


def test_limits_hold_for_pictures(tmp_path):
    (tmp_path / "a.png").write_bytes(saved("PNG"))
    with pytest.raises(InputError, match=r"pixels|decoded"):
        read(tmp_path / "a.png", frame_pixels=1000)
