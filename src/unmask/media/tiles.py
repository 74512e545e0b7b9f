"""Put a picture together that is stored in tiles, as telephones store HEIC: FFmpeg gives the tiles one by one.

The ``grid`` of ISO/IEC 23008-12, 6.6.2.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.stream import VideoStream
from numpy.typing import NDArray

from unmask.errors import LimitError, UnreadableError
from unmask.media.items import MAX_META_BYTES, Items, read_items
from unmask.media.orientation import Orientation

MAX_TILES = 1024
"""Tiles of a picture, at most; 48 megapixels are stored in some two hundred."""
_MAX_BOXES, _MAX_EXTENTS = 16, 4
_WIDE_NUMBERS = 1
"""Flag of a grid whose width and height take four bytes each."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A picture of equal tiles."""

    rows: int
    """Rows of tiles."""
    columns: int
    """Columns of tiles."""
    width_px: int
    """Width of the picture as it is stored; what the last column holds beyond it is cut off."""
    height_px: int
    """Height of the picture as it is stored."""
    tiles: tuple[int, ...]
    """Numbers of the items that are the tiles, row by row: FFmpeg's ``id`` of their streams."""
    orientation: Orientation
    """How the picture becomes upright."""


def read_grid(file: BufferedReader) -> Grid | None:
    """Return how a HEIC or AVIF picture is made of tiles; None for one that is not, and for any other file."""
    found = _items_of(file)
    if found is None or found.items.get(found.primary) is None or found.items[found.primary].kind != b"grid":
        return None
    content = b""
    for start, end in found.extents.get(found.primary, [])[:_MAX_EXTENTS]:
        file.seek(start)
        content += file.read(max(0, min(end - start, 12)))
    if len(content) < 8:
        return None
    rows, columns = content[2] + 1, content[3] + 1
    size = 4 if content[1] & _WIDE_NUMBERS else 2
    width, height = (int.from_bytes(content[at : at + size], "big") for at in (4, 4 + size))
    tiles = found.made_of.get(found.primary, ())
    if len(tiles) != rows * columns or len(tiles) > MAX_TILES or not (width and height):
        return None
    return Grid(rows, columns, width, height, tiles, _orientation(found))


def _items_of(file: BufferedReader) -> Items | None:
    at = 0
    for _ in range(_MAX_BOXES):
        file.seek(at)
        head = file.read(16)
        length, kind, start = int.from_bytes(head[:4], "big"), head[4:8], 8
        if at == 0 and kind != b"ftyp":
            return None
        if length == 1:
            length, start = int.from_bytes(head[8:16], "big"), 16
        if kind == b"meta":
            file.seek(at + start + 4)  # behind version and flags
            return read_items(file.read(max(0, min(length - start - 4, MAX_META_BYTES))), at + start + 4)
        if length < start:
            return None
        at += length
    return None


def _orientation(found: Items) -> Orientation:
    """Return what ``irot``, quarter turns to the left, and ``imir`` behind it say of the picture."""
    said = {kind: content[0] for kind, content in found.properties.get(found.primary, []) if content}
    transpose, flip_x, flip_y = {
        0: (False, False, False),
        1: (True, False, True),
        2: (False, True, True),
        3: (True, True, False),
    }[said.get(b"irot", 0) & 3]
    if b"imir" in said:
        is_sideways = bool(said[b"imir"] & 1)  # 0 swaps top and bottom
        flip_x, flip_y = flip_x ^ is_sideways, flip_y ^ (not is_sideways)
    return Orientation(transpose, flip_x, flip_y)


