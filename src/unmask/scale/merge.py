"""Merge the parts of a run: exactly one line for each row of the manifest, in its order, whatever was done twice."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from unmask.datasets.parquet import open_table
from unmask.errors import UsageError
from unmask.runtime.jsonable import portable
from unmask.scale.index import SealedIndex
from unmask.scale.manifest import Manifest
from unmask.scale.rows import Row
from unmask.storage.atomic import atomic_file, atomic_folder
from unmask.storage.rowlog import json_line

PART_BYTES = 64 << 20
"""Length of the files of a Parquet dataset."""

_GROUP_BYTES, _GROUP_ROWS = 8 << 20, 1 << 12
_OPEN_FILES = 128
_SHOWN = 3
_PART = re.compile(r"part-\d{5,}\.parquet")

TABLE = {
    "name": "string", "path": "string", "status": "string", "label": "string", "fake_probability": "float64",
    "sha256": "string", "frames_asked": "int32", "frames_decoded": "int32", "frames_with_faces": "int32",
    "reasons": "list<string>", "verdict": "string",
}  # fmt: skip
"""Columns of the Parquet dataset and their Arrow types; ``verdict`` is the whole row as JSON."""

Line = tuple[Row, bytes]
"""A row of the manifest and its line."""


class Merge:
    """All lines of a run, to be read as often as there are outputs."""

    def __init__(self, manifest: Manifest, index: SealedIndex) -> None:
        """See that there is a line for each row.

        Args:
            manifest: All rows.
            index: Where the lines are.

        Raises:
            UsageError: Rows lack one.
        """
        self._manifest, self._index = manifest, index
        self.statuses: Counter[str] = Counter()
        """Rows by status."""
        self._check()

    def _check(self) -> None:
        missing, shown = 0, list[str]()
        for piece in self._manifest.pieces():
            entries = self._index.find(piece.ids)
            lacking = np.flatnonzero(entries < 0)
            missing += len(lacking)
            shown += [row.uri for row in piece.rows(lacking[: _SHOWN - len(shown)])]
            entries = self._index.with_lines(entries[entries >= 0])
            counts = np.bincount(self._index.status[entries], minlength=len(self._index.statuses)).tolist()
            self.statuses.update(
                {name: count for name, count in zip(self._index.statuses, counts, strict=True) if count}
            )
        if missing:
            raise UsageError(
                f"{missing} of {len(self._manifest)} rows have no result yet, e.g. {', '.join(shown)}; go on with "
                "--resume, or run the shards that are missing, and merge then"
            )

    def lines(self) -> Iterator[Line]:
        """Yield each row with its line, under the name that it has now."""
        with _Files() as files:
            for piece in self._manifest.pieces():
                entries = self._index.find(piece.ids).tolist()
                for row, entry in zip(piece.rows(), entries, strict=True):
                    yield row, self._line(row, entry, files)

    def _line(self, row: Row, entry: int, files: _Files) -> bytes:
        index, holds = self._index, self._index.with_line(entry)
        path, start, length = index.parts[index.part[holds]], int(index.place[holds]), int(index.length[holds])
        line = files.read(path, start, length)
        if holds == entry:
            return line
        return json_line(json.loads(line) | {"path": portable(row.uri)}).encode()

    def rows(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield for each row the name that tables show, and its line as JSON values."""
        doubles = self._double_names()
        for row, line in self.lines():
            is_double = bool(len(doubles)) and _holds(doubles, _short_hash(row.name))
            yield portable(row.uri if is_double else row.name), json.loads(line)

    def _double_names(self) -> NDArray[np.int64]:
        """Return hashes of the names that several rows have, rising."""
        hashes = np.fromiter((_short_hash(row.name) for row in self._manifest.rows()), np.int64, len(self._manifest))
        hashes.sort()
        return hashes[1:][hashes[1:] == hashes[:-1]]


def write_lines(lines: Iterable[Line], target: Path | BinaryIO) -> None:
    """Write JSON, one line a row."""
    with atomic_file(target) if isinstance(target, Path) else nullcontext(target) as file:
        for _, line in lines:
            file.write(line + b"\n")


def write_dataset(rows: Iterable[tuple[str, dict[str, Any]]], folder: Path, part_bytes: int = PART_BYTES) -> int:
    """Write a Parquet dataset: a folder of files ``part-00000.parquet`` of about equal length; return their number.

    Args:
        rows: Name and JSON values of each row.
        folder: The folder; what was in it is replaced.
        part_bytes: Length from which on a file is full.

    Raises:
        UsageError: pyarrow is missing, or the folder holds something else.
    """
    others = [path.name for path in folder.iterdir() if not _PART.fullmatch(path.name)] if folder.is_dir() else []
    if others:
        raise UsageError(f"{folder} holds {others[0]}, which is no part of a dataset; name another folder")
    source, count = iter(rows), 0
    with atomic_folder(folder) as filled:
        while (group := _next_group(source)) or not count:
            path = filled / f"part-{count:05d}.parquet"
            with path.open("wb") as file, open_table(file, TABLE, {"unmask_dataset": "1"}) as write:
                write(group)
                while file.tell() < part_bytes and (group := _next_group(source)):
                    write(group)
            count += 1
    return count


def _next_group(source: Iterator[tuple[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return records of some megabytes together as JSON, and as Python's values; none when all were returned."""
    group, size_bytes = [], 0
    for name, row in source:
        text = json_line(row)
        group.append({key: row.get(key) for key in TABLE} | {"name": name, "verdict": text})
        size_bytes += len(text)
        if size_bytes >= _GROUP_BYTES or len(group) == _GROUP_ROWS:
            break
    return group


def _holds(rising: NDArray[np.int64], number: int) -> bool:
    at = int(np.searchsorted(rising, number))
    return at < len(rising) and bool(rising[at] == number)


def _short_hash(text: str) -> int:
    digest = hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


class _Files:
    """Reads parts at any place; some stay open."""

    def __init__(self) -> None:
        self._open: OrderedDict[Path, int] = OrderedDict()

    def read(self, path: Path, start: int, length: int) -> bytes:
        descriptor = self._open.get(path)
        if descriptor is None:
            descriptor = self._open[path] = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
            if len(self._open) > _OPEN_FILES:
                os.close(self._open.popitem(last=False)[1])
        else:
            self._open.move_to_end(path)
        return os.pread(descriptor, length, start)

    def __enter__(self) -> _Files:
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor in self._open.values():
            os.close(descriptor)
