"""A picture whose file ends early is known by it; FFmpeg fills up the rest and says nothing."""

import io
import os

import numpy as np
import pytest
from PIL import Image

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
