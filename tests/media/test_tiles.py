"""A HEIC made of tiles, as telephones write it, is one upright picture; broken ones are refused with a reason."""

import io
import struct
from dataclasses import replace
from types import SimpleNamespace

import av
import numpy as np
import pytest

from tests.evidence.label_files import box
from tests.media.heic_files import write_tiled_heic
from unmask.errors import InputError, LimitError, UnreadableError, UnsupportedError
from unmask.media import Limits, open_video, read_frames
from unmask.media.items import read_items
from unmask.media.orientation import Orientation
from unmask.media.tiles import Grid, join_tiles, read_grid

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


def tile(level=90, size=(64, 64), form="yuv420p"):
    """Return a decoded tile of one colour."""
    image = np.full((size[1], size[0], 3), level, np.uint8)
    return av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=form)


def joined(frames, grid, *, packets=None):
    """Join tiles that decoders give, each from a stream of its own."""
    streams = []
    for number, frame in enumerate(frames):
        context = SimpleNamespace(width=64, height=64, decode=lambda packet, frame=frame: [frame] if packet else [])
        streams.append(SimpleNamespace(id=number + 1, index=number, codec_context=context))
    sent = [SimpleNamespace(size=9, stream=stream) for stream in (streams if packets is None else streams[:packets])]
    container = SimpleNamespace(streams=SimpleNamespace(video=streams), demux=lambda _: sent)
    return join_tiles(container, grid, 1 << 20)


def test_a_picture_ends_within_its_tiles_or_before_one():
    grid = Grid(2, 2, 65, 66, (1, 2, 3, 3), Orientation())
    picture = joined([tile(40), tile(80), tile(160)], grid).to_ndarray(format="rgb24").astype(int)
    assert picture.shape == (66, 65, 3)
    assert np.abs(picture[:60, :60] - 40).max() <= 2
    assert np.abs(picture[:60, 64] - 80).max() <= 2, "one column of the second tile"
    assert np.abs(picture[64:, :60] - 160).max() <= 2, "one tile may be used twice"
    whole = joined([tile(40), tile(80)], Grid(1, 2, 40, 64, (1, 2), Orientation())).to_ndarray(format="rgb24")
    assert whole.shape == (64, 40, 3)
    assert np.abs(whole.astype(int) - 40).max() <= 2


@pytest.mark.parametrize("form", ["yuv420p10le", "gray", "yuv444p", "nv12"])
def test_tiles_of_any_format_lie_in_their_places(form):
    levels = np.array([30, 90, 150, 210])
    picture = joined([tile(level, form=form) for level in levels], Grid(2, 2, 128, 128, (1, 2, 3, 4), Orientation()))
    seen = picture.to_ndarray(format="rgb24")[32::64, 32::64, 0].ravel()
    assert np.abs(seen.astype(int) - levels).max() <= 2


@pytest.mark.parametrize(
    ("frames", "packets", "why"),
    [
        ([tile(), tile(size=(64, 32))], None, "of different sizes"),
        ([tile(), tile(form="yuv444p")], None, "of different kinds"),
        ([tile(), tile()], 1, "1 of the picture's 2 tiles are missing"),
        ([tile()], None, "1 of the picture's 2 tiles are missing"),
    ],
)
def test_tiles_that_do_not_fit(frames, packets, why):
    with pytest.raises(UnreadableError, match=why):
        joined(frames, Grid(1, 2, 128, 64, (1, 2), Orientation()), packets=packets)


def grid_file(content=GRID, *, tiles=6, turned=None, mirrored=None, kind=b"grid", long=False, before=b""):
    """Return a file whose picture is a grid, as far as its items say."""
    said = [box(b"irot", bytes([turned]))] if turned is not None else []
    said += [box(b"imir", bytes([mirrored]))] if mirrored is not None else []
    used = struct.pack(">IHB", 1, 9, len(said)) + bytes(range(1, len(said) + 1))
    entry = box(b"infe", b"\2\0\0\0" + struct.pack(">HH4s", 9, 0, kind) + b"\0")
    place = struct.pack(">HHHHHII", 1, 9, 1, 0, 1, 0, len(content))
    parts = [
        box(b"pitm", bytes(4) + struct.pack(">H", 9)),
        box(b"iinf", bytes(4) + b"\0\1" + entry),
        box(b"iref", bytes(4) + box(b"dimg", struct.pack(f">HH{tiles}H", 9, tiles, *range(1, tiles + 1)))),
        box(b"iloc", b"\1\0\0\0\x44\0" + place),
        box(b"iprp", box(b"ipco", b"".join(said)) + box(b"ipma", bytes(4) + used)),
        box(b"idat", content),
    ]
    meta = bytes(4) + b"".join(parts)
    meta = struct.pack(">I4sQ", 1, b"meta", 16 + len(meta)) + meta if long else box(b"meta", meta)
    return io.BytesIO(box(b"ftyp", b"heic") + before + meta)


@pytest.mark.parametrize("long", [False, True])
@pytest.mark.parametrize("content", [GRID, struct.pack(">BBBBII", 0, 1, 1, 2, 150, 100)])
def test_a_grid_is_read_in_both_its_forms(content, long):
    assert read_grid(grid_file(content, long=long)) == Grid(2, 3, 150, 100, (1, 2, 3, 4, 5, 6), Orientation())
    assert read_grid(grid_file(content, before=14 * box(b"free", b"x"))) is not None
    assert read_grid(grid_file(content, before=15 * box(b"free", b"x"))) is None, "nobody writes so many boxes"


def test_what_follows_the_list_of_items_is_no_part_of_it():
    content = grid_file().getvalue()
    for kind in (b"pitm", b"iinf", b"iref", b"iloc"):
        assert read_grid(io.BytesIO(content + box(kind, b""))) is not None


@pytest.mark.parametrize(
    "file",
    [
        grid_file(tiles=5), grid_file(tiles=7), grid_file(kind=b"hvc1"), grid_file(GRID[:7]),
        grid_file(GRID[:4] + struct.pack(">HH", 0, 100)), grid_file(GRID[:4] + struct.pack(">HH", 150, 0)),
        grid_file(before=struct.pack(">I4s", 7, b"free")), io.BytesIO(grid_file().getvalue()[12:]), io.BytesIO(b""),
        io.BytesIO(box(b"ftyp", b"heic")),
    ],
)  # fmt: skip
def test_what_is_no_grid(file):
    assert read_grid(file) is None


@pytest.mark.parametrize("turned", [None, 0, 1, 2, 3])
@pytest.mark.parametrize("mirrored", [None, 0, 1])
def test_a_grid_is_turned_to_the_left_and_then_mirrored(turned, mirrored):
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    expected = np.rot90(image, turned or 0)
    expected = expected if mirrored is None else expected[:, ::-1] if mirrored else expected[::-1]
    assert np.array_equal(read_grid(grid_file(turned=turned, mirrored=mirrored)).orientation.apply(image), expected)


def test_a_picture_may_have_one_tile():
    picture = joined([tile(70)], Grid(1, 1, 60, 50, (1,), Orientation()))
    assert (picture.width, picture.height, picture.pts) == (60, 50, 0)
