"""Damage at random: what a broken disk, a bad line, or an attacker does to a file."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

BOXES = re.compile(rb"ftyp|moov|mvhd|trak|tkhd|mdia|mdhd|minf|stbl|stsd|avcC|hvcC|stts|ctts|stsc|stsz|stco|stss|mdat")
EDGES = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\0\0\0\1", b"\0\1\0\0")


def flip_bits(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 3, 20, 200))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def flip_header(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 4, 16))):
        data[rng.randrange(min(len(data), 1500))] = rng.randrange(256)


def cut(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data)) :]


def cut_out(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    del data[start : start + rng.choice((1, 7, 188, 4096))]


def insert(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    data[start:start] = rng.randbytes(rng.choice((1, 4, 188, 4096)))


def repeat(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    data[start:start] = data[start : start + rng.choice((4, 188, 4096))]


def blank(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    end = min(len(data), start + rng.choice((4, 64, 2048)))
    data[start:end] = bytes(end - start)


def set_number(data: bytearray, rng: random.Random) -> None:
    """Write an extreme number near the name of a box, or anywhere."""
    places = [match.start() for match in BOXES.finditer(data)] or [rng.randrange(len(data))]
    start = max(0, rng.choice(places) + rng.choice((-4, 4, 8, 12, 16, 20, 24, 28)))
    data[start : start + 4] = rng.choice(EDGES)


def swap_boxes(data: bytearray, rng: random.Random) -> None:
    """Call a box by the name of another, or let two stretches change places."""
    places = [match.span() for match in BOXES.finditer(data)]
    if len(places) > 1:
        (a, b), (c, d) = rng.sample(places, 2)
        data[a:b], data[c:d] = data[c:d], data[a:b]
        return
    size = 1 + len(data) // 8
    data[:] = data[size : 2 * size] + data[:size] + data[2 * size :]


WAYS: tuple[Callable[[bytearray, random.Random], None], ...] = (
    flip_bits, flip_header, cut, cut_out, insert, repeat, blank, set_number, swap_boxes,
)  # fmt: skip


def mutate(data: bytes, seed: int) -> bytes:
    """Damage data in one to four ways; the same seed does the same."""
    rng, damaged = random.Random(seed), bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        if damaged:
            rng.choice(WAYS)(damaged, rng)
    return bytes(damaged)
