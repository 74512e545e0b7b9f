"""Write verdicts as self-contained HTML: no script, no request, and a file's name is text alone."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from unmask.html import render
from unmask.report.pictures import fitting_pictures
from unmask.report.repeat import repeat_command
from unmask.report.words import clock, probability_text, spans_text
from unmask.storage.atomic import atomic_folder, write_file
from unmask.storage.outputs import FileForm, FolderForm, is_own_page
from unmask.types import Verdict

PAGE = FileForm("the page", is_own_page, "report.html")
"""The form of one verdict's page."""
PAGES = FolderForm("the report", (("index.html", is_own_page),), ("index.html", "[0-9]" * 6 + ".html"), "report")
"""The form of a folder of pages."""
_PAGE, _LEFT = re.compile(r"index\.html|[0-9]{6}\.html"), re.compile(r"\.(index|[0-9]{6})\.html\.[0-9a-f]{16}\.tmp")
"""Names of what is written into a folder, and of what a killed run leaves there."""
TICKS = 8
"""How many times an axis shows at most."""
MAX_LISTED = 80
"""Scores of single frames that stand on the page at once; more are folded away, on the screen."""
NOTEBOOK_PEOPLE = 3
"""People whom a notebook shows, at most: the most suspicious."""
MAX_PAGE_BYTES = 250_000
"""Length of a page: crops and frames are left out beyond it, and so are portraits and plots of people in a crowd."""

_MAX_PLOT_BYTES, _DOT_BYTES, _STRIP_MARKUP_BYTES = 150_000, 200, 6_000
_PLOT_WIDTH, _PLOT_HEIGHT = 600.0, 90.0
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800)


@dataclass(frozen=True, slots=True)
class Dot:
    """One frame score in a plot."""

    x: float
    """Place by time, 0 to 600."""
    y: float
    """Place by fake probability, 0 at the top for 1, 90 for 0."""
    time_seconds: float
    """Seconds since the first frame."""
    fake_probability: float
    """0 real to 1 fake."""
    in_strip: bool = False
    """Whether the frame's crop is shown."""


@dataclass(frozen=True, slots=True)
class Plot:
    """The scores of one person over time, in plot units."""

    dots: tuple[Dot, ...]
    """One for each frame, in order of time."""
    times: tuple[tuple[float, str], ...]
    """Place and text of each time on the axis."""
    real_y: float
    """Place of the threshold below which a person is called real."""
    fake_y: float
    """Place of the threshold above which a person is called fake."""
    passage: tuple[float, float] | None = None
    """Place and width of the passage that decided; None where all frames did."""

    @property
    def lowest(self) -> float:
        """The lowest score."""
        return min(dot.fake_probability for dot in self.dots)

    @property
    def highest(self) -> Dot:
        """The dot with the highest score, the first of equals."""
        return max(self.dots, key=lambda dot: dot.fake_probability)


def write_page(row: Mapping[str, Any], path: Path) -> None:
    """Write the report of one verdict (`Verdict.to_dict`)."""
    plots = {face["person"]: plot for face in row["faces"] if (plot := make_plot(row, face["person"])) is not None}
    values = {
        "row": row,
        "name": _readable(row["path"]),
        "plots": _fitting_plots(row, plots),
        "max_listed": MAX_LISTED,
        "has_passage": any(plot.passage for plot in plots.values()),
        "command": repeat_command(row),
        "settings": json.dumps(row["settings"]),
    }
    plain = render_page("verdict.html.j2", **values, **_shown({}, 0))
    shown = fitting_pictures(row, MAX_PAGE_BYTES - _STRIP_MARKUP_BYTES - len(plain))
    write_file(path, render_page("verdict.html.j2", **values, **_shown(*shown)) if any(shown) else plain)


def _shown(pictures: Mapping[int, Mapping[str, Any]], left_out: int) -> dict[str, Any]:
    has_maps = any(sighting["overlay_png"] for each in pictures.values() for sighting in each["strip"])
    return {"pictures": pictures, "left_out": left_out, "has_maps": has_maps}


def _fitting_plots(row: Mapping[str, Any], plots: Mapping[int, Plot]) -> dict[int, Plot]:
    """Return the plots of the most suspicious people: in a crowd, the others have a line of text."""
    shown, room = {}, _MAX_PLOT_BYTES
    for face in row["faces"]:
        plot = plots.get(face["person"])
        room -= len(face["thumbnail_jpeg"]) + (_DOT_BYTES * len(plot.dots) if plot else 0)
        if room < 0:
            break
        if plot is not None:
            shown[face["person"]] = plot
    return shown


