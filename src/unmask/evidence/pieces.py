"""Find the pieces of a container that hold labels: C2PA manifests, XMP packets, AIGC boxes.

MP4, MOV, HEIC and AVIF (ISO/IEC 14496-12), AVI, WebP and other RIFF files, FLV, JPEG, PNG, GIF. Only headers are read
on the way; what FFmpeg tells of any container, its tags and attachments, is in `unmask.media.tags`.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader
from typing import Literal

from unmask.media.items import MAX_META_BYTES, read_items

PieceKind = Literal["c2pa", "xmp", "aigc"]

MAX_BOXES = 4096
"""Boxes, chunks, segments or FLV tags that are looked at in one file."""
MAX_DEPTH = 8
MAX_PIECES, MAX_PIECE_BYTES, MAX_BYTES = 8, 8 << 20, 24 << 20
"""Further pieces, what stands behind so many bytes of one, and of all together, are left out."""
MAX_GIF_BYTES = 1 << 20
"""Bytes of an extension of a GIF that are looked at, at most."""

_C2PA_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_FIRST_BOXES = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"styp", b"uuid", b"pnot"}
_OUTER_BOXES = {b"moov", b"udta", b"meta"}
_LEAVES: dict[bytes, PieceKind] = {b"XMP_": "xmp", b"AIGC": "aigc"}
_CHUNKS: dict[bytes, PieceKind] = {b"C2PA": "c2pa", b"_PMX": "xmp", b"XMP ": "xmp", b"AIGC": "aigc"}
_JPEG_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_JPEG_JUMBF, _JPEG_JUMBF_HEAD = b"JP", 16
"""Start of a segment of JUMBF (ISO/IEC 19566-5, annex D), and where the bytes behind the repeated box header begin."""
_PNG_XMP = b"XML:com.adobe.xmp\0\0\0\0\0"
_XMP_TYPE = "application/rdf+xml"
"""Media type of an item that is an XMP packet (ISO/IEC 23008-12, A.3)."""
_GIF_PIECES: dict[bytes, tuple[PieceKind, str]] = {
    b"XMP DataXMP": ("xmp", "XMP extension"),
    b"C2PA_GIF\x01\x00\x00": ("c2pa", "C2PA extension"),
}
"""Application extensions of GIF (XMP specification part 3, 1.1.2; C2PA specification 2.1, A.3.7)."""
_GIF_EXTENSION, _GIF_APPLICATION = 0x21, 0xFF
_FLV_SCRIPT = 18
_AMF_AIGC = re.compile(rb"\x00\x04AIGC([\x02\x0c])")
"""The key in the script data of FLV (AMF 0), and the kind of its value: a string, or a long one."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes that may hold a label."""

    kind: PieceKind
    """What they are."""
    where: str
    """Where they lie, in words."""
    content: bytes
    """At most `MAX_PIECE_BYTES` of them."""


def find_pieces(file: BufferedReader) -> list[Piece]:
    """Return the pieces of an open file, at most `MAX_PIECES`; of a damaged one, those before the damage."""
    walk = _Walk(file)
    head = walk.read(0, 12)
    if head[4:8] in _FIRST_BOXES:
        found = walk.boxes(0, walk.size, 0)
    elif head[:4] in (b"RIFF", b"RF64"):
        found = walk.chunks(0, walk.size, 0)
    elif head[:3] == b"FLV":
        found = walk.flv_tags()
    elif head[:3] == b"\xff\xd8\xff":
        found = walk.jpeg_segments()
    elif head[:8] == b"\x89PNG\r\n\x1a\n":
        found = walk.png_chunks()
    elif head[:6] in (b"GIF87a", b"GIF89a"):
        found = walk.gif_blocks()
    else:
        return []
    return [piece for piece, _ in zip(found, range(MAX_PIECES), strict=False)]


