"""Walk through folders, however deep they are and whatever is in the way.

Unlike the methods of `pathlib.Path`, the questions here have an answer for every name: what is too long, lies in a
folder that is shut, or cannot be a name at all, is no folder, no file and no link.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Tell whether this is a folder, or a link to one."""
    return os.path.isdir(path)  # noqa: PTH112


def is_file(path: str | os.PathLike[str]) -> bool:
    """Tell whether this is a regular file, or a link to one."""
    return os.path.isfile(path)  # noqa: PTH113


def is_link(path: str | os.PathLike[str]) -> bool:
    """Tell whether this is a link."""
    return os.path.islink(path)  # noqa: PTH114


def walk(
    root: str, on_error: Callable[[OSError], object] = lambda _: None, *, follow_links: bool = False
) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield folder, names of its folders, and names of its files, outer folders first; as `os.walk`, without recursion.

    Args:
        root: The folder.
        on_error: Called with the error of a folder that cannot be listed.
        follow_links: Whether folders that are links are walked through.

    Yields:
        Names in any order. Those that the caller takes off the list of folders are not walked through, and the others
        in the order of the list.
    """
    waiting = [root]
    while waiting:
        here = waiting.pop()
        folders: list[str] = []
        files: list[str] = []
        try:
            with os.scandir(here) as entries:
                for entry in entries:
                    (folders if _leads_on(entry) else files).append(entry.name)
        except OSError as error:
            on_error(error)
            continue
        yield here, folders, files
        inner = [os.path.join(here, name) for name in reversed(folders)]  # noqa: PTH118 - bytes outside UTF-8, quickly
        waiting += [path for path in inner if follow_links or not is_link(path)]


def _leads_on(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
