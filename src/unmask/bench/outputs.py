"""Write what a benchmark found: one folder with the tables in four forms, all numbers, and every answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unmask._version import __version__
from unmask.bench.measure import Result
from unmask.bench.tables import LONG_COLUMNS, LongRow, Table, latex, long_rows, markdown, result_tables
from unmask.html import render
from unmask.report import write_json
from unmask.report.csv import write_table
from unmask.storage.atomic import write_file

ANSWERS = "predictions.jsonl"
"""Name of the file of `unmask.bench.store.Predictions`."""
COLOURS = ("#2f7ed8", "#c2562f", "#2a9d5c", "#8e5bbf", "#b28a00", "#5b6770")


@dataclass(frozen=True, slots=True)
class Line:
    """The AUC of one model by level."""

    model: str
    """Name of the model."""
    place: int
    """Its place among the models, which picks a colour."""
    points: tuple[tuple[int, float], ...]
    """(place of the level, AUC), where it is known."""


@dataclass(frozen=True, slots=True)
class Curve:
    """How AUC falls as a distortion grows."""

    title: str
    """Dataset and distortion."""
    levels: tuple[str, ...]
    """Names of the levels, the first ``0`` for clips as they are; two or more."""
    lines: tuple[Line, ...]
    """One for each model."""


@dataclass(frozen=True, slots=True)
class Extra:
    """What another part of a benchmark adds to the folder."""

    tables: tuple[Table, ...] = ()
    """Further tables."""
    curves: tuple[Curve, ...] = ()
    """Curves for the page."""
    rows: tuple[LongRow, ...] = ()
    """Further rows of the table for programs."""
    facts: dict[str, Any] = field(default_factory=dict)
    """Further entries of the JSON."""

    def __add__(self, other: Extra) -> Extra:
        """Return both together."""
        return Extra(
            self.tables + other.tables, self.curves + other.curves, self.rows + other.rows, self.facts | other.facts
        )


def write_outputs(results: Sequence[Result], folder: Path, extra: Extra = Extra()) -> list[Table]:
    """Write ``bench.md``, ``bench.tex``, ``bench.csv``, ``bench.json`` and ``index.html``; return the tables."""
    tables = [*result_tables(results), *extra.tables]
    about = f"unmask {__version__}"
    write_file(folder / "bench.md", f"# Benchmark\n\n{about}\n\n{markdown(tables)}".encode("utf-8", "replace"))
    write_file(folder / "bench.tex", f"% {about}\n{latex(tables)}".encode("utf-8", "replace"))
    write_table(LONG_COLUMNS, (*long_rows(results), *extra.rows), folder / "bench.csv")
    facts = {"unmask_bench": 1, "version": __version__, "results": [result.to_dict() for result in results]}
    write_json(facts | extra.facts, folder / "bench.json")
    page = render(
        "unmask.bench",
        "bench.html.j2",
        tables=tables,
        results=results,
        curves=extra.curves,
        models=list(dict.fromkeys(result.model for result in results)),
        datasets=list(dict.fromkeys(result.dataset for result in results)),
        colours=COLOURS,
        version=__version__,
    )
    write_file(folder / "index.html", page)
    return tables
