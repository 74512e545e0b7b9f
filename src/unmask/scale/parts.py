"""Parts: files of finished lines, whole or not there, and the append-only log that says which of them count.

    RUN/parts/SHARD/LEASE-0.jsonl     first line: the commit; then one line for each row that has one
    RUN/commits/SHARD.jsonl           the commits, one a line

A commit says what its part holds, so the log is only a list of first lines. What a lost driver did not come to commit
lies among the parts, and the next one adopts it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from unmask.scale.index import Index
from unmask.scale.rows import Answer, Row
from unmask.storage.atomic import atomic_file, sweep
from unmask.storage.rowlog import RowLog, json_line

PARTS, COMMITS = "parts", "commits"
Commit = dict[str, Any]


class Part:
    """Answers that are to be written together."""

    def __init__(self, folder: Path, name: str, settings_hash: str) -> None:
        """Begin with none; nothing is written before `write`.

        Args:
            folder: Where it is to lie.
            name: Name of the file.
            settings_hash: Of the work whose answers these are.
        """
        self._path, self._settings = folder / name, settings_hash
        self._rows: list[list[Any]] = []
        self._lines: list[bytes] = []
        self.size_bytes = 0
        """Length of the lines so far."""

    def add(self, row: Row, answer: Answer) -> None:
        """Add what came of a row."""
        size = -1 if row.size_bytes is None else row.size_bytes
        self._rows.append([row.id.hex(), answer.sha256, answer.status, size, len(answer.line)])
        if answer.line:
            self._lines.append(answer.line)
            self.size_bytes += len(answer.line)

    def __bool__(self) -> bool:
        return bool(self._rows)

    def write(self) -> Commit:
        """Write the part and return its first line.

        Raises:
            OSError: The disk is full, or the folder is gone.
        """
        commit = {"part": self._path.name, "settings": self._settings, "rows": self._rows}
        with atomic_file(self._path) as file:
            file.write(b"\n".join([json_line(commit).encode(), *self._lines, b""]))
        return commit


def read_commit(path: Path) -> tuple[Commit, int]:
    """Return the first line of a part, and how many bytes it takes.

    Raises:
        ValueError: It is no part, or not a whole one.
    """
    with path.open("rb") as file:
        first = file.readline()
        commit = json.loads(first)
        lengths = [row[4] for row in commit["rows"]]
        if len(first) + sum(length + 1 for length in lengths if length) != os.fstat(file.fileno()).st_size:
            raise ValueError(f"{path} is cut short")
    return commit, len(first)


class CommitLog:
    """The commits of one shard; one process at a time may hold it.

    with CommitLog(run, "1-of-1") as log:
        log.append(commit)
    """

    def __init__(self, run: Path, shard: str, index: Index | None = None) -> None:
        """Open or create the log, and adopt the parts that nobody has committed.

        Args:
            run: The folder of the run.
            shard: Whose commits these are.
            index: Takes the commits that are there.

        Raises:
            UsageError: Another driver holds it, or it cannot be written.
        """
        self.folder = run / PARTS / shard
        """Where the parts lie."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (run / COMMITS).mkdir(exist_ok=True)

        folder, takers = self.folder, [] if index is None else [index]

        def name_of(commit: Commit) -> str:
            for taker in takers:
                taker.add(folder / commit["part"], commit)
            return str(commit["part"])

        self._log = RowLog(run / COMMITS / f"{shard}.jsonl", name_of)
        sweep(self.folder)
        for path in sorted(self.folder.glob("*.jsonl")):
            self._adopt(path, index)
        takers.clear()  # the index is not kept for as long as the log

    def append(self, commit: Mapping[str, Any]) -> None:
        """Add a commit; any thread may call this."""
        self._log.append(commit["part"], commit)

    def adopt(self, lease: str) -> Iterator[Commit]:
        """Commit the parts of a lease whose worker could not tell of them any more."""
        for path in sorted(self.folder.glob(f"{lease}-*.jsonl")):
            if (commit := self._adopt(path, None)) is not None:
                yield commit

    def _adopt(self, path: Path, index: Index | None) -> Commit | None:
        if path.name in self._log:
            return None
        try:
            commit, _ = read_commit(path)
            if commit["part"] != path.name:
                raise ValueError(f"{path} says that it is another part")
            if index is not None:
                index.add(path, commit)
        except (ValueError, KeyError, TypeError, IndexError, RecursionError, OSError):
            return None  # what others put there; its rows are done again
        self.append(commit)
        return commit

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._log.close()


def read_commits(run: Path, index: Index, but: str = "") -> None:
    """Let an index take the commits of all shards of a run, whoever holds them; a torn last line does not count.

    Args:
        run: The folder of the run.
        index: Takes them.
        but: A shard that is left out.
    """
    for log in sorted((run / COMMITS).glob("*.jsonl")):
        if log.stem == but:
            continue
        folder = run / PARTS / log.stem
        with log.open("rb") as lines:
            for line in lines:
                try:
                    commit = json.loads(line)
                    index.add(folder / commit["part"], commit)
                except (ValueError, KeyError, TypeError, IndexError, RecursionError):
                    continue
