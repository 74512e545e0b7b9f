"""Scan what arrives in a folder, once each, and go on after an interruption.

    for row in Watch(scanner, Path("incoming"), Path("out")).rows():
        row["path"], row["label"]

``out/verdicts.jsonl`` gets one verdict a line, and each file a page. A file counts as arrived once it did not change
for a while. The same content under another name is not judged again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Self

from unmask.errors import UsageError
from unmask.report.html import write_page
from unmask.scan.base import BaseScanner
from unmask.scan.inputs import Input, hash_input, list_inputs
from unmask.storage.rowlog import Row, RowLog

LOG = "verdicts.jsonl"
POLL_SECONDS, SETTLE_SECONDS = 1.0, 2.0
"""Time between two looks at the folder, and how long a file must not have changed."""
_TRIED_ANEW = ("internal_error", "crashed")

_Facts = tuple[int, int]
"""Length and moment of the last change."""


class Watch:
    """Scans what arrives in a folder; one watch at a time writes an output folder."""

    def __init__(self, scanner: BaseScanner, folder: Path, out: Path, *, recursive: bool = False) -> None:
        """Read what an earlier watch left.

        Args:
            scanner: What judges.
            folder: Where files arrive.
            out: Where verdicts go; made if need be.
            recursive: Look into the folders of the folder.

        Raises:
            UsageError: There is no such folder, or another watch writes the output.
        """
        if not folder.is_dir():
            raise UsageError(f"{folder} is no folder; name the one that files arrive in")
        self._scanner, self._folder, self._out, self._recursive = scanner, folder, out, recursive
        self._settings_hash = scanner.settings_hash
        self._rows_of: dict[str, str] = {}  # content -> key of its row
        self._handled: dict[str, _Facts] = {}
        self._seen: dict[str, tuple[_Facts, float]] = {}
        out.mkdir(parents=True, exist_ok=True)
        self._log = RowLog(out / LOG, self._key_of)

    def rows(self, *, once: bool = False) -> Iterator[Row]:
        """Yield a row for each file that arrived, as it is judged.

        Args:
            once: Judge what is there, without waiting whether it still changes, and end; else never end.
        """
        while True:
            found = False
            for row in self.look(0.0 if once else SETTLE_SECONDS):
                found = True
                yield row
            if once and not found:  # a twin of what was just judged has its row in the second look
                return
            if not once:
                time.sleep(POLL_SECONDS)

    def look(self, settle_seconds: float) -> Iterator[Row]:
        """Judge what has not changed for so long, and was not judged before."""
        arrived = [
            item
            for item in list_inputs([self._folder], recursive=self._recursive)
            if self._is_ready(item, settle_seconds)
        ]
        fresh: dict[str, Input] = {}
        facts = {item.path: _facts(item) for item in arrived}
        for item in arrived:
            content = _content(hash_input(item, self._scanner.limits.file_bytes), item.path)
            if f"{content} {item.path}" in self._log:
                self._note(item, facts[item.path])
            elif content in self._rows_of:
                row = self._log.get(self._rows_of[content])
                assert row is not None
                yield self._keep(row | {"path": item.path}, content)
                self._note(item, facts[item.path])
            elif content not in fresh:  # a twin waits for the next look, which finds the row
                fresh[content] = item
        verdicts = self._scanner.scan_many(fresh.values()) if fresh else iter(())
        for (content, item), verdict in zip(fresh.items(), verdicts, strict=True):
            row = verdict.to_dict(timing=True, pictures=True)
            write_page(row, self._out / f"{row['sha256'] or sha256(os.fsencode(item.path)).hexdigest()}.html")
            yield self._keep(row | {"pictures": []}, content)
            self._note(item, facts[item.path])

    def _is_ready(self, item: Input, settle_seconds: float) -> bool:
        """Tell whether a file is new or changed, and has settled."""
        if Path(item.path).name.startswith("."):
            return False
        facts, now = _facts(item), time.monotonic()
        if facts is None or self._handled.get(item.path) == facts:
            return False
        before, since = self._seen.get(item.path, (None, now))
        if before != facts:
            self._seen[item.path] = facts, now
            since = now
        return now - since >= settle_seconds

    def _note(self, item: Input, facts: _Facts | None) -> None:
        if facts is not None:
            self._handled[item.path] = facts
        self._seen.pop(item.path, None)

    def _keep(self, row: Row, content: str) -> Row:
        """Append a row, which counts as judged from now on."""
        self._log.append(f"{content} {row['path']}", row)
        if row["status"] not in _TRIED_ANEW:
            self._rows_of.setdefault(content, f"{content} {row['path']}")
        return row

    def _key_of(self, row: Row) -> str | None:
        """Return the key of a row of an earlier watch; None where it is to be judged anew."""
        if row["settings"]["hash"] != self._settings_hash or row["status"] in _TRIED_ANEW:
            return None
        content = _content(row["sha256"], row["path"])
        key = f"{content} {row['path']}"
        self._rows_of.setdefault(content, key)
        return key

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._log.close()


def _content(sha256: str | None, path: str) -> str:
    """Return what a file is known by: its hash, or its path where it cannot be read."""
    return sha256 or f"path {path}"


def _facts(item: Input) -> _Facts | None:
    try:
        facts = os.stat(item.path)  # noqa: PTH116 - a name of any kind, which need not be a path
    except OSError:
        return None
    return facts.st_size, facts.st_mtime_ns
