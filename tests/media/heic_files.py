"""HEIC pictures made of tiles, as telephones write them."""

from __future__ import annotations

import io
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tests.evidence.label_files import box


def write_tiled_heic(path: Path, image_HW3: np.ndarray, tile_px: int = 64, turned: int = 0) -> Path:
    """Write an RGB picture as a grid of square HEVC tiles; ``turned`` counts quarter turns to the left."""
    height, width = image_HW3.shape[:2]
    rows, columns = -(-height // tile_px), -(-width // tile_px)
    space = ((0, rows * tile_px - height), (0, columns * tile_px - width), (0, 0))
    padded = np.pad(image_HW3, space, mode="edge")
    tiles, setup = [], b""
    for row in range(rows):
        for column in range(columns):
            y, x = row * tile_px, column * tile_px
            sample, setup = _encoded(padded[y : y + tile_px, x : x + tile_px])
            tiles.append(sample)
    grid = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, width, height)
    path.write_bytes(_container(tiles, setup, grid, tile_px, (width, height), turned))
    return path


def _encoded(tile_HW3: np.ndarray) -> tuple[bytes, bytes]:
    """Return the sample of a tile, and the hvcC box that all tiles share."""
    target = io.BytesIO()
    options = {"crf": "4", "preset": "ultrafast", "x265-params": "log-level=none:pools=none:frame-threads=1:bframes=0"}
    with av.open(target, "w", format="mp4") as file:
        stream = file.add_stream("libx265", rate=1, options=options)
        stream.height, stream.width, stream.pix_fmt = *tile_HW3.shape[:2], "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(tile_HW3), format="rgb24")
        frame.pts, frame.time_base = 0, Fraction(1)
        file.mux(stream.encode(frame))
        file.mux(stream.encode())
    content = target.getvalue()
    at = content.index(b"hvcC") - 4
    with av.open(io.BytesIO(content)) as file:
        packet = next(file.demux(video=0))
        return bytes(packet), content[at : at + int.from_bytes(content[at : at + 4], "big")]


def _full(kind: bytes, content: bytes, version: int = 0) -> bytes:
    return box(kind, bytes([version, 0, 0, 0]) + content)


def _container(
    tiles: list[bytes], setup: bytes, grid: bytes, tile_px: int, size: tuple[int, int], turned: int
) -> bytes:
    count, main = len(tiles), len(tiles) + 1
    kinds = [(number, b"hvc1") for number in range(1, count + 1)] + [(main, b"grid")]
    entries = b"".join(_full(b"infe", struct.pack(">HH4s", number, 0, kind) + b"\0", 2) for number, kind in kinds)
    properties = [
        setup,
        _full(b"ispe", struct.pack(">II", tile_px, tile_px)),
        _full(b"ispe", struct.pack(">II", *size)),
        box(b"irot", bytes([turned])),
    ]
    used = b"".join(struct.pack(">HBBB", number, 2, 0x81, 2) for number in range(1, count + 1))
    used += struct.pack(">HBBB", main, 2, 3, 0x84) if turned else struct.pack(">HBB", main, 1, 3)
    parts = [
        _full(b"hdlr", bytes(4) + b"pict" + bytes(13)),
        _full(b"pitm", struct.pack(">H", main)),
        _full(b"iinf", struct.pack(">H", main) + entries),
        _full(b"iref", box(b"dimg", struct.pack(f">HH{count}H", main, count, *range(1, count + 1)))),
        box(b"iprp", box(b"ipco", b"".join(properties)) + _full(b"ipma", struct.pack(">I", main) + used)),
        box(b"idat", grid),
    ]
    head = box(b"ftyp", b"heic" + bytes(4) + b"mif1heic")

    def places(start: int) -> bytes:
        entries, at = b"", start
        for number, tile in enumerate(tiles, 1):
            entries += struct.pack(">HHHHII", number, 0, 0, 1, at, len(tile))
            at += len(tile)
        entries += struct.pack(">HHHHII", main, 1, 0, 1, 0, len(grid))
        return _full(b"iloc", b"\x44\0" + struct.pack(">H", main) + entries, 1)

    meta_length = len(_full(b"meta", b"".join([*parts, places(0)])))
    start = len(head) + meta_length + 8
    return head + _full(b"meta", b"".join([*parts, places(start)])) + box(b"mdat", b"".join(tiles))
