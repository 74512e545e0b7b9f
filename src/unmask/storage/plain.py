"""Open a regular file for reading, and nothing else: a pipe in its place would be waited for without end."""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path


def open_plain(path: str | os.PathLike[str]) -> BufferedReader:
    """Open an existing regular file; links are followed.

    Raises:
        OSError: It is not there, may not be read, or is a pipe, a socket, a device or a folder.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags)  # non-blocking: a pipe without a writer must not be waited for
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "this is no regular file", os.fspath(path))
    return os.fdopen(descriptor, "rb")


def read_plain(path: Path, max_bytes: int) -> bytes:
    """Return what a regular file holds; see `open_plain`.

    Raises:
        OSError: It cannot be read, or is longer than ``max_bytes``.
    """
    with open_plain(path) as file:
        if os.fstat(file.fileno()).st_size > max_bytes:
            raise OSError(errno.EFBIG, f"it has more than {max_bytes} bytes", os.fspath(path))
        return file.read(max_bytes)
