"""Write comparisons of a suspect with its original as JSON, and as a self-contained HTML page."""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unmask.compared import Comparison
from unmask.report.html import MAX_PAGE_BYTES, axis_times, render_page
from unmask.report.pictures import overlay_png
from unmask.report.words import clock
from unmask.storage.atomic import write_file
from unmask.storage.outputs import FileForm, is_own_page, json_form

JSON = FileForm("the JSON", json_form("schema_version", "outcome", "suspect", "original"), "comparison.json")
"""The form of a comparison as JSON."""
PAGE = FileForm("the page", is_own_page, "comparison.html")
"""The form of a comparison's page."""
_WIDTH, _HEIGHT = 600.0, 90.0
_MARKUP_BYTES = 8_000


@dataclass(frozen=True, slots=True)
class Lines:
    """Two values of one person over time, in plot units: x 0 to 600, y 0 at the top for 1 to 90 for 0."""

    suspect: tuple[tuple[float, float], ...]
    """Of the suspect, or of the face."""
    original: tuple[tuple[float, float], ...]
    """Of the original, or of the frame beside the faces."""
    times: tuple[tuple[float, str], ...]
    """Place and text of each time on the axis."""


def comparison_json(row: Mapping[str, Any]) -> bytes:
    """Return a comparison (`Comparison.to_dict`) as JSON, indented."""
    return json.dumps(row, ensure_ascii=True, indent=1).encode() + b"\n"


def write_comparison_page(row: Mapping[str, Any], path: Path) -> None:
    """Write the page of a comparison (`Comparison.to_dict`, with its pictures and time)."""
    duration = max(row["suspect_media"]["duration_seconds"], 1e-6) if row["suspect_media"] else 1e-6
    values = {
        "row": row,
        "names": {side: _readable(row[side]) for side in ("suspect", "original")},
        "scores": {
            face["person"]: _lines(face, "suspect_probability", "original_probability", duration)
            for face in row["faces"]
        },
        "differences": {
            face["person"]: _lines(face, "difference", "background_difference", duration) for face in row["faces"]
        },
        "command": _repeat_command(row),
        "settings": json.dumps(row["settings"]),
    }
    plain = render_page("comparison.html.j2", **values, shown={})
    shown = _fitting(row["faces"], MAX_PAGE_BYTES - _MARKUP_BYTES - len(plain))
    write_file(path, render_page("comparison.html.j2", **values, shown=shown) if shown else plain)


def save_comparison(comparison: Comparison, path: Path) -> None:
    """Write one comparison; the suffix picks the form."""
    if path.suffix.lower() == ".html":
        write_comparison_page(comparison.to_dict(timing=True, pictures=True), path)
    else:
        write_file(path, comparison_json(comparison.to_dict()))


def _fitting(faces: Sequence[Mapping[str, Any]], max_bytes: int) -> dict[int, dict[str, Any]]:
    """Return the pictures of the people that fit on a page, those of the most different ones first."""
    shown: dict[int, dict[str, Any]] = {}
    for face in faces:
        pairs = [pair | {"overlay_png": _overlay(pair["map_png"])} for pair in face["pictures"]]
        scene = face["scene"] and face["scene"] | {"overlay_png": _overlay(face["scene"]["map_png"])}
        parts = [*pairs, *([scene] if scene else [])]
        max_bytes -= sum(len(part[key]) for part in parts for key in ("suspect_jpeg", "original_jpeg", "overlay_png"))
        if max_bytes < 0:
            break
        if pairs:
            shown[face["person"]] = {"pairs": pairs, "scene": scene}
    return shown


def _overlay(map_png: str) -> str:
    return base64.b64encode(overlay_png(base64.b64decode(map_png))).decode()


def _lines(face: Mapping[str, Any], first: str, second: str, duration_seconds: float) -> Lines:
    def line(key: str) -> tuple[tuple[float, float], ...]:
        return tuple(
            (
                round(min(score["time_seconds"] / duration_seconds, 1) * _WIDTH, 1),
                round((1 - min(max(score[key], 0), 1)) * _HEIGHT, 1),
            )
            for score in face["scores"]
        )

    times = tuple((round(time / duration_seconds * _WIDTH, 1), clock(time)) for time in axis_times(duration_seconds))
    return Lines(line(first), line(second), times)


def _repeat_command(row: Mapping[str, Any]) -> str:
    """Return the command line that compares the files again."""
    words = ["unmask", "compare", _readable(row["suspect"]), _readable(row["original"])]
    names = [model["name"] for model in row["models"]]
    if names != ["bundled"]:
        words += [word for name in names for word in ("--model", name)]
    if "frames" in row["settings"]:
        words += ["--frames", str(row["settings"]["frames"])]
    return shlex.join([*words, "--html", "comparison.html"])


def _readable(path: str) -> str:
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
