"""Read a CSV that lists clips: any dataset, described by its user."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from unmask.datasets.index import (
    Clip,
    ClipLabel,
    Fault,
    Index,
    check_originals,
    clip_id,
    name_problem,
    parse_label,
    register_reader,
)
from unmask.datasets.readers.text import BYTE_ORDER_MARK, read_text, shown
from unmask.errors import UsageError

_PATH_COLUMNS = ("path", "file", "filename", "video")


@register_reader("csv")
def read_listing(table: Path) -> Index | None:
    """Read a CSV with a header; paths are relative to its folder.

    Columns: ``path`` (or ``file``, ``filename``, ``video``), ``label`` (real, fake, 0, 1; empty when unknown), and
    where known ``original`` (a path or file name out of the list), ``method``, ``compression``, ``person`` (several
    with ``;`` between), ``part``, ``split``.

    Raises:
        UsageError: A column is missing.
    """
    if not table.is_file() or table.suffix.lower() != ".csv":
        return None
    rows, faults = _rows(table, table.name)
    root = table.parent
    clips: list[Clip] = []
    lines: dict[str, str] = {}
    for line, row in rows:
        path = Path(row["path"]).as_posix()
        problem = _row_problem(root, path, row)
        if problem:
            faults.append(Fault(table.name, f"line {line}", problem))
            continue
        lines[path] = f"line {line}"
        people = tuple(sorted(name for part in row.get("person", "").split(";") if (name := part.strip())))
        part = row.get("part", "")
        clips.append(
            Clip(
                clip_id(path), path, parse_label(row["label"]), row.get("original") or None, row.get("method") or None,
                row.get("compression") or None, people, int(part) if part else None, row.get("split") or None,
            )
        )  # fmt: skip
    clips = _resolve_originals(clips)
    usable, wrong = check_originals(clips, lambda clip: (table.name, lines[clip.path]))
    return Index(root, "csv", tuple(usable), (*faults, *wrong))


def read_labels(table: Path, where: str) -> tuple[dict[str, ClipLabel | None], list[Fault]]:
    """Read a table ``filename,label`` into a dictionary, and what is wrong with it.

    Raises:
        UsageError: A column is missing.
    """
    rows, faults = _rows(table, where)
    labels: dict[str, ClipLabel | None] = {}
    for line, row in rows:
        labels[row["path"]] = parse_label(row["label"])
        if labels[row["path"]] is None:
            faults.append(
                Fault(
                    where,
                    f"line {line}",
                    f"label {shown(row['label'])} is not 0 or 1; kept without a label; correct it",
                )
            )
    return labels, faults


def _rows(table: Path, where: str) -> tuple[list[tuple[int, dict[str, str]]], list[Fault]]:
    """Return the usable rows with their line numbers, the path column named ``path``, and what is wrong with others."""
    rows = _all_rows(table)
    usable = [(line, {key: (cell or "").strip() for key, cell in row.items()}) for line, row in rows if None not in row]
    times = Counter(row["path"] for _, row in usable)
    faults = [
        Fault(where, f"line {line}", "more cells than columns; set aside; put a text with a comma in quotes")
        for line, row in rows
        if None in row
    ]
    faults += [
        Fault(where, f"line {line}", f"{shown(row['path'])} is listed {times[row['path']]} times; set aside; keep one")
        for line, row in usable
        if times[row["path"]] > 1
    ]
    return [(line, row) for line, row in usable if times[row["path"]] == 1], faults


def _all_rows(table: Path) -> list[tuple[int, dict[str, str]]]:
    try:
        reader = csv.DictReader(io.StringIO(read_text(table).removeprefix(BYTE_ORDER_MARK), newline=""), strict=True)
        header = [name.strip().lower() for name in reader.fieldnames or ()]
        named = next((name for name in _PATH_COLUMNS if name in header), None)
        if named is None or "label" not in header:
            raise UsageError(f"{table} needs a header with the columns {' or '.join(_PATH_COLUMNS)}, and label")
        if len(set(header)) < len(header):
            raise UsageError(f"{table} has two columns of one name; rename one")
        reader.fieldnames = ["path" if name == named else name for name in header]
        return [(reader.line_num, row) for row in reader]
    except (ValueError, csv.Error) as error:
        raise UsageError(f"{table} is no CSV in UTF-8: {error}") from error


def _row_problem(root: Path, path: str, row: dict[str, str]) -> str | None:
    if problem := name_problem(path):
        return problem
    if row["label"] and parse_label(row["label"]) is None:
        return f"label {shown(row['label'])} is not real, fake, 0 or 1; set aside; correct it"
    part = row.get("part", "")
    if part and not (part.isdecimal() and len(part) < 7):
        return f"part {shown(part)} is no number; set aside; correct it"
    try:
        if row["path"] and (root / path).is_file():
            return None
    except OSError:  # a name longer than the file system takes
        pass
    return f"the file {shown(path)} is not there; set aside; fetch it again"


def _resolve_originals(clips: Iterable[Clip]) -> list[Clip]:
    """Turn each original, given as a path or a file name, into the id of the clip it means."""
    clips = list(clips)
    by_path = {clip.path: clip.id for clip in clips}
    names = Counter(Path(clip.path).name for clip in clips)
    by_name = {Path(clip.path).name: clip.id for clip in clips if names[Path(clip.path).name] == 1}

    def find(original: str) -> str:
        return by_path.get(Path(original).as_posix()) or by_name.get(original) or clip_id(original)

    found = [clip if clip.original is None else replace(clip, original=find(clip.original)) for clip in clips]
    # The challenge winner's tables name each real clip as its own original.
    return [replace(c, original=None) if c.label == "real" and c.original == c.id else c for c in found]
