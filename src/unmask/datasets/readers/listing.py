"""Read a table that lists clips: any dataset, described by its user."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable
from contextlib import suppress
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
from unmask.datasets.readers.text import shown
from unmask.datasets.tables import NAME_COLUMNS, column_of, read_table
from unmask.errors import UsageError
from unmask.storage.content import VIDEO_SUFFIXES

_VIDEO_FOLDERS = ("videos", "video", "clips", "data")
"""Folders in which files may lie whose names a table gives without it."""
_COLUMNS = (*NAME_COLUMNS, "label", "original", "method", "compression", "person", "part", "split", "mask")


@register_reader("csv")
def read_listing(table: Path) -> Index | None:
    """Read a table with a header, see `unmask.datasets.tables.read_table`; paths are relative to its folder.

    Columns: ``path`` (or another of `NAME_COLUMNS`; the suffix may be left out where one video has that name),
    ``label`` (real, fake, 0, 1, and other usual words; empty when unknown), and where known ``original`` (a path or
    file name out of the list), ``method``, ``compression``, ``person`` (several with ``;`` between), ``part``,
    ``split``, ``mask`` (a video or folder, see `unmask.datasets.index.Clip.mask`).

    Raises:
        UsageError: It is no table, a column is missing, or none of its files is there.
    """
    if not table.is_file():
        return None
    clips, faults = list_clips(table, table.parent)
    return Index(table.parent, "csv", tuple(clips), tuple(faults))


def list_clips(table: Path, root: Path, split: str | None = None) -> tuple[list[Clip], list[Fault]]:
    """Return the clips that a table lists, see `read_listing`, and what is wrong with others.

    Args:
        table: The table; its paths start from its folder, or from a folder of videos in that.
        root: Folder that the clips' paths are relative to.
        split: Split of clips whose row names none.

    Raises:
        UsageError: It is no table, a column is missing, or none of its files is there.
    """
    where = table.relative_to(root).as_posix()
    rows, faults = _rows(table, where)
    find, prefix = _Finder(table.parent), table.parent.relative_to(root)
    clips: list[Clip] = []
    places: dict[str, str] = {}
    missing: list[str] = []
    for place, row in rows:
        found = find(row["path"])
        path = None if found is None else (prefix / found).as_posix()
        problem = _row_problem(path or row["path"], row)
        if problem is None and path is None:
            missing.append(row["path"])
            problem = f"the file {shown(row['path'])} is not there; set aside; fetch it again"
        if problem is not None or path is None:
            faults.append(Fault(where, place, problem or ""))
            continue
        places[path] = place
        people = tuple(sorted(name for part in row.get("person", "").split(";") if (name := part.strip())))
        part = row.get("part", "")
        clips.append(
            Clip(
                clip_id(path), path, parse_label(row["label"]), row.get("original") or None, row.get("method") or None,
                row.get("compression") or None, people, int(part) if part else None, row.get("split") or split,
                (prefix / row["mask"]).as_posix() if row.get("mask") else None,
            )
        )  # fmt: skip
    if len(missing) > 1 and len(missing) == len(rows):
        raise UsageError(
            f"{table} lists {len(missing)} files, and none of them is there, e.g. {shown(missing[0])}; paths start "
            f"from the table's folder, {table.parent}: move the table, or correct the paths"
        )
    clips = _resolve_originals(clips)
    usable, wrong = check_originals(clips, lambda clip: (where, places[clip.path]))
    return list(usable), [*faults, *wrong]


def read_labels(table: Path, where: str) -> tuple[dict[str, ClipLabel | None], list[Fault]]:
    """Read a table ``filename,label`` into a dictionary, and what is wrong with it.

    Raises:
        UsageError: It is no table, or a column is missing.
    """
    rows, faults = _rows(table, where)
    labels: dict[str, ClipLabel | None] = {}
    for place, row in rows:
        labels[row["path"]] = parse_label(row["label"])
        if labels[row["path"]] is None:
            text = f"label {shown(row['label'])} is neither real nor fake; kept without a label; correct it"
            faults.append(Fault(where, place, text))
    return labels, faults


class _Finder:
    """Finds the files that a table names, also in a folder of videos beside it, or without their suffix."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folders = [Path(name) for name in ("", *_VIDEO_FOLDERS) if (root / name).is_dir()]
        self._stems: dict[Path, dict[str, list[str]]] = {}

    def __call__(self, name: str) -> str | None:
        """Return the path of a file relative to the table's folder, None where it is not there."""
        if "/" not in name and not os.path.exists(self._root / name):  # noqa: PTH110 - Path.exists raises for long names
            name = name.replace("\\", "/")
        return next((found for folder in self._folders if (found := self._find(folder, name))), None)

    def _find(self, folder: Path, name: str) -> str | None:
        path = folder / name
        try:
            if name and (self._root / path).is_file():
                return path.as_posix()
        except (OSError, ValueError):  # a name longer than the file system takes, or one that none can have
            return None
        found = self._videos(path.parent).get(path.name, []) if name else []
        return (path.parent / found[0]).as_posix() if len(found) == 1 else None

    def _videos(self, folder: Path) -> dict[str, list[str]]:
        if folder not in self._stems:
            stems: dict[str, list[str]] = defaultdict(list)
            with suppress(OSError):
                for file in (self._root / folder).iterdir():
                    if file.suffix.lower() in VIDEO_SUFFIXES:
                        stems[file.stem].append(file.name)
            self._stems[folder] = stems
        return self._stems[folder]


def _rows(table: Path, where: str) -> tuple[list[tuple[str, dict[str, str]]], list[Fault]]:
    """Return the usable rows with their places, the path column named ``path``, and what is wrong with others.

    Rows that say the same of a clip count once; of rows that contradict each other none counts.
    """
    content = read_table(table, _COLUMNS)
    named = column_of(content, NAME_COLUMNS, table)
    column_of(content, ("label",), table)
    faults, by_path = list[Fault](), dict[str, list[tuple[str, dict[str, str]]]]()
    for row in content.rows:
        if row.surplus > 0:
            text = "more cells than columns; set aside; put a text that holds the separator in quotes"
            faults.append(Fault(where, row.place, text))
            continue
        cells = {"path" if key == named else key: cell for key, cell in row.cells.items()}
        by_path.setdefault(cells["path"], []).append((row.place, cells))
    usable = []
    for path, rows in by_path.items():
        alike = all(cells == rows[0][1] for _, cells in rows)
        if alike:
            usable.append(rows[0])
        what = "alike; counted once" if alike else "with different contents; set aside; keep one"
        for place, _ in (rows[1:] if alike else rows) if len(rows) > 1 else ():
            faults.append(Fault(where, place, f"{shown(path)} is listed {len(rows)} times, {what}"))
    return usable, faults


def _row_problem(path: str, row: dict[str, str]) -> str | None:
    if problem := name_problem(path):
        return problem
    if row["label"] and parse_label(row["label"]) is None:
        return f"label {shown(row['label'])} is neither real nor fake; set aside; correct it"
    part = row.get("part", "")
    if part and not (part.isdecimal() and len(part) < 7):
        return f"part {shown(part)} is no number; set aside; correct it"
    return f"mask {shown(row['mask'])}: {problem}" if (problem := name_problem(row.get("mask", ""))) else None


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
