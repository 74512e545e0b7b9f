"""Get the prediction for each clip: read from a table, from JSON verdicts, or scanned on the spot."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from unmask.datasets import Index
from unmask.datasets.readers.text import shown
from unmask.datasets.tables import NAME_COLUMNS, Table, column_of, decode_text, read_bytes, read_table
from unmask.errors import UsageError
from unmask.models.card import Calibration
from unmask.report.csv import spreadsheet_name
from unmask.scan.inputs import clip_input
from unmask.types import FaceQuality, Label

if TYPE_CHECKING:
    from unmask.scan.base import BaseScanner

_CALIBRATION: TypeAdapter[Calibration] = TypeAdapter(Calibration)
_SCORE_COLUMNS = ("fake_probability", "label")


_CALIBRATION = TypeAdapter(Calibration)


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
    quality: FaceQuality | None = None
    """How well the face can be seen; None when unknown."""


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
    """Read predictions: verdicts of ``unmask scan --json``, or a table with the columns filename,label.

    In a table, see `unmask.datasets.tables.read_table`, the label is the fake probability, as in the challenge, unless
    there is a column ``fake_probability``; an empty cell is no answer.

    Raises:
        UsageError: It cannot be read, or is neither.
    """
    verdicts = _verdict_rows(decode_text(read_bytes(path), path))
    if verdicts is not None:
        return [_from_verdict(row, f"{path}, {place}") for place, row in verdicts]
    table = read_table(path, (*NAME_COLUMNS, *_SCORE_COLUMNS))
    name, score = column_of(table, NAME_COLUMNS, path), column_of(table, _SCORE_COLUMNS, path)
    require_even(table, path)
    comma = table.separator == ";"  # where it separates cells, a comma may be the decimal point
    return [
        Prediction(spreadsheet_name(row.cells[name]), _probability(row.cells[score], comma, f"{path}, {row.place}"))
        for row in table.rows
    ]


def without_repeats(predictions: Sequence[Prediction]) -> tuple[list[Prediction], int]:
    """Count a prediction that is listed more than once as one.

    Returns:
        The predictions, each name once, and how many were left out.

    Raises:
        UsageError: Two predictions about one file differ.
    """
    first: dict[tuple[str, ...], Prediction] = {}
    for item in predictions:
        known = first.setdefault(PurePosixPath(item.name.replace("\\", "/")).parts, item)
        if (known.fake_probability, known.label) != (item.fake_probability, item.label):
            raise UsageError(
                f"{shown(item.name)} is predicted more than once, as {known.fake_probability} and as "
                f"{item.fake_probability}; keep one"
            )
    return list(first.values()), len(predictions) - len(first)


def prediction_of(row: Mapping[str, Any], name: str | None = None) -> Prediction:
    """Return the prediction of a verdict.

    Args:
        row: `unmask.Verdict.to_dict`.
        name: Name of the clip; its path when not given.
    """
    faces = tuple(
        PredictedFace(
            frame["person"],
            frame["index"],
            _side_px(*frame["xyxy_px"]),
            frame["fake_probability"],
            FaceQuality(**quality) if (quality := frame.get("quality")) else None,
        )
        for frame in row["frames"]
    )
    alone = len(row["models"]) == 1
    return Prediction(
        name=name or row["path"],
        fake_probability=row["fake_probability"],
        label=row["label"],
        faces=faces,
        model_sha256=row["models"][0]["sha256"] if alone else None,
        calibration=_CALIBRATION.validate_python(row["settings"]["calibration"][0]) if alone else None,
    )


def _side_px(left: float, top: float, right: float, bottom: float) -> float:
    return max(right - left, bottom - top)


def scan_index(scanner: BaseScanner, index: Index) -> Iterator[Prediction]:
    """Scan the labelled clips of a dataset: one prediction each, in the order of the index."""
    clips = [clip for clip in index.clips if clip.label is not None]
    verdicts = scanner.scan_many(clip_input(index.path_of(clip)) for clip in clips)
    for clip, verdict in zip(clips, verdicts, strict=True):
        yield prediction_of(verdict.to_dict(), clip.path)


def require_even(table: Table, path: Path) -> None:
    """Refuse a table in which a row has too few or too many cells.

    Raises:
        UsageError: One has; the message says where.
    """
    if uneven := next((row for row in table.rows if not row.even), None):
        raise UsageError(
            f"{path}, {uneven.place}: not as many cells as the header; put a text that holds the separator in quotes"
        )


def _verdict_rows(text: str) -> list[tuple[str, Any]] | None:
    """Return the verdicts of a JSON text with their places; None where it is a table, in JSON or not."""
    start = text.lstrip()[:1]
    whole = _parsed(text)
    if start == "[":
        items = whole if isinstance(whole, list) else []
        verdicts = any(isinstance(item, dict) and "frames" in item for item in items)
        return [(f"item {i}", item) for i, item in enumerate(items, 1)] if verdicts else None
    if start != "{":
        return None
    if isinstance(whole, dict) and "frames" in whole:
        return [("line 1", whole)]
    lines = [(f"line {i}", _parsed(line)) for i, line in enumerate(text.split("\n"), 1) if line.strip()]
    first = whole if isinstance(whole, dict) else lines[0][1]
    return lines if not isinstance(first, dict) or "frames" in first or not _is_table_row(first) else None


def _is_table_row(item: Mapping[str, Any]) -> bool:
    """Tell whether an object is a row of a table, or a table of numbers by file name."""
    keys = {key.strip().lower() for key in item}
    named = not keys.isdisjoint(NAME_COLUMNS)
    if named:
        return not keys.isdisjoint(_SCORE_COLUMNS)
    return all(value is None or isinstance(value, (int, float, dict)) for value in item.values())


def _parsed(text: str) -> Any:
    """Return what a JSON text means, None where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _from_verdict(row: Any, where: str) -> Prediction:
    try:
        return prediction_of(row)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise UsageError(f"{where}: no verdict of unmask scan --json ({type(error).__name__}: {error})") from error


def _probability(cell: str, comma: bool, where: str) -> float | None:
    if not cell:
        return None
    try:
        value = float(cell.replace(",", ".") if comma else cell)
    except ValueError:
        value = float("nan")
    if not 0 <= value <= 1:
        raise UsageError(f"{where}: {shown(cell)} is no fake probability in 0..1; leave it empty where there is none")
    return value
