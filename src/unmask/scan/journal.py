"""The journal of a running scan: one line for each finished video, so that nothing done is lost."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from unmask.errors import UsageError
from unmask.net.address import is_address
from unmask.runtime.jsonable import portable
from unmask.storage.rowlog import Row, RowLog

_ROW_START = b'{"schema_version":'


class Journal:
    """Verdicts are appended to a file as they come and read back in any order.

    A row of an earlier run is used again when content (sha256) and settings are the same, whatever the file was called
    then, and the scan did not fail for reasons of its own.
    """

    def __init__(self, path: Path, settings_hash: str, *, resume: bool = False, finished: Path | None = None) -> None:
        """Open the journal.

        Args:
            path: The file, beside the output it will become.
            settings_hash: `BaseScanner.settings_hash` of this run.
            resume: Take over what an interrupted run left here, and the rows of ``finished``.
            finished: JSON lines of a finished run, when there are any.

        Raises:
            UsageError: Another run holds the journal, or an interrupted one left it and ``resume`` is not set; or the
                file is no journal.
        """
        self.foreign_rows = 0
        """Rows of earlier runs that are not used again since models, settings or unmask's version were others."""
        self.sizes_bytes: set[int] = set()
        """Lengths of the files that usable rows of earlier runs are about: others need not be hashed."""
        self.addresses: set[str] = set()
        """Addresses that usable rows of earlier runs are about: others need not be fetched."""
        self._reused: dict[str, str] = {}

        def content_of_usable(row: Row) -> str | None:
            if row["settings"]["hash"] != settings_hash:
                self.foreign_rows += 1
                return None
            if not row["media"] or row["status"] in ("internal_error", "crashed"):
                return None
            self.sizes_bytes.add(row["media"]["size_bytes"])
            if is_address(row["path"]):
                self.addresses.add(row["path"])
            return _content_key(row["media"]["sha256"])

        _check_is_journal(path)
        self._log = RowLog(path, content_of_usable)
        if not resume and not self._log.was_empty:
            self._log.close()
            raise UsageError(f"an interrupted run left {path}; go on with --resume, or delete it to start over")
        if resume and finished is not None and finished.is_file():
            with finished.open("rb") as lines:
                for line in lines:
                    key = self._log.key_of_line(line)
                    if key is not None and key not in self._log:
                        self._log.append(key, json.loads(line))

    def reuse(self, path: str, sha256: str) -> bool:
        """Let the row that an earlier run has of this content be that of ``path``; return whether there is one."""
        if _content_key(sha256) not in self._log:
            return False
        self._reused[portable(path)] = _content_key(sha256)
        return True

    def append(self, row: Mapping[str, Any]) -> None:
        """Add a finished row; any thread may call this."""
        self._log.append(_path_key(row["path"]), row)

    def rows(self, paths: Iterable[str]) -> Iterator[Row]:
        """Yield the rows of these paths, in this order, under the names that the files have now."""
        for path in map(portable, paths):
            (row,) = self._log.rows([self._reused.get(path) or _path_key(path)])
            yield row | {"path": path}

    def discard(self) -> None:
        """Delete the journal: all outputs are written."""
        self._log.discard()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._log.close()


def _content_key(sha256: str) -> str:
    return f"sha256 {sha256}"


def _path_key(path: str) -> str:
    return f"path {path}"


def _check_is_journal(path: Path) -> None:
    """Refuse a file that no scan left: it would be written to, and deleted in the end."""
    if not path.is_file():
        return
    with path.open("rb") as file:
        start = file.read(len(_ROW_START))
    if not _ROW_START.startswith(start):
        raise UsageError(f"{path} is in the way, and unmask did not write it; move it, or name another output")
