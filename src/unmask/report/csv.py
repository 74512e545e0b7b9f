"""Write verdicts as the challenge's CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path

from unmask.storage.atomic import atomic_file
from unmask.types import Verdict

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "'")
"""Beginnings that a spreadsheet takes for a formula, and the apostrophe that stops it from doing so."""

KAGGLE_UNKNOWN = 0.5
"""Fake probability in the challenge's CSV of a video without a verdict. It appears nowhere else in unmask."""


def write_csv(rows: Iterable[tuple[str, float | None]], path: Path) -> int:
    """Write the challenge's table, ``filename,label`` with label = fake probability.

    The form has no room for "no verdict": such rows get 0.5. A name that a spreadsheet would run as a formula gets an
    apostrophe in front, see `spreadsheet_safe`.

    Args:
        rows: Name and fake probability of each video.
        path: The table.

    Returns:
        How many rows were written as 0.5 for want of a verdict.
    """
    unknown = 0
    with atomic_file(path) as file:
        # File names that are not UTF-8 keep their bytes.
        text = io.TextIOWrapper(file, "utf-8", errors="surrogateescape", newline="", write_through=True)
        plain = csv.writer(text, lineterminator="\n")
        quoted = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
        plain.writerow(("filename", "label"))
        for name, probability in rows:
            unknown += probability is None
            name = spreadsheet_safe(name)
            writer = quoted if "\r" in name else plain  # the csv module does not quote a lone CR
            writer.writerow((name, KAGGLE_UNKNOWN if probability is None else probability))
        text.detach()
    return unknown


def spreadsheet_safe(name: str) -> str:
    """Put an apostrophe before a name that begins like a formula, or with one itself; `spreadsheet_name` undoes it."""
    return f"'{name}" if name.startswith(FORMULA_STARTS) else name


def spreadsheet_name(cell: str) -> str:
    """Return the name that `spreadsheet_safe` made a cell of."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(FORMULA_STARTS) else cell


def save_verdict(verdict: Verdict, path: Path) -> None:
    """Write one verdict; `Verdict.save` finds this function by the suffix."""
    write_csv([(Path(verdict.path).name, verdict.to_dict()["fake_probability"])], path)
