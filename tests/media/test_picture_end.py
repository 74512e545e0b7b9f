"""A picture whose file ends early is known by it; FFmpeg fills up the rest and says nothing."""

import io
import os
import struct

import numpy as np
import pytest
from PIL import Image

from unmask.media import picture_end
from unmask.media.picture_end import ends_early

FORMS = ("JPEG", "PNG", "WEBP", "AVIF")


def whole(form, **options):
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (80, 96, 3), np.uint8)).save(stream, form, **options)
    return stream.getvalue()


def early(content, tmp_path):
    path = tmp_path / "picture"
    path.write_bytes(content)
    with path.open("rb") as file:
        return ends_early(file)


@pytest.mark.parametrize("form", FORMS)
def test_a_whole_picture_and_what_is_left_of_one(form, tmp_path):
    content = whole(form)
    assert not early(content, tmp_path)
    for share in (0.4, 0.8, 0.99):
        assert early(content[: int(share * len(content))], tmp_path)
    assert not early(content + os.urandom(50) if form != "AVIF" else content, tmp_path), "what follows does not count"


def test_a_thumbnail_is_not_the_end_of_its_picture(tmp_path):
    thumbnail = whole("JPEG")
    assert b"\xff\xd9" in thumbnail
    length = (len(thumbnail) + 2).to_bytes(2, "big")
    content = whole("JPEG", progressive=True, quality=95)
    with_thumbnail = content[:2] + b"\xff\xe1" + length + thumbnail + content[2:]
    assert not early(with_thumbnail, tmp_path)
    assert early(with_thumbnail[:-40], tmp_path)


def test_chunks_beyond_the_most_that_are_looked_at_are_not_missed(tmp_path, monkeypatch):
    monkeypatch.setattr(picture_end, "_MAX_PARTS", 3)
    content = whole("PNG")
    chunk = (4).to_bytes(4, "big") + b"teXt" + bytes(8)
    assert early(content[:33] + chunk + content[33:], tmp_path) is False
    assert early(content[:33] + 3 * chunk, tmp_path) is False, "too many to tell"
    assert early(content[:33] + chunk + chunk[:-1], tmp_path), "cut within a checksum"


@pytest.mark.parametrize(
    ("tail", "is_early"),
    [
        (b"", False),
        (struct.pack(">I4sQ", 1, b"mdat", 20) + b"1234", False),
        (struct.pack(">I4sQ", 1, b"mdat", 21) + b"1234", True),
        (struct.pack(">I4s", 0, b"mdat") + b"to the end", False),
        (struct.pack(">I4s", 7, b"free"), False),
        (struct.pack(">I4s", 9, b"free"), True),
        (struct.pack(">I4s", 8, b"free"), False),
        (b"\0\0\0", False),
    ],
)
def test_boxes_say_how_long_a_file_is(tail, is_early, tmp_path):
    assert early(struct.pack(">I4s", 12, b"ftyp") + b"heic" + tail, tmp_path) is is_early


def test_the_parts_of_a_webp_may_end_with_the_file_and_no_earlier(tmp_path):
    content = b"RIFF" + (12).to_bytes(4, "little") + b"WEBPVP8 abcd"
    assert not early(content, tmp_path)
    assert early(content[:-1], tmp_path)
    assert not early(b"GIF89a" + bytes(20), tmp_path), "of others nothing is known"
