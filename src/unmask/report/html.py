"""Write verdicts as self-contained HTML: no script, no request, and a file's name is text alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from unmask.html import render
from unmask.storage.atomic import write_file
from unmask.types import Verdict

_PLOT_WIDTH, _PLOT_HEIGHT = 600.0, 90.0


def write_page(row: Mapping[str, Any], path: Path) -> None:
    """Write the report of one verdict (`Verdict.to_dict`)."""
    plots = {face["person"]: _plot(row, face["person"]) for face in row["faces"]}
    page = render("unmask.report", "verdict.html.j2", row=row, name=_readable(row["path"]), plots=plots)
    write_file(path, page)


def write_index(rows: Iterable[Mapping[str, Any]], folder: Path) -> None:
    """Write one page for each verdict into ``folder``, and ``index.html`` that lists them."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for number, row in enumerate(rows, 1):
        file = f"{number:06d}.html"  # a number: the name of a video is no safe name for a page
        write_page(row, folder / file)
        line = {key: row[key] for key in ("label", "status", "fake_probability", "reasons")}
        entries.append({"row": line, "name": _readable(row["path"]), "file": file})
    write_file(folder / "index.html", render("unmask.report", "index.html.j2", entries=entries))


def _plot(row: Mapping[str, Any], person: int) -> list[dict[str, float]]:
    """Return one person's frame scores as dots in plot units: x by time, y 0 at the top for fake."""
    duration = max(row["media"]["duration_seconds"], 1e-6)
    return [
        {
            "x": round(min(frame["time_seconds"] / duration, 1) * _PLOT_WIDTH, 1),
            "y": round((1 - frame["fake_probability"]) * _PLOT_HEIGHT, 1),
            "time": frame["time_seconds"],
            "p": frame["fake_probability"],
        }
        for frame in row["frames"]
        if frame["person"] == person
    ]


def _readable(path: str) -> str:
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def save_verdict(verdict: Verdict, path: Path) -> None:
    """Write one verdict; `Verdict.save` finds this function by the suffix."""
    write_page(verdict.to_dict(), path)
