"""The journal of a running scan: one line for each finished video, so that nothing done is lost."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from unmask.errors import UsageError
from unmask.runtime.jsonable import portable
from unmask.storage.rowlog import Row, RowLog


class Journal:
    """Verdicts are appended to a file as they come and read back in any order.

    A row of an earlier run is used again when path, content (sha256) and settings are the same and the scan
    did not fail for reasons of its own.
    """

    def __init__(self, path: Path, settings_hash: str, *, resume: bool = False, finished: Path | None = None) -> None:
        """Open the journal.

        Args:
            path: The file, beside the output it will become.
            settings_hash: `BaseScanner.settings_hash` of this run.
            resume: Take over what an interrupted run left here, and the rows of ``finished``.
            finished: JSON lines of a finished run, when there are any.

        Raises:
            UsageError: Another run holds the journal, or an interrupted one left it and ``resume`` is not set.
        """
        self.foreign_rows = 0
        """Rows of earlier runs that are not used again since models, settings or unmask's version were others."""

        def path_of_usable(row: Row) -> str | None:
            if row["settings"]["hash"] != settings_hash:
                self.foreign_rows += 1
                return None
            usable = row["media"] and row["status"] not in ("internal_error", "crashed")
            return row["path"] if usable else None

        self._log = RowLog(path, path_of_usable)
        if not resume and not self._log.was_empty:
            self._log.close()
            raise UsageError(f"an interrupted run left {path}; go on with --resume, or delete it to start over")
        if resume and finished is not None and finished.is_file():
            with finished.open("rb") as lines:
                for line in lines:
                    key = self._log.key_of_line(line)
                    if key is not None and key not in self._log:
                        self.append(json.loads(line))

    def sha256_of(self, path: str) -> str | None:
        """Return the hash of what an earlier run found at a path, None when there is no row of it to use again."""
        row = self._log.get(portable(path))
        return None if row is None else row["media"]["sha256"]

    def append(self, row: Mapping[str, Any]) -> None:
        """Add a finished row; any thread may call this."""
        self._log.append(row["path"], row)

    def rows(self, paths: Iterable[str]) -> Iterator[Row]:
        """Yield the rows of these paths, in this order."""
        return self._log.rows(map(portable, paths))

    def discard(self) -> None:
        """Delete the journal: all outputs are written."""
        self._log.discard()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._log.close()
