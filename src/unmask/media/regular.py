"""Open a regular file and hash what it holds."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from unmask.errors import ChangedError, LimitError, UnreadableError

_CHUNK_BYTES = 1 << 20


def sha256_of(file: BufferedReader, check: Callable[[], None] = lambda: None) -> str:
    """Return the hash of an open file's content, in 64 digits.

    Args:
        file: The open file.
        check: Called for each megabyte; what it raises ends the reading.

    Raises:
        UnreadableError: The disk does not give it.
    """
    digest, buffer = hashlib.sha256(), bytearray(_CHUNK_BYTES)
    try:
        file.seek(0)
        while count := file.readinto(buffer):
            check()
            digest.update(memoryview(buffer)[:count])
    except OSError as error:
        raise UnreadableError(f"the disk does not give the file: {error.strerror}") from error
    return digest.hexdigest()


@contextmanager
def hashed(file: BufferedReader, max_bytes: int, check: Callable[[], None] = lambda: None) -> Iterator[str]:
    """Give the hash of an open file to the block, and see afterwards that it still is the file's.

    Args:
        file: The open file.
        max_bytes: Longest file that is read.
        check: See `sha256_of`.

    Raises:
        LimitError: It is longer.
        UnreadableError: The disk does not give it.
        ChangedError: It was changed within the block.
    """
    before = _stamp(file)
    if before[0] > max_bytes:
        raise LimitError(f"the file has {before[0]} bytes; at most {max_bytes} are read, see --limits file=")
    sha256 = sha256_of(file, check)
    yield sha256
    if _stamp(file) != before and sha256_of(file, check) != sha256:
        raise ChangedError("the file was changed while it was read; scan it again once nobody writes to it")


def _stamp(file: BufferedReader) -> tuple[int, int, int]:
    """Return what changes with the content of a file: its length, and when it and its entry were changed."""
    facts = os.fstat(file.fileno())
    return facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns


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
