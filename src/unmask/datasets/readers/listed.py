"""Read a folder whose videos are listed by a table in it, such as ``labels.csv`` beside ``videos/``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from unmask.datasets.index import Clip, Fault, Index, register_reader, split_of_name
from unmask.datasets.readers.listing import list_clips
from unmask.errors import UsageError

_SUFFIXES = (".csv", ".tsv")
_MAX_TABLES = 20


@register_reader("listed")
def read_listed(root: Path) -> Index | None:
    """Read the tables of a folder that list clips, and those in its folders of splits: ``test/labels.csv``.

    A table named after a split gives that to its clips. Tables of other things are passed over.
    """
    if not root.is_dir():
        return None
    clips: dict[str, Clip] = {}
    faults: list[Fault] = []
    for table in tables_of(root):
        try:
            found, wrong = list_clips(table, root, split_of_name(table.stem) or split_of_name(table.parent.name))
        except UsageError:
            continue
        clips |= {clip.path: clip for clip in found}
        faults += wrong
    return Index(root, "listed", tuple(clips.values()), tuple(faults)) if clips else None


def tables_of(root: Path) -> Iterator[Path]:
    """Yield the tables in a folder and in its folders of splits."""
    splits = [path for path in sorted(root.iterdir()) if path.is_dir() and split_of_name(path.name)]
    for folder in (root, *splits):
        tables = [path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES and path.is_file()]
        yield from sorted(tables)[:_MAX_TABLES]
