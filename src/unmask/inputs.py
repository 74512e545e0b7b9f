"""Which files a scan is about."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

# fmt: off
VIDEO_SUFFIXES = frozenset({
    ".3gp", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".ogv",
    ".ts", ".webm", ".wmv",
})
# fmt: on
"""Files of a folder with another suffix are passed over; a file that is named is always taken."""


@dataclass(frozen=True, slots=True)
class Input:
    """One file to scan."""

    path: str
    """As it is opened."""
    name: str
    """As a table shows it: relative to the folder that was named; the whole path where that is ambiguous."""


def list_inputs(paths: Iterable[str | os.PathLike[str]], *, recursive: bool = False) -> list[Input]:
    """Expand files and folders to files, in the order named, each folder's sorted by name.

    Args:
        paths: Files, which need not exist (their rows will say so), and folders.
        recursive: Also look into the folders of folders.
    """
    found = [item for path in paths for item in _expand(os.fspath(path), recursive)]
    times = Counter(item.name for item in found)
    return [item if times[item.name] == 1 else Input(item.path, item.path) for item in found]


def _expand(path: str, recursive: bool) -> Iterator[Input]:
    if not path or not Path(path).is_dir():
        yield Input(path, Path(path).name or path)
        return
    closed: list[OSError] = []
    for folder, folders, files in os.walk(path, onerror=closed.append):
        folders.sort()
        for file in sorted(files):
            if Path(file).suffix.lower() in VIDEO_SUFFIXES:
                whole = Path(folder, file)
                yield Input(str(whole), str(whole.relative_to(path)))
        if not recursive:
            break
    for error in closed:  # a folder that cannot be read gets a row that says so
        yield Input(str(error.filename), str(error.filename))
