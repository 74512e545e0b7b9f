"""Write files and folders so that a reader sees the old one or the new one, never half of one."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

_LEFTOVER = re.compile(r"\.tmp-[0-9a-f]{16}(-old)?|\..+\.[0-9a-f]{16}\.tmp")


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Write a file through a temporary one in the same folder: fsync, then rename.

    When the block raises, or the disk is full, the old file stays as it was. A link stays a link. What lies in
    ``/dev`` or ``/proc``, such as ``/dev/stdout``, is written directly.

    Raises:
        OSError: The folder is missing or read-only, or the disk is full.
    """
    if is_device(path):
        with path.open("ab") as device:
            yield device
        return
    path = path.resolve()
    temporary = path.with_name(f".{path.name[:60]}.{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def is_device(path: Path) -> bool:
    """Tell whether this is something like /dev/stdout, which is written directly and never replaced."""
    special = path.exists() and not (path.is_file() or path.is_dir())
    return special or path.absolute().parts[1:2] in (("dev",), ("proc",))


def write_file(path: Path, content: bytes) -> None:
    """Write a whole file, or leave what was there."""
    with atomic_file(path) as file:
        file.write(content)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Fill a folder through a temporary one beside it, which takes its place when the block is done.

    When the block raises, the old folder stays as it was. `sweep` removes what a killed process leaves behind. The
    files are not forced to the disk one by one: this protects from a killed process, not from a power cut.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with scratch_folder(path.parent) as temporary:
        yield temporary
        old = temporary.with_name(f"{temporary.name}-old")
        if path.exists():
            path.replace(old)
        try:
            temporary.replace(path)
        except OSError:
            if old.exists():
                old.replace(path)
            raise
        shutil.rmtree(old, ignore_errors=True)


@contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """Make an empty folder that is gone after the block, unless it was renamed."""
    folder = parent / f".tmp-{secrets.token_hex(8)}"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep(*folders: Path) -> None:
    """Remove what killed writers left in these folders (not below): only names that this module gives."""
    for folder in folders:
        for path in folder.iterdir() if folder.is_dir() else ():
            if _LEFTOVER.fullmatch(path.name):
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