def join_tiles(container: InputContainer, grid: Grid, frame_pixels: int) -> VideoFrame:
    """Decode all tiles of a picture that was just opened, and put them together.

    Args:
        container: The open file, from which no packet was taken yet.
        grid: How the tiles lie.
        frame_pixels: Greatest size of the picture.

    Raises:
        LimitError: It has more pixels, with all that its tiles hold beyond it.
        UnreadableError: A tile is missing, damaged, or of another size than the others.
    """
    numbers = {stream.id: stream for stream in container.streams.video}
    streams = [numbers[tile] for tile in grid.tiles if tile in numbers]
    if len(streams) < len(grid.tiles):
        raise UnreadableError(f"{len(grid.tiles) - len(streams)} of the picture's {len(grid.tiles)} tiles are missing")
    width, height = streams[0].codec_context.width, streams[0].codec_context.height
    if max(grid.columns * width * grid.rows * height, grid.width_px * grid.height_px) > frame_pixels:
        raise LimitError(
            f"a picture of {grid.columns * width}x{grid.rows * height} pixels; at most {frame_pixels} are decoded"
        )
    if grid.columns * width < grid.width_px or grid.rows * height < grid.height_px:
        raise UnreadableError("the tiles of the picture do not cover it")
    picture: VideoFrame | None = None
    for number, tile in _decoded(container, grid, {stream.index: stream for stream in streams}, frame_pixels):
        if (tile.width, tile.height) != (width, height):
            raise UnreadableError("the tiles of the picture are of different sizes")
        if picture is None:
            picture = _blank_like(tile, grid)
        elif picture.format.name != tile.format.name:
            raise UnreadableError("the tiles of the picture are of different kinds")
        _lay(picture, tile, number // grid.columns, number % grid.columns)
    assert picture is not None, "a grid has tiles, and each of them was given"
    return picture


def _decoded(
    container: InputContainer, grid: Grid, streams: dict[int, VideoStream], frame_pixels: int
) -> Iterator[tuple[int, VideoFrame]]:
    """Yield place and picture of each tile, one at a time.

    Raises:
        UnreadableError: One cannot be decoded.
    """
    for stream in streams.values():
        context = stream.codec_context
        context.thread_type, context.thread_count = "NONE", 1  # a confined decoder may start no threads
        context.options = {"max_pixels": str(frame_pixels)}
    places: dict[int, list[int]] = {}
    for place, tile in enumerate(grid.tiles):  # one tile may be used many times
        places.setdefault(tile, []).append(place)
    try:
        for packet in container.demux(list(streams.values())):
            if packet.size and (wanted := places.pop(packet.stream.id, None)):
                context = streams[packet.stream.index].codec_context
                frames = [*context.decode(packet), *context.decode(None)]
                yield from ((place, frames[0]) for place in wanted)
    except (av.error.FFmpegError, OSError, IndexError) as error:
        raise UnreadableError("a tile of the picture is damaged") from error
    if places:
        raise UnreadableError(f"{len(places)} of the picture's {len(grid.tiles)} tiles are missing")


def _blank_like(tile: VideoFrame, grid: Grid) -> VideoFrame:
    picture = VideoFrame(grid.width_px, grid.height_px, tile.format.name)
    picture.colorspace, picture.color_range = tile.colorspace, tile.color_range
    picture.color_trc, picture.color_primaries = tile.color_trc, tile.color_primaries
    picture.pts = 0
    return picture


def _lay(whole: VideoFrame, tile: VideoFrame, row: int, column: int) -> None:
    """Copy a tile to its place in the picture, plane by plane, as far as it lies within."""
    for number, (target, source) in enumerate(zip(whole.planes, tile.planes, strict=True)):
        sample_bytes = sum(1 + (part.bits > 8) for part in tile.format.components if part.plane == number)
        top, left = row * source.height, column * source.width
        height, width = min(source.height, target.height - top), min(source.width, target.width - left)
        if height > 0 and width > 0:
            columns = slice(left * sample_bytes, (left + width) * sample_bytes)
            _rows(target)[top : top + height, columns] = _rows(source)[:height, : width * sample_bytes]


def _rows(plane: VideoPlane) -> NDArray[np.uint8]:
    """Return the bytes of a plane, (height, bytes of a row), as they are in memory."""
    return np.frombuffer(memoryview(plane), np.uint8)[: plane.height * plane.line_size].reshape(
        plane.height, plane.line_size
    )
