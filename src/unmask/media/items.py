"""Read the items of a HEIC or AVIF file: pictures, tiles and metadata, and where their bytes lie.

The boxes of ISO/IEC 14496-12, 8.11 (``meta``) as pictures use them (ISO/IEC 23008-12).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

MAX_ITEMS = 4096
"""Items that are read of a file, at most; the largest pictures of telephones have some hundred."""
MAX_META_BYTES = 4 << 20
"""Bytes of a ``meta`` box that are looked at, at most."""

_IN_FILE, _IN_DATA_BOX = 0, 1
"""How an item's place is given: ``construction_method`` of ``iloc``."""


@dataclass(frozen=True, slots=True)
class Item:
    """One item."""

    kind: bytes
    """Its type of four letters, such as ``hvc1``, ``grid``, ``mime``."""
    content_type: str = ""
    """Of a ``mime`` item, its media type."""


@dataclass(slots=True)
class Items:
    """The items of a file, by number."""

    primary: int = 0
    """The item that the file is about; 0 for none."""
    items: dict[int, Item] = field(default_factory=dict)
    """All items."""
    extents: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    """Start and end in the file of the pieces of each item that lies in it."""
    made_of: dict[int, tuple[int, ...]] = field(default_factory=dict)
    """Of an item that is derived from others, such as a grid, these, in order."""
    properties: dict[int, list[tuple[bytes, bytes]]] = field(default_factory=dict)
    """Kind and content of what is said of an item, such as ``irot``."""


def boxes(content: bytes, at: int = 0) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, start and end of the content of each box in bytes; nothing behind a damaged one."""
    while at + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        start = at + 8
        if length == 1 and at + 16 <= len(content):
            length, start = int.from_bytes(content[at + 8 : at + 16], "big"), at + 16
        length = length or len(content) - at
        if length < start - at:
            return
        yield kind, start, min(at + length, len(content))
        at += length


def read_items(meta: bytes, start: int) -> Items:
    """Return the items that a ``meta`` box lists; of a damaged one, those before the damage.

    Args:
        meta: Content of the box behind its version and flags.
        start: Place of this content in the file.
    """
    found = Items()
    places = {kind: (at, end) for kind, at, end in boxes(meta)}
    data_start = start + places.get(b"idat", (0, 0))[0]
    readers: dict[bytes, Callable[[_Fields, Items], None]] = {
        b"pitm": _read_primary,
        b"iinf": _read_kinds,
        b"iref": _read_references,
        b"iloc": lambda box, found: _read_places(box, found, data_start),
    }
    for kind, (at, end) in places.items():
        with suppress(ValueError):
            if kind in readers:
                readers[kind](_Fields(meta[at:end]), found)
            if kind == b"iprp":
                _read_properties(meta[at:end], found)
    return found


class _Fields:
    """Numbers of a full box, one behind the other."""

    def __init__(self, content: bytes) -> None:
        self.content, self.at = content, 0
        self.version = self.take(1)
        self.take(3)  # flags

    def take(self, count: int) -> int:
        """Return the next ``count`` bytes as a number; 0 bytes are 0.

        Raises:
            ValueError: There are not so many.
        """
        if self.at + count > len(self.content):
            raise ValueError("the box ends within a number")
        self.at += count
        return int.from_bytes(self.content[self.at - count : self.at], "big")


def _read_primary(box: _Fields, found: Items) -> None:
    found.primary = box.take(4 if box.version else 2)


def _read_kinds(box: _Fields, found: Items) -> None:
    box.take(4 if box.version else 2)
    for kind, start, end in boxes(box.content, box.at):
        entry = _Fields(box.content[start:end])
        if kind != b"infe" or entry.version < 2 or len(found.items) >= MAX_ITEMS:  # older ones have no type
            continue
        number = entry.take(2 if entry.version == 2 else 4)
        entry.take(2)  # protection
        _, _, rest = entry.content[entry.at + 4 :].partition(b"\0")  # behind the name
        content_type = rest.partition(b"\0")[0][:80].decode("ascii", "replace")
        found.items[number] = Item(entry.content[entry.at : entry.at + 4], content_type)


def _read_references(box: _Fields, found: Items) -> None:
    id_bytes = 4 if box.version else 2
    for kind, start, end in boxes(box.content, box.at):
        entry = _Fields(bytes(4) + box.content[start:end])  # no full box
        if kind == b"dimg" and len(found.made_of) < MAX_ITEMS:
            number, count = entry.take(id_bytes), entry.take(2)
            found.made_of[number] = tuple(entry.take(id_bytes) for _ in range(min(count, MAX_ITEMS)))


def _read_places(box: _Fields, found: Items, data_start: int) -> None:
    sizes = box.take(2)
    offset_bytes, length_bytes, base_bytes = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_bytes = sizes & 15 if box.version else 0
    id_bytes = 4 if box.version == 2 else 2
    for _ in range(min(box.take(id_bytes), MAX_ITEMS)):
        number = box.take(id_bytes)
        method = box.take(2) & 15 if box.version else _IN_FILE
        box.take(2)  # which file: always this one
        start = box.take(base_bytes) + (data_start if method == _IN_DATA_BOX else 0)
        pieces = []
        for _ in range(box.take(2)):
            box.take(index_bytes)
            first = start + box.take(offset_bytes)
            pieces.append((first, first + box.take(length_bytes)))
        if method in (_IN_FILE, _IN_DATA_BOX):
            found.extents[number] = pieces


def _read_properties(content: bytes, found: Items) -> None:
    """Read the list of properties and which items have which, by place in that list from 1."""
    places = {kind: (at, end) for kind, at, end in boxes(content)}
    start, end = places.get(b"ipco", (0, 0))
    listed = [(kind, content[at:stop]) for kind, at, stop in boxes(content[:end], start)][:MAX_ITEMS]
    at, end = places.get(b"ipma", (0, 0))
    box = _Fields(content[at:end])
    is_wide = box.content[3] & 1
    for _ in range(min(box.take(4), MAX_ITEMS)):
        number = box.take(4 if box.version else 2)
        used = [box.take(2) & 0x7FFF if is_wide else box.take(1) & 0x7F for _ in range(box.take(1))]
        found.properties[number] = [listed[place - 1] for place in used if 0 < place <= len(listed)]
