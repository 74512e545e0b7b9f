"""What may be named as input of a run at scale, and how it becomes rows, one at a time.

Files, folders and https addresses as everywhere; patterns with ``*``; tables (``.parquet``, ``.csv``) and lists
(``.txt``) of names; objects and folders of stores; and tar archives, whose members are the rows.
"""

from __future__ import annotations

import csv
import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from unmask.datasets.parquet import read_batches, read_header
from unmask.errors import UsageError
from unmask.net.address import is_address
from unmask.net.objects import is_object, list_objects, open_object
from unmask.scale.manifest import Manifest, copy_manifest, is_manifest, write_manifest
from unmask.scale.rows import Row
from unmask.scan.inputs import Input, expand_input, read_names
from unmask.storage.content import content_of_name
from unmask.storage.members import Member, list_members
from unmask.storage.walk import is_folder

URI_COLUMNS = ("uri", "path", "file", "filename", "url", "video")
"""Columns of a table that may hold the names, the first one that is there counts."""

_TABLES, _LISTS, _ARCHIVES = (".parquet", ".csv"), (".txt", ".lst"), (".tar",)


@dataclass(slots=True)
class Sources:
    """Inputs as they were named; `rows` may be read once or more."""

    names: list[str]
    """Files, folders, addresses, patterns, tables, lists, archives."""
    recursive: bool = False
    """Look into the folders of folders."""
    follow_links: bool = False
    """Follow links within folders."""
    column: str | None = None
    """Column of tables that holds the names; None for the first of `URI_COLUMNS`."""
    passed: Counter[str] = field(default_factory=Counter)
    """What was passed over: image, sound, folder, or a suffix."""

    def write(self, path: Path) -> int:
        """Write the manifest of the rows; one that is named alone is copied. Return how many rows there are.

        Raises:
            UsageError: A table cannot be read, or a package is missing.
            DownloadError: A store cannot be listed.
            OSError: It cannot be written.
        """
        if (
            len(self.names) == 1
            and _suffix(self.names[0]) == ".parquet"
            and is_manifest(read_header(Path(self.names[0]))[1])
        ):
            return copy_manifest(Path(self.names[0]), path)
        return write_manifest(self.rows(), path)

    def rows(self) -> Iterator[Row]:
        """Yield the rows, in the order of the inputs."""
        for name in self.names:
            yield from self._rows_of(name)

    def _rows_of(self, name: str) -> Iterator[Row]:
        if is_object(name):
            yield from self._rows_of_store(name)
        elif is_address(name) or Path(name).exists() or not glob.has_magic(name):
            yield from self._rows_of_path(name)
        else:
            for found in sorted(glob.iglob(name, recursive=True)):  # noqa: PTH207 - patterns as shells know them
                if not is_folder(found):
                    yield from self._rows_of_path(found)

    def _rows_of_path(self, name: str) -> Iterator[Row]:
        suffix = _suffix(name)
        if is_address(name) or is_folder(name) or suffix not in (*_TABLES, *_LISTS, *_ARCHIVES):
            for item in expand_input(name, self.recursive, self.follow_links, self.passed):
                yield _row_of(item)
        elif suffix in _ARCHIVES:
            with Path(name).open("rb") as file:
                yield from self._rows_of_members(
                    list_members(file, str(Path(name).absolute())), _row_of(Input(name, ""))
                )
        else:
            for listed in _names_of_list(name) if suffix in _LISTS else self._names_of_table(name):
                if isinstance(listed, Row):
                    yield listed
                elif is_object(listed):  # a table of a million objects is not looked up one by one
                    yield Row(listed, PurePosixPath(listed).name)
                else:
                    yield _row_of(Input(listed, PurePosixPath(listed).name or listed))

    def _rows_of_store(self, name: str) -> Iterator[Row]:
        for found in list_objects(name, recursive=self.recursive):
            if _suffix(found.uri) in _ARCHIVES:
                with closing(open_object(found.uri)) as file:
                    row = Row(found.uri, "", found.size_bytes, found.version)
                    yield from self._rows_of_members(list_members(file, found.uri), row)
            elif found.uri == name or content_of_name(Path(found.uri)) == "video":
                yield Row(found.uri, PurePosixPath(found.uri).name, found.size_bytes, found.version)
            else:
                self.passed[_suffix(found.uri)] += 1

    def _rows_of_members(self, members: Iterable[Member], archive: Row) -> Iterator[Row]:
        for member in members:
            if content_of_name(Path(member.name)) == "video":
                name = f"{PurePosixPath(archive.uri).name}/{member.name}"
                yield Row(member.address, name, member.size_bytes, archive.version)
            else:
                self.passed[_suffix(member.name)] += 1

    def _names_of_table(self, name: str) -> Iterator[str | Row]:
        path = Path(name)
        if _suffix(name) == ".csv":
            with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
                table = csv.DictReader(file)
                column = self._column(name, table.fieldnames or ())
                yield from (row[column] for row in table if row[column])
            return
        columns, facts, _ = read_header(path)
        if is_manifest(facts):
            yield from Manifest(path).rows()
            return
        column = self._column(name, columns)
        for batch in read_batches(path, [column], rows=1 << 14):
            yield from (str(value) for value in batch.column(0).to_pylist() if value)

    def _column(self, name: str, columns: Iterable[str]) -> str:
        there = list(columns)
        wanted = URI_COLUMNS if self.column is None else (self.column,)
        found = next((column for column in wanted if column in there), None)
        if found is None:
            raise UsageError(
                f"{name} has no column {' or '.join(wanted)}; its columns are {', '.join(there) or 'none'}: name the "
                "one that holds paths or addresses with: unmask manifest --column NAME"
            )
        return found


def _names_of_list(name: str) -> Iterator[str]:
    with Path(name).open("rb") as file:
        for line in file:
            yield from read_names(line)


def _row_of(item: Input) -> Row:
    size_bytes, version = None, ""
    if not is_address(item.path):
        try:
            facts = os.stat(item.path)  # noqa: PTH116 - a name of any kind, which need not be a path
            size_bytes, version = facts.st_size, str(facts.st_mtime_ns)
        except (OSError, ValueError):
            pass  # its row will say so
    return Row(item.path, item.name, size_bytes, version, item.below)


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()
