"""Damage with a plan: a container is taken apart into boxes, elements, packets or chunks, one of which is made to lie.

A file that is cut or flipped anywhere is mostly refused at the door. Here all else stays as it should be, lengths of
what lies around a change included, so that what is changed is reached.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

EDGES = (0, 1, 2, 3, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 1 << 24, (1 << 31) - 1, 1 << 31, (1 << 32) - 1)
LONG_EDGES = (0, 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, 1 << 40)


@dataclass
class Node:
    """A box, element, packet or chunk."""

    kind: bytes
    """Its name."""
    content: bytes = b""
    """What it holds besides children: all of it in a leaf, what comes before them in others."""
    children: list[Node] | None = None
    """What it is made of; None in a leaf."""
    lie: int = 0
    """What is added to its length as it is written down."""
    before: bytes = field(default=b"", repr=False)
    """Fields that its format keeps as they were."""


# MP4 and MOV: length, name, content. Some boxes have fields before the boxes in them.

_BOXES = {
    b"moov": 0, b"trak": 0, b"mdia": 0, b"minf": 0, b"stbl": 0, b"edts": 0, b"udta": 0, b"dinf": 0, b"moof": 0,
    b"traf": 0, b"mvex": 0, b"ilst": 0, b"meta": 4, b"stsd": 8, b"dref": 8, b"avc1": 78, b"hvc1": 78, b"hev1": 78,
    b"mp4v": 78, b"mp4a": 28, b"iprp": 0, b"ipco": 0,
}  # fmt: skip
"""Name -> bytes before its children."""


def read_boxes(data: bytes) -> list[Node]:
    nodes, at = [], 0
    while at + 8 <= len(data):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        end = at + size if 8 <= size <= len(data) - at else len(data)
        body = data[at + 8 : end]
        if kind in _BOXES and len(body) >= _BOXES[kind]:
            start = _BOXES[kind]
            nodes.append(Node(kind, body[:start], read_boxes(body[start:])))
        else:
            nodes.append(Node(kind, body))
        at = end
    return nodes


def write_boxes(nodes: list[Node]) -> bytes:
    written = []
    for node in nodes:
        body = node.content + (write_boxes(node.children) if node.children is not None else b"")
        written.append(((len(body) + 8 + node.lie) & 0xFFFFFFFF).to_bytes(4, "big") + node.kind + body)
    return b"".join(written)


# Matroska and WebM: name and length are numbers whose first byte tells how long they are.

_MASTERS = frozenset(
    int(name, 16).to_bytes((len(name) + 1) // 2, "big")
    for name in (
        "1A45DFA3", "18538067", "114D9B74", "4DBB", "1549A966", "1654AE6B", "AE", "E0", "55B0", "55D0", "E1", "7670",
        "1F43B675", "A0", "1C53BB6B", "BB", "B7", "1254C367", "7373", "63C0", "67C8", "1941A469", "61A7", "6D80",
        "6240", "1043A770", "45B9", "B6",
    )
)  # fmt: skip


def read_elements(data: bytes) -> list[Node]:
    nodes, at = [], 0
    while at < len(data):
        name_length = 9 - data[at].bit_length()
        if name_length > 4 or at + name_length >= len(data):
            break
        kind, at = data[at : at + name_length], at + name_length
        length = 9 - data[at].bit_length()
        if length > 8:
            break
        size = int.from_bytes(data[at : at + length], "big") & ((1 << 7 * length) - 1)
        at += length
        end = len(data) if size == (1 << 7 * length) - 1 else min(len(data), at + size)
        body = data[at:end]
        nodes.append(Node(kind, b"", read_elements(body)) if kind in _MASTERS else Node(kind, body))
        at = end
    return nodes


def write_elements(nodes: list[Node]) -> bytes:
    written = []
    for node in nodes:
        body = node.content + (write_elements(node.children) if node.children is not None else b"")
        size = (len(body) + node.lie) & ((1 << 56) - 1)
        written.append(node.kind + (size | 1 << 56).to_bytes(8, "big") + body)
    return b"".join(written)


# MPEG-TS: packets of 188 bytes. The name is the header; their order, and what they say, is all there is.


def read_packets(data: bytes) -> list[Node]:
    return [Node(data[at : at + 4], data[at + 4 : at + 188]) for at in range(0, len(data), 188)]


def write_packets(nodes: list[Node]) -> bytes:
    return b"".join(
        (node.kind + node.content + (write_packets(node.children) if node.children else b""))[: 188 + max(0, node.lie)]
        for node in nodes
    )


# AVI: name, length, content; lists have a second name.


def read_chunks(data: bytes) -> list[Node]:
    nodes, at = [], 0
    while at + 8 <= len(data):
        kind, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        body = data[at + 8 : at + 8 + size]
        is_list = kind in (b"RIFF", b"LIST") and len(body) >= 4
        nodes.append(Node(kind, body[:4], read_chunks(body[4:])) if is_list else Node(kind, body))
        at += 8 + size + size % 2
    return nodes


def write_chunks(nodes: list[Node]) -> bytes:
    written = []
    for node in nodes:
        body = node.content + (write_chunks(node.children) if node.children is not None else b"")
        size = (len(body) + node.lie) & 0xFFFFFFFF
        written.append(node.kind + size.to_bytes(4, "little") + body + bytes(len(body) % 2))
    return b"".join(written)


FORMS: dict[str, tuple[Callable[[bytes], list[Node]], Callable[[list[Node]], bytes]]] = {
    **dict.fromkeys((".mp4", ".mov", ".heic", ".avif"), (read_boxes, write_boxes)),
    **dict.fromkeys((".mkv", ".webm"), (read_elements, write_elements)),
    ".ts": (read_packets, write_packets),
    ".avi": (read_chunks, write_chunks),
}
"""Suffix -> how to take a file apart, and how to put it together."""


# What may happen to one of them. All take the list that it stands in, and its place.


def set_number(nodes: list[Node], at: int, rng: random.Random) -> None:
    """Write an extreme number over one of two, four or eight bytes, mostly where fields lie: early."""
    content = bytearray(nodes[at].content)
    if not content:
        return
    width = rng.choice((1, 2, 4, 4, 4, 8))
    place = rng.randrange(min(len(content), rng.choice((8, 32, 128, len(content)))))
    place -= place % min(width, 4)
    value = rng.choice(LONG_EDGES) if width == 8 else rng.choice(EDGES) & ((1 << 8 * width) - 1)
    content[place : place + width] = value.to_bytes(width, rng.choice(("big", "little")))
    nodes[at].content = bytes(content)


def shift_number(nodes: list[Node], at: int, rng: random.Random) -> None:
    """Add a little to a number of four bytes."""
    content = nodes[at].content
    if len(content) < 4:
        return
    place = rng.randrange(min(len(content) - 3, rng.choice((16, 256, 1 << 16))))
    (value,) = struct.unpack_from(">I", content, place)
    value = (value + rng.choice((-256, -2, -1, 1, 2, 256))) & 0xFFFFFFFF
    nodes[at].content = content[:place] + value.to_bytes(4, "big") + content[place + 4 :]


def flip(nodes: list[Node], at: int, rng: random.Random) -> None:
    content = bytearray(nodes[at].content)
    for _ in range(rng.choice((1, 2, 8)) if content else 0):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    nodes[at].content = bytes(content)


def shorten(nodes: list[Node], at: int, rng: random.Random) -> None:
    nodes[at].content = nodes[at].content[: rng.randrange(len(nodes[at].content) + 1)]


def lengthen(nodes: list[Node], at: int, rng: random.Random) -> None:
    nodes[at].content += rng.choice((bytes, rng.randbytes))(rng.choice((1, 4, 64, 4096)))


def lie_about_length(nodes: list[Node], at: int, rng: random.Random) -> None:
    nodes[at].lie = rng.choice((-9, -8, -4, -1, 1, 4, 100, 1 << 20, (1 << 31) - 9, -(1 << 31)))


def remove(nodes: list[Node], at: int, rng: random.Random) -> None:
    del nodes[at]


def double(nodes: list[Node], at: int, rng: random.Random) -> None:
    nodes[at:at] = [nodes[at]] * rng.choice((1, 1, 2, 50))


def swap(nodes: list[Node], at: int, rng: random.Random) -> None:
    other = rng.randrange(len(nodes))
    nodes[at], nodes[other] = nodes[other], nodes[at]


def rename(nodes: list[Node], at: int, rng: random.Random) -> None:
    nodes[at].kind = rng.choice(nodes).kind


def nest(nodes: list[Node], at: int, rng: random.Random) -> None:
    """Put it into boxes of its own name, one in the other."""
    for _ in range(rng.choice((1, 3, 40))):
        nodes[at] = Node(nodes[at].kind, b"", [nodes[at]])


WAYS = (
    set_number, set_number, set_number, set_number, shift_number, flip, flip, shorten, lengthen, lie_about_length,
    lie_about_length, remove, double, swap, rename, nest,
)  # fmt: skip


def places(nodes: list[Node]) -> list[tuple[list[Node], int]]:
    """All nodes, each as the list that it stands in and its place there."""
    found = []
    for at, node in enumerate(nodes):
        found.append((nodes, at))
        found += places(node.children or [])
    return found


def distort(data: bytes, suffix: str, seed: int) -> bytes:
    """Change one to three nodes of a container; the same seed does the same."""
    rng = random.Random(seed)
    read, write = FORMS[suffix]
    nodes = read(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if found := places(nodes):
            level, at = rng.choice(found)
            rng.choice(WAYS)(level, at, rng)
    return write(nodes)
