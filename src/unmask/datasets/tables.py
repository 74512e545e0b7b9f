"""Read a table that somebody wrote: CSV in the usual separators and encodings, or JSON; what it is not is told."""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unmask.datasets.readers.text import BYTE_ORDER_MARK, MAX_TEXT_BYTES, parse_json, shown
from unmask.errors import UsageError
from unmask.storage.content import HEAD_BYTES, content_of

NAME_COLUMNS = ("path", "file", "filename", "video", "clip", "name", "id")
"""What a column of clips may be called, the most telling first."""
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
"""What may stand between cells, and what it is called."""

_BYTE_ORDER_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_OTHER_FILES = {
    b"PK\x03\x04": "a ZIP file, such as an Excel workbook; save it as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook; save it as CSV",
    b"PAR1": "Parquet; name it with the suffix .parquet",
    b"\x1f\x8b": "compressed with gzip; unpack it first",
    b"%PDF": "a PDF file; save the table as CSV",
}
_CHECKED_BYTES = 1 << 12


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table."""

    place: str
    """Where it stands, e.g. ``line 7``."""
    cells: dict[str, str]
    """Text by name of the column, in lower case; stripped of space at both ends."""
    surplus: int = 0
    """How many cells it has more than the header, or, below zero, less; cells that are missing are empty."""

    @property
    def even(self) -> bool:
        """Whether it has as many cells as the header."""
        return self.surplus == 0


@dataclass(frozen=True, slots=True)
class Table:
    """A table with named columns."""

    columns: tuple[str, ...]
    """Their names in lower case."""
    rows: tuple[Row, ...]
    """In the order of the file."""
    separator: str | None = None
    """Of `SEPARATORS`; None for JSON."""


def read_table(path: Path, known_columns: Sequence[str]) -> Table:
    """Read a CSV with a header, or JSON: a list of objects, an object a line, or an object by file name.

    CSV may be separated by any of `SEPARATORS`, and be UTF-8 or UTF-16, with or without a byte order mark. Bytes that
    are not UTF-8 are kept as surrogate escapes, since file names may have some.

    Args:
        path: The file.
        known_columns: Names that are looked for in the header, in lower case; they tell how it is separated.

    Raises:
        UsageError: It cannot be read, or is no table; the message says what it is instead.
    """
    text = decode_text(read_bytes(path), path)
    start = text.lstrip()[:1]
    return _json_table(text, path) if start in ("[", "{") else _csv_table(text, path, known_columns)


def read_bytes(path: Path) -> bytes:
    """Return a file's bytes.

    Raises:
        UsageError: It cannot be read, or is too large for a table.
    """
    try:
        if path.is_dir():
            raise UsageError(f"{path} is a folder, not a table; name a CSV file")
        if path.stat().st_size > 16 * MAX_TEXT_BYTES:
            raise UsageError(f"{path} is larger than {16 * MAX_TEXT_BYTES >> 20} MB; split the table")
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}; name a CSV file that is there") from error


def decode_text(data: bytes, path: Path) -> str:
    """Return the text of a file, whatever Unicode encoding it is in.

    Raises:
        UsageError: It is empty, or no text; the message says what it is instead.
    """
    if not data.strip():
        raise UsageError(f"{path} is empty; write a header and a line for each clip")
    for start, what in _OTHER_FILES.items():
        if data.startswith(start):
            raise UsageError(f"{path} is no table in text: it is {what}")
    if (content := content_of(data[:HEAD_BYTES])) is not None:
        article = {"video": "a video", "image": "an image", "sound": "sound"}[content]
        raise UsageError(f"{path} is no table: it is {article}; name a CSV file")
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return _decoded(data.removeprefix(mark), encoding, path)
    head = data[:_CHECKED_BYTES]
    if zeros := head.count(0):
        if zeros > len(head) / 4:  # UTF-16 without a mark: every other byte of Latin letters and commas is zero
            return _decoded(data, "utf-16-be" if head[0] == 0 else "utf-16-le", path)
        raise UsageError(f"{path} is no text: it holds zero bytes; name a CSV file")
    return _decoded(data, "utf-8", path)


def column_of(table: Table, names: Sequence[str], path: Path) -> str:
    """Return the first of some columns that a table has.

    Raises:
        UsageError: It has none of them.
    """
    found = next((name for name in names if name in table.columns), None)
    if found is None:
        between = f", separated by {SEPARATORS[table.separator]}" if table.separator else ""
        raise UsageError(
            f"{path} needs a header with the column {' or '.join(names)}; it has {shown(', '.join(table.columns))}"
            f"{between}"
        )
    return found


def _decoded(data: bytes, encoding: str, path: Path) -> str:
    try:
        errors = "surrogateescape" if encoding == "utf-8" else "strict"
        return data.decode(encoding, errors).removeprefix(BYTE_ORDER_MARK)
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is no {encoding.upper()} text at byte {error.start}; save it as UTF-8") from error


def _csv_table(text: str, path: Path, known: Sequence[str]) -> Table:
    header = text.lstrip("\r\n").splitlines()[0]
    separator = max(SEPARATORS, key=lambda mark: _likeliness(header, mark, known))
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        columns: tuple[str, ...] = ()
        rows: list[Row] = []
        for cells in reader:
            if not cells:
                continue
            if not columns:
                columns = tuple(cell.strip().lower() for cell in cells)
                continue
            padded = [cell.strip() for cell in cells] + [""] * (len(columns) - len(cells))
            named = dict(zip(columns, padded, strict=False))
            rows.append(Row(f"line {reader.line_num}", named, len(cells) - len(columns)))
    except csv.Error as error:
        raise UsageError(f"{path} is no CSV: line {reader.line_num}: {error}") from error
    _check_columns(columns, path)
    return Table(columns, tuple(rows), separator)


def _likeliness(header: str, separator: str, known: Sequence[str]) -> tuple[int, int]:
    """Return how many known columns a separator finds in a header, and how many columns in all."""
    names = {cell.strip().strip('"').lower() for cell in header.split(separator)}
    return len(names.intersection(known)), len(names)


def _json_table(text: str, path: Path) -> Table:
    try:
        items = _objects(parse_json(text), path)
    except ValueError as error:
        try:
            lines = [(i, line) for i, line in enumerate(text.split("\n"), 1) if line.strip()]
            items = [(f"line {i}", json.loads(line)) for i, line in lines]
        except (ValueError, RecursionError):
            raise UsageError(f"{path} is {error}") from error
    rows = []
    for place, item in items:
        if not isinstance(item, dict):
            raise UsageError(f"{path}, {place}: {shown(item)} is no object with the columns as its keys")
        rows.append(Row(place, {str(key).strip().lower(): _cell(value) for key, value in item.items()}))
    columns = tuple(dict.fromkeys(name for row in rows for name in row.cells))
    empty = dict.fromkeys(columns, "")
    return Table(columns, tuple(Row(row.place, empty | row.cells) for row in rows))


def _objects(value: Any, path: Path) -> list[tuple[str, Any]]:
    """Return the rows of a JSON value with their places: of a list, one object, or objects or labels by file name."""
    if isinstance(value, list):
        return [(f"item {i}", item) for i, item in enumerate(value, 1)]
    if not isinstance(value, dict):
        raise UsageError(f"{path} is JSON, but neither a list of objects nor an object by file name")
    if all(isinstance(item, dict) for item in value.values()):
        return [(f"entry {shown(name)}", {"path": name} | item) for name, item in value.items()]
    if not set(NAME_COLUMNS).isdisjoint(name.strip().lower() for name in value):
        return [("item 1", value)]
    return [(f"entry {shown(name)}", {"path": name, "label": item}) for name, item in value.items()]


def _cell(value: Any) -> str:
    return "" if value is None else value.strip() if isinstance(value, str) else json.dumps(value)


def _check_columns(columns: Sequence[str], path: Path) -> None:
    if twice := next((name for name in columns if columns.count(name) > 1), None):
        raise UsageError(f"{path} has two columns named {shown(twice)}; rename one")
