"""Read CBOR (RFC 8949), the form of C2PA claims, within bounds."""

from __future__ import annotations

import struct
from typing import Any

MAX_DEPTH, MAX_ITEMS = 16, 5_000


def read_cbor(content: bytes) -> Any:
    """Return the first item: numbers, text, bytes, lists, dicts with text keys; tags are passed over.

    Raises:
        ValueError: It is damaged, or deeper or longer than `MAX_DEPTH` and `MAX_ITEMS` allow.
    """
    try:
        return _Reader(content).item(0)
    except (struct.error, IndexError, OverflowError, TypeError, UnicodeDecodeError) as error:
        raise ValueError(f"this is no CBOR: {error}") from error


class _Reader:
    def __init__(self, content: bytes) -> None:
        self._content, self._at, self._items = content, 0, 0

    def item(self, depth: int) -> Any:
        self._items += 1
        if depth > MAX_DEPTH or self._items > MAX_ITEMS:
            raise ValueError("CBOR that is too deep or too long")
        head = self._take(1)[0]
        kind, short = head >> 5, head & 31
        if kind == 7:
            return self._simple(short)
        if short == 31:
            return self._open_ended(kind, depth)
        count = short if short < 24 else int.from_bytes(self._take(1 << (short - 24)), "big")
        if kind < 2:
            return count if kind == 0 else -1 - count
        if kind < 4:
            content = self._take(count)
            return content if kind == 2 else content.decode()
        if kind == 4:
            return [self.item(depth + 1) for _ in range(min(count, MAX_ITEMS))]
        if kind == 5:
            return dict(self._pair(depth) for _ in range(min(count, MAX_ITEMS)))
        return self.item(depth + 1)  # behind a tag

    def _pair(self, depth: int) -> tuple[str, Any]:
        key = self.item(depth + 1)
        return str(key) if isinstance(key, (str, int)) else "", self.item(depth + 1)

    def _simple(self, short: int) -> Any:
        if short in (25, 26, 27):
            return struct.unpack({25: ">e", 26: ">f", 27: ">d"}[short], self._take(1 << (short - 24)))[0]
        if short == 24:
            self._take(1)
        return {20: False, 21: True}.get(short)

    def _open_ended(self, kind: int, depth: int) -> Any:
        """Read what ends with a mark instead of beginning with its length."""
        parts: list[Any] = []
        while self._content[self._at] != 0xFF:
            parts.append(self._pair(depth) if kind == 5 else self.item(depth + 1))
        self._at += 1
        if kind == 5:
            return dict(parts)
        if kind == 4:
            return parts
        return (b"" if kind == 2 else "").join(parts)

    def _take(self, count: int) -> bytes:
        if count > len(self._content) - self._at:
            raise ValueError("CBOR that is cut")
        self._at += count
        return self._content[self._at - count : self._at]
