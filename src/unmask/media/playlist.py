"""Read which pieces an HLS play list names (RFC 8216): files beside it, and nothing else.

A play list is a text that may be hostile. It is read here and never by FFmpeg, which would follow it to any address.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from unmask.errors import LimitError, UnreadableError, UnsupportedError
from unmask.media.regular import open_regular

SUFFIXES = frozenset({".m3u8", ".m3u"})
MAX_LIST_BYTES, MAX_PIECES, MAX_HEAD_BYTES = 4 << 20, 10_000, 1 << 18
"""Length of a play list, pieces of one recording, and length of what stands in front of each."""
_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"]*"|[^",]*)')
_FOREIGN = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*:|^[/\\]|\x00")
"""How names begin that lead out of the folder: addresses, drives and whole paths."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some bytes of a file."""

    path: str
    """The file."""
    start: int = 0
    """Where they begin."""
    length: int | None = None
    """How many there are; None for all to the file's end."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of a recording, which can be decoded by itself."""

    body: Part
    """Its frames."""
    head: Part | None = None
    """What a decoder needs before them: the header of a fragmented MP4."""


def is_playlist(path: str | os.PathLike[str]) -> bool:
    """Tell whether a file is to be read as a play list, by its suffix."""
    return Path(path).suffix.lower() in SUFFIXES


def read_playlist(path: str | os.PathLike[str]) -> list[Piece]:
    """Return the pieces that a play list names, in order; of one that offers several qualities, those of the best.

    Raises:
        UnreadableError: It cannot be opened, is no play list, names no piece, or one twice, or leads out of its folder.
        UnsupportedError: Its pieces are encrypted.
        LimitError: It is too long.
    """
    path = Path(path)
    lines = _lines(path)
    if variants := _variants(lines):
        lines = _lines(path.parent / _inside(max(variants)[1]), path.parent)
        path = path.parent / _inside(max(variants)[1])
        if _variants(lines):
            raise UnreadableError("a play list of play lists names another one; name a list of pieces")
    pieces = _pieces(lines, path.parent)
    if not pieces:
        raise UnreadableError("the play list names no piece")
    if len(set(pieces)) < len(pieces):
        raise UnreadableError("the play list names a piece twice")
    return pieces


def _lines(path: Path, below: Path | None = None) -> list[str]:
    with open_regular(path, None if below is None else str(below)) as file:
        content = file.read(MAX_LIST_BYTES + 1)
    if len(content) > MAX_LIST_BYTES:
        raise LimitError(f"the play list has more than {MAX_LIST_BYTES >> 20} MB")
    lines = [line.strip() for line in content.decode("utf-8-sig", "replace").splitlines()]
    if not lines or lines[0] != "#EXTM3U":
        raise UnreadableError("this is no HLS play list: it does not begin with #EXTM3U")
    return [line for line in lines if line]


def _variants(lines: list[str]) -> list[tuple[int, str]]:
    """Return bandwidth and name of each list that a list of lists offers, the first of equals last."""
    found, bandwidth = [], None
    for line in lines:
        if line.startswith("#EXT-X-STREAM-INF:"):
            text = _attributes(line).get("BANDWIDTH", "0")
            bandwidth = int(text) if text.isdecimal() and len(text) < 16 else 0
        elif not line.startswith("#") and bandwidth is not None:
            found.append((bandwidth, line))
            bandwidth = None
    return found[::-1]


def _pieces(lines: list[str], folder: Path) -> list[Piece]:
    pieces: list[Piece] = []
    head: Part | None = None
    span: tuple[int, int | None] | None = None
    ends: dict[str, int] = {}
    for line in lines:
        name, _, text = line.partition(":")
        if name == "#EXT-X-KEY" and _attributes(line).get("METHOD", "NONE") != "NONE":
            raise UnsupportedError("the pieces of this play list are encrypted; record it without encryption")
        if name == "#EXT-X-MAP":
            given = _attributes(line)
            length, start = _span(given["BYTERANGE"]) if "BYTERANGE" in given else (None, None)
            head = Part(str(folder / _inside(given.get("URI", ""))), start or 0, length)
        elif name == "#EXT-X-BYTERANGE":
            span = _span(text)
        elif not line.startswith("#"):
            path = str(folder / _inside(line))
            length, at = span or (None, 0)
            start = ends.get(path, 0) if at is None else at
            ends[path] = start + (length or 0)
            pieces.append(Piece(Part(path, start, length), head))
            span = None
        if len(pieces) > MAX_PIECES:
            raise LimitError(f"the play list names more than {MAX_PIECES} pieces")
    return pieces


def _span(text: str) -> tuple[int, int | None]:
    """Return length and start of a range of bytes; its start is None where it follows the one before."""
    found = re.fullmatch(r"(\d{1,15})(?:@(\d{1,15}))?", text.strip())
    if found is None:
        raise UnreadableError(f"the play list names a range of bytes that makes no sense: {text[:40]!r}")
    return int(found[1]), int(found[2]) if found[2] else None


def _attributes(line: str) -> dict[str, str]:
    return {name: value.strip('"') for name, value in _ATTRIBUTE.findall(line.partition(":")[2])}


def _inside(name: str) -> Path:
    """Return a name of a play list as a path within its folder.

    Raises:
        UnreadableError: It is an address, a whole path, or leads upwards.
    """
    plain = unquote(name) if "%" in name else name
    path = Path(plain)
    if not name or _FOREIGN.search(plain) or "\\" in plain or ".." in path.parts or path.is_absolute():
        raise UnreadableError("the play list names pieces that do not lie in its folder; nothing is fetched or opened")
    return path
