"""Read and write Parquet tables with pyarrow, which comes with the extra ``data``."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from unmask.errors import UsageError
from unmask.storage.atomic import atomic_file

log = logging.getLogger(__name__)

_MAX_WHOLE = 1 << 1023
"""Larger whole numbers are no floating ones."""


def write_parquet(
    rows: Iterable[Mapping[str, Any]], path: Path, columns: Mapping[str, str], facts: Mapping[str, str] | None = None
) -> None:
    """Write rows as a Parquet table; the same rows give the same bytes.

    A value that its column cannot hold is null there, and reported in the log: one row's fault costs no table.

    Args:
        rows: One mapping for each row; a missing column is null.
        path: The file.
        columns: Name -> Arrow type in words, e.g. ``string``, ``int32``, ``list<string>``.
        facts: Text about the whole table, kept in its metadata.

    Raises:
        UsageError: pyarrow is not installed.
    """
    held = [dict(row) for row in rows]
    with atomic_file(path) as file, open_table(file, columns, facts) as write:
        write(held)


@contextmanager
def open_table(
    file: BinaryIO, columns: Mapping[str, str], facts: Mapping[str, str] | None = None
) -> Iterator[Callable[[Sequence[Mapping[str, Any]]], None]]:
    """Write a Parquet table group by group: the block calls what it is given with the rows of each.

    Args:
        file: Open for writing.
        columns: See `write_parquet`.
        facts: See `write_parquet`.

    Raises:
        UsageError: pyarrow is not installed.
    """
    arrow, parquet = _pyarrow()
    types = {name: _type(arrow, kind) for name, kind in columns.items()}
    schema = arrow.schema(list(types.items()), dict(facts or {}))
    with parquet.ParquetWriter(file, schema) as writer:

        def write(rows: Sequence[Mapping[str, Any]]) -> None:
            arrays = [_column(arrow, name, [row.get(name) for row in rows], kind) for name, kind in types.items()]
            writer.write_table(arrow.Table.from_arrays(arrays, schema=schema))

        yield write


def read_batches(path: Path, columns: Sequence[str] | None = None, rows: int = 1 << 16) -> Iterator[Any]:
    """Yield a Parquet table in pieces, as pyarrow's record batches, so that it need not fit into memory.

    Args:
        path: The file.
        columns: Which columns; None for all.
        rows: Rows of a piece, at most.

    Raises:
        UsageError: pyarrow is not installed, or the file is no Parquet table, or lacks a column.
    """
    arrow, parquet = _pyarrow()
    try:
        with parquet.ParquetFile(path, pre_buffer=False) as file:  # else it would read ahead to the end
            wanted = None if columns is None else list(columns)
            yield from file.iter_batches(rows, columns=wanted, use_threads=False)
    except (arrow.ArrowException, OSError, KeyError) as error:
        raise UsageError(f"{path} cannot be read as a Parquet table: {error}") from error


def read_header(path: Path) -> tuple[list[str], dict[str, str], int]:
    """Return the columns of a Parquet table, the text about it, and how many rows it has.

    Raises:
        UsageError: pyarrow is not installed, or the file is no Parquet table.
    """
    arrow, parquet = _pyarrow()
    try:
        with parquet.ParquetFile(path) as file:
            facts = {key.decode(): value.decode() for key, value in (file.schema_arrow.metadata or {}).items()}
            return list(file.schema_arrow.names), facts, file.metadata.num_rows
    except (arrow.ArrowException, OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read as a Parquet table: {error}") from error


def read_parquet(path: Path) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Return the rows of a Parquet table, and the text about it.

    Raises:
        UsageError: pyarrow is not installed, or the file is no Parquet table.
    """
    arrow, parquet = _pyarrow()
    try:
        table = parquet.read_table(path, partitioning=None)
        facts = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
        return table.to_pylist(), facts
    except (arrow.ArrowException, OSError, ValueError) as error:  # text in it may not be UTF-8
        raise UsageError(f"{path} cannot be read as a Parquet table: {error}") from error


def require_pyarrow() -> None:
    """Refuse work whose tables could not be written.

    Raises:
        UsageError: pyarrow is not installed.
    """
    _pyarrow()


def _column(arrow: Any, name: str, values: list[Any], kind: Any) -> Any:
    """Return a column of values; whole numbers become floating ones where those are wanted."""
    if arrow.types.is_floating(kind):
        values = [float(value) if isinstance(value, int) and abs(value) < _MAX_WHOLE else value for value in values]
    try:
        return arrow.array(values, kind)
    except (arrow.ArrowException, TypeError, ValueError, OverflowError):
        return arrow.array([_fitting(arrow, name, value, kind) for value in values], kind)


def _fitting(arrow: Any, name: str, value: Any, kind: Any) -> Any:
    """Return a value, or null where a column of this kind cannot hold it; text that has no bytes is escaped."""
    if isinstance(value, str):
        value = value.encode("utf-8", "backslashreplace").decode()
    try:
        arrow.array([value], kind)
    except (arrow.ArrowException, TypeError, ValueError, OverflowError) as error:
        log.warning("%s holds %.100r, which the table cannot (%s); its cell stays empty", name, value, error)
        return None
    return value


def _type(arrow: Any, kind: str) -> Any:
    inner = kind.removeprefix("list<").removesuffix(">")
    value = arrow.type_for_alias(inner)
    return arrow.list_(value) if inner != kind else value


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise UsageError("tables need pyarrow; run: pip install 'unmask[data]'") from error
    return pyarrow, parquet
