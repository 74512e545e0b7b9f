"""The journal of a running scan: one line for each finished video, so that nothing done is lost."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from unmask.errors import UsageError
from unmask.report.rows import json_line

Row = dict[str, Any]


class Journal:
    """Rows are appended to a file as they come and read back in any order; only their places are in memory.

    A row of an earlier run is used again when path, content (sha256) and settings are the same and the scan
    did not fail for reasons of its own.
    """

    def __init__(self, path: Path, settings_hash: str, *, resume: bool = False, finished: Path | None = None) -> None:
        """Open the journal.

        Args:
            path: The file, beside the output it will become.
            settings_hash: `Scanner.settings_hash` of this run.
            resume: Take over what an interrupted run left here, and the rows of ``finished``.
            finished: JSON lines of a finished run, when there are any.

        Raises:
            UsageError: Another run holds the journal, or an interrupted one left it and ``resume`` is not set.
        """
        self.path, self._settings_hash = path, settings_hash
        self._places: dict[str, int] = {}
        self._lock = threading.Lock()
        self._file: BinaryIO = os.fdopen(
            os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666), "r+b"
        )
        try:
            self._claim()
            if self._index(self._file) and not resume:
                raise UsageError(f"an interrupted run left {path}; go on with --resume, or delete it to start over")
        except UsageError:
            self._file.close()
            raise
        self._file.seek(0, 2)
        self._file.write(b"\n")  # the last line may be torn
        if resume and finished is not None and finished.is_file():
            with finished.open("rb") as lines:
                for row in filter(None, map(self._usable, lines)):
                    if row["path"] not in self._places:
                        self.append(row)

    def _claim(self) -> None:
        """Lock the journal for this process; the lock ends with it."""
        try:
            import fcntl
        except ImportError:  # Windows: no two handles can write a file that one deletes, so a clash shows itself
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageError(f"another run is writing {self.path}; wait for it, or name another output") from error

    def _index(self, lines: BinaryIO) -> bool:
        """Find the usable rows; say whether there was anything."""
        place = 0
        for line in lines:
            if row := self._usable(line):
                self._places[row["path"]] = place
            place += len(line)
        return place > 0

    def _usable(self, line: bytes) -> Row | None:
        try:
            row: Row = json.loads(line)
            same = row["settings"]["hash"] == self._settings_hash
            return row if same and row["media"] and row["status"] not in ("internal_error", "crashed") else None
        except (ValueError, KeyError, TypeError):
            return None  # a torn line, or a file of another kind: scan again

    def find(self, path: str) -> Row | None:
        """Return the row of an unchanged file from an earlier run, None when it has to be scanned."""
        if path not in self._places:
            return None
        row = self._read(self._places[path])
        try:
            with Path(path).open("rb") as file:
                same = hashlib.file_digest(file, "sha256").hexdigest() == row["media"]["sha256"]
        except OSError:
            return None
        return row if same else None

    def append(self, row: Mapping[str, Any]) -> None:
        """Add a finished row; any thread may call this."""
        with self._lock:
            self._places[row["path"]] = self._file.seek(0, 2)
            self._file.write(json_line(row).encode() + b"\n")
            self._file.flush()

    def rows(self, paths: Iterable[str]) -> Iterator[Row]:
        """Yield the rows of these paths, in this order."""
        for path in paths:
            yield self._read(self._places[path])

    def _read(self, place: int) -> Row:
        with self._lock:
            self._file.seek(place)
            row: Row = json.loads(self._file.readline())
        return row

    def discard(self) -> None:
        """Delete the journal: all outputs are written."""
        self._file.close()
        self.path.unlink(missing_ok=True)

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
