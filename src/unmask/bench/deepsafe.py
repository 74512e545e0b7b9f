"""Exchange predictions with deepsafe-bench, whose file is a table: a row for each sample, a column for each model.

Its columns, read in ``eval/run_monolith_eval.py`` and ``src/deepsafe/data.py`` of github.com/deepsafehq/deepsafe-bench
(a36d40c) and in the file that the package deepsafe-bench 1.0.0 ships: ``id``, ``modality`` (images, audio, video),
``label`` (real, fake), ``generator``, ``ensemble_score``, ``ensemble_verdict``, ``ensemble_method``, and for each
model ``prob_NAME``, 0 real to 1 fake and empty where there is no answer, and ``lat_NAME`` in milliseconds. The table is
a CSV, mostly compressed by gzip, or the same rows as a JSON list.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unmask.bench.dataset import BenchDataset
from unmask.errors import UsageError
from unmask.evaluation import Labels, Prediction, Truth
from unmask.storage.atomic import write_file

_ABOUT = ("id", "modality", "label", "generator")
_ENSEMBLE = ("ensemble_score", "ensemble_verdict", "ensemble_method")
_PROBABILITY, _LATENCY = "prob_", "lat_"
ENSEMBLE = "ensemble"
"""What the column ``ensemble_score`` is called as a model."""
_MAX_BYTES = 1 << 29
"""The longest table that is read, after decompression; the published one has six million bytes."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """The samples of one modality, and what each model said of them."""

    modality: str
    """``images``, ``audio`` or ``video``."""
    labels: Labels
    """A clip for each sample; the generator is its method. Which samples share a source, the table does not say."""
    predictions: Mapping[str, tuple[Prediction, ...]]
    """Model -> its predictions; those without an answer are in it, with None. A model without any is left out."""


def is_matrix(path: Path) -> bool:
    """Tell whether a file is such a table, by its first line or first item."""
    if not path.is_file() or path.suffix.lower() not in (".csv", ".gz", ".json"):
        return False
    try:
        start = _start(path)
    except (OSError, EOFError, zlib.error):
        return False
    names = ("id", "modality", "label", "generator")
    if path.suffix.lower() == ".json":
        return start.lstrip().startswith("[") and all(f'"{name}"' in start for name in names)
    return set(names) <= set(start.partition("\n")[0].strip().split(","))


def read_matrix(path: Path) -> list[Matrix]:
    """Read a table; one matrix for each modality, in order of appearance.

    Raises:
        UsageError: It cannot be read, a label is neither real nor fake, or a probability is none.
    """
    rows = _rows(path)
    models = list(dict.fromkeys(key for row in rows for key in row if key.startswith(_PROBABILITY)))
    columns = {name.removeprefix(_PROBABILITY): name for name in models} | {ENSEMBLE: _ENSEMBLE[0]}
    found = []
    for modality in dict.fromkeys(str(row["modality"]) for row in rows):
        own = [(place, row) for place, row in enumerate(rows, 1) if str(row["modality"]) == modality]
        names = [str(row["id"]) for _, row in own]
        if len(set(names)) < len(names):
            raise UsageError(f"{path}: two rows of {modality} have one id; each sample needs its own")
        clips = tuple(_truth(row, f"{path}, row {place}") for place, row in own)
        said = {
            model: tuple(
                Prediction(name, _probability(row.get(column), f"{path}, row {place}, {column}"))
                for name, (place, row) in zip(names, own, strict=True)
            )
            for model, column in columns.items()
        }
        answered = {m: p for m, p in said.items() if any(item.fake_probability is not None for item in p)}
        found.append(Matrix(modality, Labels(clips), answered))
    return found


def write_matrix(
    dataset: BenchDataset, rows: Mapping[str, Mapping[str, tuple[float | None, float]]], path: Path
) -> None:
    """Write what models said of a dataset's clips, as a gzip-compressed CSV that deepsafe-bench reads.

    Args:
        dataset: The clips. The method of each is its generator, ``unknown`` where it is not known.
        rows: Model -> name of a clip -> fake probability, None for no answer, and seconds that the scan took.
        path: The file, ``*.csv.gz``.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow((*_ABOUT, *_ENSEMBLE, *(column for m in rows for column in (_PROBABILITY + m, _LATENCY + m))))
    for clip in dataset.clips:
        truth = clip.truth
        cells: list[str | float] = [
            truth.name,
            "video",
            str(truth.label),
            truth.traits.get("method", "unknown"),
            "",
            "",
            "",
        ]
        for said in rows.values():
            value, seconds = said.get(truth.name, (None, 0.0))
            cells += ["" if value is None else value, round(1000 * seconds, 1)]
        table.writerow(cells)
    write_file(path, gzip.compress(text.getvalue().encode("utf-8", "surrogateescape"), mtime=0))


def _start(path: Path) -> str:
    with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
        return file.read(1 << 16).decode("utf-8", "replace")


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(
            f"cannot read {path}: {error}; name a CSV, a CSV compressed by gzip, or a JSON list"
        ) from error
    if len(content) > _MAX_BYTES:
        raise UsageError(f"{path} is longer than {_MAX_BYTES} bytes; name a shorter table")
    text = content.decode("utf-8", "surrogateescape")
    rows = _json_rows(text, path) if path.suffix.lower() == ".json" else _table_rows(text, path)
    if not rows or any(not isinstance(row, dict) or not set(_ABOUT) <= row.keys() for row in rows):
        raise UsageError(f"{path} is no table of deepsafe-bench: it needs rows with {', '.join(_ABOUT)}")
    return rows


def _table_rows(text: str, path: Path) -> list[Any]:
    try:
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
    except csv.Error as error:
        raise UsageError(f"{path} is no CSV: {error}") from error
    if any(None in row for row in rows):
        raise UsageError(f"{path} has a row with more cells than its first one; mend that row")
    return rows


def _json_rows(text: str, path: Path) -> list[Any]:
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is no JSON: {error}") from error
    return rows if isinstance(rows, list) else []


def _truth(row: Mapping[str, Any], where: str) -> Truth:
    label, name = row["label"], str(row["id"])
    if label not in ("real", "fake"):
        raise UsageError(f"{where}: label {label!r} is neither real nor fake")
    return Truth(name, "fake" if label == "fake" else "real", name, {"method": str(row["generator"])})


def _probability(cell: Any, where: str) -> float | None:
    if cell is None or cell == "":
        return None
    try:
        value = float(cell)
    except (TypeError, ValueError, OverflowError):
        value = float("nan")
    if not 0 <= value <= 1:
        raise UsageError(f"{where}: {cell!r} is no fake probability in 0..1; leave it empty where there is none")
    return value


def rows_of(predictions: Sequence[tuple[Prediction, float]]) -> dict[str, tuple[float | None, float]]:
    """Return what one model said, by name of the clip, for `write_matrix`: predictions, and seconds of their scans."""
    return {item.name: (item.fake_probability, seconds) for item, seconds in predictions}
