"""Read and write Parquet tables with pyarrow, which comes with the extra ``data``."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

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
    arrow, parquet = _pyarrow()
    held = [dict(row) for row in rows]
    types = {name: _type(arrow, kind) for name, kind in columns.items()}
    arrays = [_column(arrow, name, [row.get(name) for row in held], kind) for name, kind in types.items()]
    schema = arrow.schema(list(types.items()), dict(facts or {}))
    table = arrow.Table.from_arrays(arrays, schema=schema)
    with atomic_file(path) as file:
        parquet.write_table(table, file)


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
