"""Writing files and folders so that a reader sees the old one or the new one, never half of one."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

TEMPORARY_FOLDER = ".tmp-"


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Write a file through a temporary one in the same folder: fsync, then rename.

    When the block raises, or the disk is full, the old file stays as it was. A link stays a link. What lies in
    ``/dev`` or ``/proc``, such as ``/dev/stdout``, is written directly.

    Raises:
        OSError: The folder is missing or read-only, or the disk is full.
    """
    if path.absolute().parts[1:2] in (("dev",), ("proc",)) or (path.exists() and not path.is_file()):
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


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Fill a folder through a temporary one beside it, which takes its place when the block is done.

    When the block raises, the old folder stays as it was. What a killed process leaves behind begins with
    `TEMPORARY_FOLDER`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{TEMPORARY_FOLDER}{secrets.token_hex(8)}")
    temporary.mkdir()
    try:
        yield temporary
        if path.exists():
            old = temporary.with_name(temporary.name + "-old")
            path.replace(old)
            temporary.replace(path)
            shutil.rmtree(old)
        else:
            temporary.replace(path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