class _Walk:
    def __init__(self, file: BufferedReader) -> None:
        self._file, self._left, self._bytes_left = file, MAX_BOXES, MAX_BYTES
        self.size = os.fstat(file.fileno()).st_size

    def read(self, at: int, count: int) -> bytes:
        self._file.seek(at)
        return self._file.read(max(0, min(count, self.size - at)))

    def _may_go_on(self) -> bool:
        self._left -= 1
        return self._left >= 0

    def boxes(self, at: int, end: int, depth: int) -> Iterator[Piece]:
        """Yield the pieces of the boxes of an MP4 or MOV file between two places."""
        while at + 8 <= end and self._may_go_on():
            head = self.read(at, 32)
            if len(head) < 8:
                return
            length, kind, start = int.from_bytes(head[:4], "big"), head[4:8], 8
            if length == 1:
                length, start = int.from_bytes(head[8:16], "big"), 16
            length = length or end - at  # 0: to the end
            if length < start:
                return
            inner, stop = at + start, min(at + length, end)
            if kind == b"uuid":
                yield from self._uuid(head[start : start + 16], inner + 16, stop)
            elif kind in _LEAVES:
                yield Piece(_LEAVES[kind], f"{kind.decode()} box", self._content(inner, stop))
            elif kind in _OUTER_BOXES and depth < MAX_DEPTH:
                is_full = kind == b"meta" and self.read(inner + 4, 4) != b"hdlr"  # with version and flags
                if is_full and depth == 0:
                    yield from self._items(inner + 4, stop)
                yield from self.boxes(inner + 4 * is_full, stop, depth + 1)
            at += length

    def _items(self, start: int, stop: int) -> Iterator[Piece]:
        """Yield the XMP packets among the items of a HEIC or AVIF file."""
        found = read_items(self.read(start, min(stop - start, MAX_META_BYTES)), start)
        for number, item in found.items.items():
            if item.kind == b"mime" and item.content_type == _XMP_TYPE and self._may_go_on():
                pieces = found.extents.get(number, ())[:MAX_PIECES]
                yield Piece("xmp", "XMP item", b"".join(self._content(*piece) for piece in pieces))

    def _uuid(self, name: bytes, start: int, stop: int) -> Iterator[Piece]:
        if name == _XMP_UUID:
            yield Piece("xmp", "XMP box", self._content(start, stop))
        if name == _C2PA_UUID:
            content = self._content(start, stop)
            purpose, end, rest = content[4:].partition(b"\0")
            if not end or purpose == b"manifest":  # "merkle" boxes hold hashes alone
                yield Piece("c2pa", "C2PA box", rest[8:])

    def chunks(self, at: int, end: int, depth: int) -> Iterator[Piece]:
        """Yield the pieces of the chunks of a RIFF file between two places."""
        while at + 8 <= end and depth < MAX_DEPTH and self._may_go_on():
            head = self.read(at, 8)
            if len(head) < 8:
                return
            kind, length = head[:4], int.from_bytes(head[4:], "little")
            stop = min(at + 8 + length, end)
            if kind in _CHUNKS:
                yield Piece(_CHUNKS[kind], f"{kind.decode()} chunk", self._content(at + 8, stop))
            elif (kind == b"RIFF" and depth == 0) or (kind == b"LIST" and self.read(at + 8, 4) == b"INFO"):
                yield from self.chunks(at + 12, stop, depth + 1)
            at += 8 + length + length % 2

    def flv_tags(self) -> Iterator[Piece]:
        """Yield the XMP packets and AIGC keys of the script tags of an FLV file."""
        at = int.from_bytes(self.read(5, 4), "big") + 4
        while at + 11 <= self.size and self._may_go_on():
            head = self.read(at, 11)
            if len(head) < 11:
                return
            length = int.from_bytes(head[1:4], "big")
            if head[0] & 31 == _FLV_SCRIPT:
                content = self._content(at + 11, at + 11 + length)
                if b"onXMPData" in content[:16] and (start := content.find(b"<")) >= 0:
                    yield Piece("xmp", "onXMPData tag", content[start : content.rfind(b">") + 1] or content[start:])
                if found := _AMF_AIGC.search(content):  # FFmpeg drops a longer text than a kilobyte
                    length_bytes = 2 if found[1] == b"\x02" else 4
                    start = found.end() + length_bytes
                    length_text = int.from_bytes(content[found.end() : start], "big")
                    yield Piece("aigc", "onMetaData tag", content[start : start + length_text])
            at += 11 + length + 4

    def jpeg_segments(self) -> Iterator[Piece]:
        """Yield the XMP packet and the manifest of a JPEG, which lies in as many segments as it takes."""
        at, manifest = 2, bytearray()
        while self._may_go_on():
            head = self.read(at, 4)
            if len(head) < 4 or head[0] != 0xFF or head[1] == 0xDA:  # the picture begins
                break
            start, stop = at + 4, at + 2 + int.from_bytes(head[2:], "big")
            if head[1] == 0xEB and self.read(start, 2) == _JPEG_JUMBF:
                manifest += self._content(start + (8 if not manifest else _JPEG_JUMBF_HEAD), stop)
            elif head[1] == 0xE1 and self.read(start, len(_JPEG_XMP)) == _JPEG_XMP:
                yield Piece("xmp", "XMP segment", self._content(start + len(_JPEG_XMP), stop))
            at = max(stop, start)
        if manifest:
            yield Piece("c2pa", "JUMBF segment", bytes(manifest[:MAX_PIECE_BYTES]))

    def png_chunks(self) -> Iterator[Piece]:
        """Yield the XMP packet and the manifest of a PNG."""
        at = 8
        while self._may_go_on():
            head = self.read(at, 8)
            if len(head) < 8 or head[4:] == b"IEND":
                return
            start, stop = at + 8, at + 8 + int.from_bytes(head[:4], "big")
            if head[4:] == b"caBX":
                yield Piece("c2pa", "caBX chunk", self._content(start, stop))
            elif head[4:] == b"iTXt" and self.read(start, len(_PNG_XMP)) == _PNG_XMP:
                yield Piece("xmp", "iTXt chunk", self._content(start + len(_PNG_XMP), stop))
            at = stop + 4

    def gif_blocks(self) -> Iterator[Piece]:
        """Yield the XMP packet and the manifest of a GIF, which stand before its first picture."""
        flags = self.read(10, 1)
        at = 13 + (3 << (flags[0] & 7) + 1 if flags and flags[0] & 0x80 else 0)  # behind the table of colours
        while self._may_go_on():
            head = self.read(at, 14)
            raw = self._content(at + 2, at + 2 + MAX_GIF_BYTES)
            if len(head) < 14 or head[0] != _GIF_EXTENSION or not raw:
                return
            blocks, length = _gif_blocks(raw)
            if head[1] == _GIF_APPLICATION and head[3:14] in _GIF_PIECES:
                kind, where = _GIF_PIECES[head[3:14]]
                text = raw[12:length]  # an XMP packet is not cut into blocks: read as such, they end in its trailer
                content = text[: text.rfind(b">") + 1] or text if kind == "xmp" else b"".join(blocks[1:])
                yield Piece(kind, where, content)
            at += 2 + length

    def _content(self, start: int, stop: int) -> bytes:
        content = self.read(start, min(stop - start, MAX_PIECE_BYTES, self._bytes_left))
        self._bytes_left -= len(content)
        return content


def _gif_blocks(content: bytes) -> tuple[list[bytes], int]:
    """Return the blocks that bytes of a GIF begin with, up to the empty one that ends them, and where that ends."""
    blocks, at = [], 0
    while at < len(content) and content[at]:
        blocks.append(content[at + 1 : at + 1 + content[at]])
        at += 1 + content[at]
    return blocks, at + 1


def jumbf_boxes(content: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, start and end of each box of a JUMBF superbox (ISO/IEC 19566-5) between two places.

    Raises:
        ValueError: A box makes no sense.
    """
    while at + 8 <= end:
        length, kind = struct.unpack_from(">I4s", content, at)
        start = at + 8
        if length == 1 and at + 16 <= end:
            length, start = int.from_bytes(content[at + 8 : at + 16], "big"), at + 16
        length = length or end - at
        if length < start - at or at + length > end:
            raise ValueError("a JUMBF box that cannot be")
        yield kind, start, at + length
        at += length
