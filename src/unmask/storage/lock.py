"""Let one run at a time write an output. The system frees a lock with its process, so a killed run blocks no other."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedRandom, FileIO
from pathlib import Path
from typing import BinaryIO

from unmask.errors import UsageError
from unmask.storage.atomic import short_name, sweep_beside

log = logging.getLogger(__name__)

_FAR_BYTE = (1 << 31) - 2  # Windows forbids others to read a locked byte, so one is locked that no file has


@contextmanager
def sole_writer(output: Path) -> Iterator[None]:
    """Hold an output, which need not exist, for the length of the block, through a hidden file beside it.

    Raises:
        UsageError: Another run holds it, or nothing can be written beside it.
    """
    output = output.resolve()
    beside = output.with_name(f".{short_name(output)}.lock")
    with lock_file(beside, output):
        sweep_beside(output)
        try:
            yield
        finally:
            with suppress(OSError):  # while it is held, so that no other run's is removed
                beside.unlink()


def lock_file(path: Path, output: Path | None = None) -> BinaryIO:
    """Open or create a file for reading and writing, and lock it until it is closed.

    Args:
        path: The file.
        output: The output that it stands for, named in messages; None for the file itself.

    Raises:
        UsageError: Another run holds it, or it cannot be written.
    """
    output = output or path
    while True:
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
        try:
            file = _LockedFile(FileIO(os.open(path, flags, 0o666), "r+b"))
        except OSError as error:
            raise UsageError(f"cannot write {output}: {error.strerror}; mend that, or name another output") from error
        try:
            _lock(file)
            if os.fstat(file.fileno()).st_ino == path.stat().st_ino:
                return file
            file.close()  # the run that held it has just replaced it
        except FileNotFoundError:
            file.close()  # or deleted it
        except (BlockingIOError, PermissionError) as error:
            file.close()
            raise UsageError(f"another run is writing {output}; wait for it, or name another output") from error


class _LockedFile(BufferedRandom):
    """A file that frees its lock when it is closed, even where a process that is just being started has it, too."""

    def close(self) -> None:
        """Write what is left, free the lock and close the file."""
        try:
            if not self.closed and sys.platform != "win32":
                import fcntl

                self.flush()
                with suppress(OSError):  # this file system knows no locks
                    fcntl.flock(self, fcntl.LOCK_UN)
        finally:
            super().close()


def _lock(file: BinaryIO) -> None:
    """Lock an open file, or raise BlockingIOError (on Windows PermissionError) where another run holds it."""
    if sys.platform == "win32":
        import msvcrt

        file.seek(_FAR_BYTE)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        file.seek(0)
        return
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError as error:  # some network file systems
        log.warning("this file system knows no locks (%s); see that no other run writes %s", error.strerror, file.name)
