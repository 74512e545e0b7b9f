"""Get the prediction for each clip: read from a table, from JSON verdicts, or scanned on the spot."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unmask.datasets import Index
from unmask.datasets.readers.text import BYTE_ORDER_MARK, shown
from unmask.errors import UsageError
from unmask.models.card import Calibration
from unmask.report.csv import spreadsheet_name
from unmask.types import Label

if TYPE_CHECKING:
    from unmask.scan.base import BaseScanner

NAME_COLUMNS = ("path", "file", "filename", "video")
_SCORE_COLUMNS = ("label", "fake_probability")


@dataclass(frozen=True, slots=True)
class PredictedFace:
    """The score of one face in one frame of a clip."""

    person: int
    """Number of the person, from 1."""
    frame: int
    """Index of the frame, from 0."""
    side_px: float
    """Longer side of the face's box in pixels."""
    fake_probability: float
    """0 real to 1 fake."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What was predicted of one clip."""

    name: str
    """Path or file name of the clip, as the table names it."""
    fake_probability: float | None
    """0 real to 1 fake; None when there is no answer."""
    label: Label | None = None
    """The label of the verdict, None when there is none or only a number is known."""
    faces: tuple[PredictedFace, ...] = ()
    """Scores of faces in order of time; empty when only the clip's number is known."""
    model_sha256: str | None = None
    """Hash of the model that predicted it; None when unknown, or an ensemble."""
    calibration: Calibration | None = None
    """What the model's card held when ``faces`` was computed; None when unknown, or an ensemble."""


def read_predictions(path: Path) -> list[Prediction]:
    """Read predictions: JSON lines of ``unmask scan --json``, or a CSV with the columns filename,label.

    In a CSV the label is the fake probability, as in the challenge; an empty cell is no answer.

    Raises:
        UsageError: It cannot be read, or is neither.
    """
    text = read_table_text(path)
    if text.lstrip().startswith("{"):
        return [_from_line(line, f"{path}, line {i}") for i, line in enumerate(text.split("\n"), 1) if line.strip()]
    return [
        Prediction(spreadsheet_name(row[name]), _probability(row[score], f"{path}, line {line}"))
        for name, score, rows in [csv_rows(path, text, _SCORE_COLUMNS)]
        for line, row in rows
    ]


def prediction_of(row: Mapping[str, Any], name: str | None = None) -> Prediction:
    """Return the prediction of a verdict.

    Args:
        row: `unmask.Verdict.to_dict`.
        name: Name of the clip; its path when not given.
    """
    faces = tuple(
        PredictedFace(frame["person"], frame["index"], _side_px(*frame["xyxy_px"]), frame["fake_probability"])
        for frame in row["frames"]
    )
    alone = len(row["models"]) == 1
    return Prediction(
        name=name or row["path"],
        fake_probability=row["fake_probability"],
        label=row["label"],
        faces=faces,
        model_sha256=row["models"][0]["sha256"] if alone else None,
        calibration=Calibration(**row["settings"]["calibration"][0]) if alone else None,
    )


def _side_px(left: float, top: float, right: float, bottom: float) -> float:
    return max(right - left, bottom - top)


def scan_index(scanner: BaseScanner, index: Index) -> Iterator[Prediction]:
    """Scan the labelled clips of a dataset: one prediction each, in the order of the index."""
    clips = [clip for clip in index.clips if clip.label is not None]
    verdicts = scanner.scan_many(str(index.path_of(clip)) for clip in clips)
    for clip, verdict in zip(clips, verdicts, strict=True):
        yield prediction_of(verdict.to_dict(), clip.path)


def read_table_text(path: Path) -> str:
    """Return a table's text; file names that are not UTF-8 keep their bytes as surrogate escapes.

    Raises:
        UsageError: It cannot be read.
    """
    try:
        return path.read_bytes().decode("utf-8", "surrogateescape").removeprefix(BYTE_ORDER_MARK)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}; name a CSV, or JSON lines of scan --json") from error


def csv_rows(
    path: Path, text: str, value_columns: tuple[str, ...]
) -> tuple[str, str, list[tuple[int, dict[str, str]]]]:
    """Return the name of the column of names, that of the values, and the rows with their line numbers.

    Raises:
        UsageError: A column is missing, or a row has too few or too many cells.
    """
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or ()]
        name = next((name for name in NAME_COLUMNS if name in reader.fieldnames), None)
        value = next((value for value in value_columns if value in reader.fieldnames), None)
        if name is None or value is None:
            raise UsageError(
                f"{path} needs a header with {' or '.join(NAME_COLUMNS)}, and {' or '.join(value_columns)}; "
                f"it has {shown(', '.join(reader.fieldnames))}"
            )
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise UsageError(f"{path} is no CSV: {error}") from error
    if uneven := next((line for line, row in rows if None in row or None in row.values()), None):
        raise UsageError(f"{path}, line {uneven}: not as many cells as the header; put a text with a comma in quotes")
    return name, value, rows


def _from_line(line: str, where: str) -> Prediction:
    try:
        return prediction_of(json.loads(line))
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise UsageError(f"{where}: no verdict of unmask scan --json ({type(error).__name__}: {error})") from error


def _probability(cell: str, where: str) -> float | None:
    if not cell.strip():
        return None
    try:
        value = float(cell)
    except ValueError:
        value = float("nan")
    if not 0 <= value <= 1:
        raise UsageError(f"{where}: {shown(cell)} is no fake probability in 0..1; leave it empty where there is none")
    return value
