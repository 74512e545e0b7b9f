"""The manifest: a Parquet table with one row for each input, written and read in pieces."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unmask.datasets.parquet import open_table, read_batches, read_header
from unmask.errors import UsageError
from unmask.scale.rows import BYTES_A_UNIT, Row
from unmask.storage.atomic import atomic_file

COLUMNS = {
    "uri": "string", "name": "string", "size_bytes": "int64", "version": "string", "cost": "float32",
    "below": "string", "note": "string", "id": "binary", "raw": "string",
}  # fmt: skip
"""Columns and their Arrow types. ``raw`` holds uri, name and below as JSON where they are no UTF-8."""

_FORM = {"unmask_manifest": "1"}
_PIECE = 1 << 13  # as Python's values some 10 MB
_COLUMNS_OF_ROWS = ("uri", "name", "size_bytes", "version", "below", "note", "raw")


@dataclass(frozen=True, slots=True)
class Piece:
    """Some consecutive rows of a manifest."""

    batch: Any
    """They, as pyarrow's record batch."""

    @property
    def ids(self) -> NDArray[np.bytes_]:
        """(n,) identities, 16 bytes each."""
        return np.array(self.batch.column("id").to_pylist(), "S16")

    @property
    def costs(self) -> NDArray[np.float64]:
        """(n,) what they are guessed to cost, see `Row.cost`."""
        sizes = self.batch.column("size_bytes").fill_null(0).to_numpy(zero_copy_only=False)
        return 1.0 + sizes / BYTES_A_UNIT

    def rows(self, places: NDArray[np.int64] | None = None) -> Iterator[Row]:
        """Yield rows, all or those at these places."""
        batch = self.batch if places is None else self.batch.take(places)
        try:
            columns = [batch.column(name).to_pylist() for name in _COLUMNS_OF_ROWS]
        except (KeyError, ValueError) as error:
            raise UsageError(f"the manifest is damaged: {error}; make it anew") from error
        for uri, name, size_bytes, version, below, note, raw in zip(*columns, strict=True):
            if raw is not None:
                try:
                    uri, name, below = json.loads(raw)
                except (ValueError, TypeError, RecursionError) as error:
                    raise UsageError(f"a name in the manifest is damaged, {raw[:100]!r}; make it anew") from error
            yield Row(uri, name, size_bytes, version or "", below, note or "")


class Manifest:
    """A manifest on disk."""

    def __init__(self, path: Path) -> None:
        """Open it.

        Raises:
            UsageError: pyarrow is missing, or the file is no manifest.
        """
        self.path = path
        _, facts, self._rows = read_header(path)
        if not is_manifest(facts):
            raise UsageError(f"{path} is no manifest of unmask; make one with: unmask manifest {path} --out FILE")

    def __len__(self) -> int:
        return self._rows

    def pieces(self, columns: Sequence[str] | None = None) -> Iterator[Piece]:
        """Yield it piece by piece."""
        for batch in read_batches(self.path, columns, _PIECE):
            yield Piece(batch)

    def rows(self) -> Iterator[Row]:
        """Yield all rows in their order."""
        for piece in self.pieces(_COLUMNS_OF_ROWS):
            yield from piece.rows()


def is_manifest(facts: dict[str, str]) -> bool:
    """Tell from the text about a Parquet table whether it is a manifest."""
    return facts.items() >= _FORM.items()


def write_manifest(rows: Iterable[Row], path: Path) -> int:
    """Write a manifest, whole or not at all; return how many rows it has.

    Raises:
        UsageError: pyarrow is missing.
        OSError: It cannot be written.
    """
    count, source = 0, iter(rows)
    with atomic_file(path) as file, open_table(file, COLUMNS, _FORM) as write:
        while piece := [_record(row) for row in islice(source, _PIECE)]:
            write(piece)
            count += len(piece)
    return count


def copy_manifest(source: Path, path: Path) -> int:
    """Copy a manifest as it is; return how many rows it has."""
    with source.open("rb") as old, atomic_file(path) as new:
        shutil.copyfileobj(old, new)
    return len(Manifest(path))


def _record(row: Row) -> dict[str, Any]:
    record: dict[str, Any] = {
        "uri": row.uri, "name": row.name, "size_bytes": row.size_bytes, "version": row.version, "cost": row.cost,
        "below": row.below, "note": row.note or None, "id": row.id,
    }  # fmt: skip
    texts = (row.uri, row.name, row.below)
    try:
        for text in texts:
            (text or "").encode()
    except UnicodeEncodeError:
        record |= {name: _shown(record[name]) for name in ("uri", "name", "below")} | {"raw": json.dumps(texts)}
    return record


def _shown(text: str | None) -> str | None:
    return None if text is None else text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
