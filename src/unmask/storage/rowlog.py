"""Append finished rows to a file, so that nothing done is lost when a run is killed."""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from unmask.storage.atomic import atomic_file
from unmask.storage.lock import lock_file

Row = dict[str, Any]


def json_line(row: Mapping[str, Any]) -> str:
    """Return a row as a line of ASCII; any file name survives the round trip."""
    return json.dumps(row, ensure_ascii=True, separators=(",", ":"))


class RowLog:
    """JSON rows, one a line, read back by key; only their positions are in memory. The last row of a key counts.

    One process at a time may hold a log. A torn last line, as a killed process leaves it, is ignored.
    """

    def __init__(self, path: Path, key_of: Callable[[Row], str | None]) -> None:
        """Open or create the file.

        Args:
            path: The file.
            key_of: Returns the key of a row, None when it is not to be used again; may raise KeyError and TypeError.

        Raises:
            UsageError: Another run holds it, or it cannot be written.
        """
        self.path, self._key_of = path, key_of
        self._places: dict[str, int] = {}
        self._lock = threading.Lock()
        self._torn = False
        self._file = lock_file(path)
        self.was_empty = self._index() == 0
        """Whether the file held nothing, usable or not."""

    def _index(self) -> int:
        """Find the usable rows; return the length of the file in bytes."""
        place = 0
        for line in self._file:
            if (key := self.key_of_line(line)) is not None:
                self._places[key] = place
            place += len(line)
            self._torn = not line.endswith(b"\n")
        return place

    def key_of_line(self, line: bytes) -> str | None:
        """Return the key of a line, None when it is torn, foreign, or not to be used again."""
        try:
            return self._key_of(json.loads(line))
        except (ValueError, KeyError, TypeError, RecursionError):
            return None

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def get(self, key: str) -> Row | None:
        """Return the row of a key, None when there is none."""
        return self._read(self._places[key]) if key in self._places else None

    def append(self, key: str, row: Mapping[str, Any]) -> None:
        """Add a row; any thread may call this.

        Raises:
            OSError: The disk is full, or the file was removed.
        """
        with self._lock:
            self._file.seek(0, 2)
            if self._torn:
                self._file.write(b"\n")
                self._torn = False
            self._places[key] = self._file.tell()
            self._file.write(json_line(row).encode() + b"\n")
            self._file.flush()
            if not os.fstat(self._file.fileno()).st_nlink:  # better now than when all is done
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self.path))

    def rows(self, keys: Iterable[str]) -> Iterator[Row]:
        """Yield the rows of these keys, in this order."""
        for key in keys:
            yield self._read(self._places[key])

    def _read(self, place: int) -> Row:
        with self._lock:
            self._file.seek(place)
            row: Row = json.loads(self._file.readline())
        return row

    def tidy(self, keys: Iterable[str]) -> None:
        """Rewrite the file with the rows of these keys alone, in this order, and close it."""
        with atomic_file(self.path) as file:
            file.writelines(json_line(row).encode() + b"\n" for row in self.rows(keys))
            self.close()  # before it is replaced

    def discard(self) -> None:
        """Delete the file."""
        self.close()
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file and give up the lock."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
