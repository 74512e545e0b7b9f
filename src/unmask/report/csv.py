"""Write tables as CSV, first of all the challenge's."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import BinaryIO

from unmask.storage.atomic import atomic_file
from unmask.storage.outputs import FileForm, table_form
from unmask.types import Verdict

COLUMNS = ("filename", "label")
"""Header of the challenge's table."""
TABLE = FileForm("the table", table_form(COLUMNS, ("label",)), "verdicts.csv")
"""The form of the challenge's table."""

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "'")
"""Beginnings that a spreadsheet takes for a formula, or drops, and the apostrophe that stops it from doing so. The
signs count in their wide forms as well, and behind blanks."""

KAGGLE_UNKNOWN = 0.5
"""Fake probability in the challenge's CSV of a video without a verdict. It appears nowhere else in unmask."""


Target = Path | BinaryIO
"""A file that is written whole or not at all, or an open stream such as stdout."""


def write_csv(rows: Iterable[tuple[str, float | None]], target: Target) -> int:
    """Write the challenge's table, ``filename,label`` with label = fake probability.

    The form has no room for "no verdict": such rows get 0.5.

    Args:
        rows: Name and fake probability of each video.
        target: The table.

    Returns:
        How many rows were written as 0.5 for want of a verdict.
    """
    unknown = 0

    def cells() -> Iterator[tuple[str, float]]:
        nonlocal unknown
        for name, probability in rows:
            unknown += probability is None
            yield name, KAGGLE_UNKNOWN if probability is None else probability

    write_table(COLUMNS, cells(), target)
    return unknown


def write_table(header: Sequence[str], rows: Iterable[Sequence[str | float]], target: Target) -> None:
    """Write a CSV in UTF-8.

    A text that a spreadsheet would run as a formula gets an apostrophe in front, see `spreadsheet_safe`. File names
    that are not UTF-8 keep their bytes.
    """
    with atomic_file(target) if isinstance(target, Path) else nullcontext(target) as file:
        text = io.TextIOWrapper(file, "utf-8", errors="surrogateescape", newline="", write_through=True)
        plain = csv.writer(text, lineterminator="\n")
        quoted = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
        plain.writerow(header)
        for row in rows:
            cells = [spreadsheet_safe(cell) if isinstance(cell, str) else cell for cell in row]
            # The module does not see that a lone CR needs quotes.
            (quoted if any(isinstance(cell, str) and "\r" in cell for cell in cells) else plain).writerow(cells)
        text.detach()


def spreadsheet_safe(name: str) -> str:
    """Put an apostrophe before a name that begins like a formula, or with one itself; `spreadsheet_name` undoes it."""
    return f"'{name}" if _is_formula(name) else name


def spreadsheet_name(cell: str) -> str:
    """Return the name that `spreadsheet_safe` made a cell of."""
    return cell[1:] if cell.startswith("'") and _is_formula(cell[1:]) else cell


def _is_formula(text: str) -> bool:
    if text.startswith(FORMULA_STARTS):
        return True
    seen = next((letter for letter in text if letter.isprintable() and not letter.isspace()), "")
    return unicodedata.normalize("NFKC", seen).startswith(FORMULA_STARTS[:4])


def save_verdict(verdict: Verdict, path: Path) -> None:
    """Write one verdict; `Verdict.save` finds this function by the suffix."""
    write_csv([(Path(verdict.path).name, verdict.to_dict()["fake_probability"])], path)
