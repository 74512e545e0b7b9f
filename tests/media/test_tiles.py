"""A HEIC made of tiles, as telephones write it, is one upright picture; broken ones are refused with a reason."""

import struct
from dataclasses import replace

import numpy as np
import pytest

from tests.media.heic_files import write_tiled_heic
from unmask.errors import InputError, LimitError, UnreadableError, UnsupportedError
from unmask.media import Limits, open_video, read_frames
from unmask.media.items import read_items
from unmask.media.orientation import Orientation
from unmask.media.tiles import read_grid

LIMITS = Limits(isolate=False)
ROWS, COLUMNS = np.mgrid[:100, :150]
PICTURE = np.stack([COLUMNS, 2 * ROWS, ROWS + COLUMNS // 2], 2).astype(np.uint8)
"""Each place has a colour of its own: a tile at a wrong place, or turned, is seen."""


@pytest.fixture(scope="module")
def tiled(tmp_path_factory):
    return write_tiled_heic(tmp_path_factory.mktemp("tiles") / "a.heic", PICTURE)


@pytest.fixture(scope="module")
def turned(tmp_path_factory):
    return write_tiled_heic(tmp_path_factory.mktemp("tiles") / "a.heic", PICTURE, turned=3)


def changed(path, tmp_path, old, new):
    content = path.read_bytes()
    assert content.count(old) == 1
    assert len(old) == len(new)
    (tmp_path / "changed.heic").write_bytes(content.replace(old, new))
    return tmp_path / "changed.heic"


def seen(path, limits=LIMITS):
    with open_video(path, limits) as video:
        assert video.facts.is_picture
        (frame,) = read_frames(video, np.array([0]))
        return video.facts, frame.image_HW3.astype(int)


GRID = struct.pack(">BBBBHH", 0, 0, 1, 2, 150, 100)
"""Two rows of three tiles of 64 pixels."""


def test_tiles_are_put_together_and_cut_to_the_size_of_the_picture(tiled):
    facts, image = seen(tiled)
    assert (facts.width, facts.height, facts.codec, facts.cut_short) == (150, 100, "hevc", False)
    assert np.abs(image - PICTURE).mean() < 2


def test_in_the_confined_decoder_too_and_upright(turned):
    facts, image = seen(turned, Limits())
    assert (facts.width, facts.height, facts.rotation_degrees) == (100, 150, 270)
    assert np.abs(image - np.rot90(PICTURE, 3)).mean() < 2


def test_a_mirrored_picture(turned, tmp_path):
    with changed(turned, tmp_path, b"irot\3", b"imir\1").open("rb") as file:
        grid = read_grid(file)
    assert grid is not None
    assert grid.orientation == Orientation(flip_x=True)


@pytest.mark.parametrize(
    ("new", "error", "why"),
    [
        (GRID[:4] + struct.pack(">HH", 150, 200), UnreadableError, "do not cover it"),
        (GRID[:4] + struct.pack(">HH", 65535, 65535), LimitError, "at most"),
        (struct.pack(">BBBBHH", 0, 0, 255, 255, 150, 100), UnreadableError, "header is damaged"),
        (struct.pack(">BBBBHH", 0, 0, 1, 2, 0, 0), UnsupportedError, "put together in a way"),
    ],
)
def test_a_grid_that_lies(tiled, tmp_path, new, error, why):
    path = changed(tiled, tmp_path, GRID, new)
    with pytest.raises(error, match=why), open_video(path, LIMITS):
        pass


def test_a_tile_that_is_not_there(tiled, tmp_path):
    used = b"dimg" + struct.pack(">HH6H", 7, 6, 1, 2, 3, 4, 5, 6)
    path = changed(tiled, tmp_path, used, used[:-2] + b"\0\x63")
    with pytest.raises(UnreadableError, match="1 of the picture's 6 tiles are missing"), open_video(path, LIMITS):
        pass


def test_more_pixels_than_allowed(tiled):
    with pytest.raises(LimitError), open_video(tiled, replace(LIMITS, frame_pixels=20_000)):
        pass


def test_a_file_that_ends_early_is_refused(tiled, tmp_path):
    content = tiled.read_bytes()
    for share in (0.1, 0.5, 0.9):
        (tmp_path / "cut.heic").write_bytes(content[: int(share * len(content))])
        with pytest.raises(InputError), open_video(tmp_path / "cut.heic", LIMITS):
            pass


def test_a_damaged_list_of_items_harms_nothing(tiled):
    content = tiled.read_bytes()
    at = content.index(b"meta") + 8
    rng = np.random.default_rng(0)
    for _ in range(300):
        meta = bytearray(content[at : at + 600])
        for place in rng.integers(len(meta), size=4):
            meta[place] = rng.integers(256)
        read_items(bytes(meta[: rng.integers(len(meta))]), at)


def test_endless_lists_end(tmp_path):
    many = struct.pack(">H", 65535)
    boxes = [struct.pack(">I4s", 40, kind) + bytes(4) + many * 14 for kind in (b"iinf", b"iloc", b"iref", b"ipma")]
    assert read_items(b"".join(boxes) * 1000, 0).items == {}