def notebook(verdict: Verdict) -> str:
    """Return a verdict as a part of a page, as notebooks show it: the first `NOTEBOOK_PEOPLE` people at most."""
    row = verdict.to_dict(pictures=True)
    people = [face["person"] for face in row["faces"][:NOTEBOOK_PEOPLE]]
    plots = {person: plot for person in people if (plot := make_plot(row, person)) is not None}
    pictures, _ = fitting_pictures(row, MAX_PAGE_BYTES)
    values = {"row": row, "name": _readable(row["path"]), "plots": plots, "max_listed": MAX_LISTED}
    return render_page("notebook.html.j2", **values, **_shown(pictures, 0)).decode()


def write_index(rows: Iterable[Mapping[str, Any]], folder: Path) -> None:
    """Write one page for each verdict into ``folder``, and ``index.html`` that lists them.

    A reader sees the old report or the new one. Where somebody keeps other files in the folder these stay, and the
    pages are replaced one by one; those of an earlier run about other videos are removed.
    """
    folder = folder.resolve()
    if all(_is_ours(path) for path in (folder.iterdir() if folder.is_dir() else ())):
        with atomic_folder(folder) as temporary:
            _write_pages(rows, temporary)
    else:
        _write_pages(rows, folder)


def _is_ours(path: Path) -> bool:
    return bool(_LEFT.fullmatch(path.name) or (_PAGE.fullmatch(path.name) and is_own_page(path)))


def _write_pages(rows: Iterable[Mapping[str, Any]], folder: Path) -> None:
    entries: list[dict[str, Any]] = []
    for number, row in enumerate(rows, 1):
        file = f"{number:06d}.html"  # a number: the name of a video is no safe name for a page
        write_page(row, folder / file)
        line = {key: row[key] for key in ("label", "status", "fake_probability", "reasons")}
        entries.append({"row": line, "name": _readable(row["path"]), "file": file})
    counts = Counter(entry["row"]["label"] or entry["row"]["status"] for entry in entries)
    write_file(folder / "index.html", render_page("index.html.j2", entries=entries, counts=counts.most_common()))
    for page in folder.glob(PAGES.writes[1]):
        if int(page.stem) > len(entries) and is_own_page(page):
            page.unlink()


def make_plot(row: Mapping[str, Any], person: int) -> Plot | None:
    """Return the plot of one person's frame scores, None where there are none."""
    duration = max(row["media"]["duration_seconds"], 1e-6) if row["media"] else 1e-6
    strip = {
        sighting["time_seconds"]
        for each in row.get("pictures", ())
        if each["person"] == person
        for sighting in each["strip"]
    }
    dots = tuple(
        Dot(
            x=round(min(frame["time_seconds"] / duration, 1) * _PLOT_WIDTH, 1),
            y=_height(frame["fake_probability"]),
            time_seconds=frame["time_seconds"],
            fake_probability=frame["fake_probability"],
            in_strip=frame["time_seconds"] in strip,
        )
        for frame in row["frames"]
        if frame["person"] == person
    )
    if not dots:
        return None
    thresholds = row["settings"]["thresholds"]
    times = tuple((round(time / duration * _PLOT_WIDTH, 1), clock(time)) for time in axis_times(duration))
    band = _band(next((face["passage"] for face in row["faces"] if face["person"] == person), None), duration)
    return Plot(dots, times, _height(thresholds["real_below"]), _height(thresholds["fake_above"]), band)


def render_page(template: str, **values: Any) -> bytes:
    """Render a template of this package with what all of them use: the time of writing, ``score`` and ``clock``."""
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return render(
        "unmask.report", template, written=now, score=probability_text, clock=clock, spans=spans_text, **values
    )


def _band(passage: Mapping[str, Any] | None, duration_seconds: float) -> tuple[float, float] | None:
    """Return place and width of a passage in a plot, at least as wide as a dot."""
    if passage is None:
        return None
    start, end = (min(passage[key] / duration_seconds, 1) * _PLOT_WIDTH for key in ("start_seconds", "end_seconds"))
    return round(start - 3, 1), round(end - start + 6, 1)


def _height(probability: float) -> float:
    return round((1 - probability) * _PLOT_HEIGHT, 1)


def axis_times(duration_seconds: float) -> Iterator[float]:
    """Yield round times from 0 on, at most `TICKS` of them."""
    step = next(
        (step for step in _STEPS if duration_seconds / step < TICKS), 3600 * math.ceil(duration_seconds / 28800)
    )
    return (number * step for number in range(int(duration_seconds / step) + 1))


def _readable(path: str) -> str:
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def save_verdict(verdict: Verdict, path: Path) -> None:
    """Write one verdict; `Verdict.save` finds this function by the suffix."""
    write_page(verdict.to_dict(timing=True, pictures=True), path)
