"""Writing files so that a reader sees the old one or the new one, never half of one."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


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
