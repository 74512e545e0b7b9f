"""Open a regular file and hash what it holds."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from io import BufferedReader
from pathlib import Path

from unmask.errors import UnreadableError


def sha256_of(file: BufferedReader) -> str:
    """Return the hash of an open file's content, in 64 digits."""
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()


def open_regular(path: str | os.PathLike[str], below: str | None = None) -> BufferedReader:
    """Open an existing regular file for reading; pipes, devices, sockets and folders are refused.

    Args:
        path: The file.
        below: A folder that it lies in; from there on no link is followed, not even one that is made meanwhile. None
            follows links.

    Raises:
        UnreadableError: No such file, no permission, empty, a link, or not a regular file.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    try:  # non-blocking: a FIFO without a writer must not hang the scan
        descriptor = os.open(path, flags) if below is None else _open_below(below, path, flags)
    except (OSError, ValueError) as error:
        if below is not None and getattr(error, "errno", None) == errno.ELOOP:
            raise UnreadableError(
                "this is a link, and links in a folder are not followed; name the file itself, or use --follow-links"
            ) from error
        raise UnreadableError(f"cannot open the file: {getattr(error, 'strerror', None) or error}") from error
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode) or facts.st_size == 0:
        os.close(descriptor)
        what = "the file is empty" if stat.S_ISREG(facts.st_mode) else "this is not a regular file"
        raise UnreadableError(f"{what}; name a video file")
    return os.fdopen(descriptor, "rb")


def _open_below(folder: str, path: str | os.PathLike[str], flags: int) -> int:
    """Open a file part by part, each within the folder that was opened before, none of them a link."""
    *parts, name = Path(path).relative_to(folder).parts
    if os.open not in os.supports_dir_fd:  # Windows
        steps = [Path(folder, *parts[:count]) for count in range(1, len(parts) + 1)]
        if any(step.is_symlink() for step in (*steps, Path(path))):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        return os.open(path, flags)
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in parts:
            outer, at = at, os.open(part, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=at)
            os.close(outer)
        return os.open(name, flags | os.O_NOFOLLOW, dir_fd=at)
    finally:
        os.close(at)
