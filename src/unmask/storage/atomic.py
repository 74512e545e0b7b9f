"""Write files and folders so that a reader sees the old one or the new one, never half of one."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import re
import secrets
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from unmask.errors import DISK_FAULTS

_LEFTOVER = re.compile(r"\.tmp-[0-9a-f]{16}(-old)?(\..+)?|\..+\.[0-9a-f]{16}\.tmp")
_TAGGED = len(".tmp-") + 16
"""Length of the name of a temporary folder, without what it is for."""
_MAX_NAME_BYTES = 100
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Write a file through a temporary one in the same folder: fsync, then rename.

    When the block raises, or the disk is full, the old file stays as it was. A link stays a link. What lies in
    ``/dev`` or ``/proc``, such as ``/dev/stdout``, is written directly. The new file may be read by whom the old one
    might be.

    Raises:
        OSError: The folder is missing or read-only, or the disk is full.
    """
    if is_device(path):
        with path.open("ab") as device:
            yield device
        return
    path = path.resolve()
    temporary = path.with_name(f".{short_name(path)}.{secrets.token_hex(8)}.tmp")
    try:
        with _naming(path), temporary.open("xb") as file:
            keep_mode(path, temporary)
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def short_name(path: Path) -> str:
    """Return the name of a file, made short where others are to be named after it; different names stay different."""
    name = os.fsencode(path.name)
    if len(name) <= _MAX_NAME_BYTES:
        return path.name
    digest = hashlib.sha256(name).hexdigest()[:16]
    return name[: _MAX_NAME_BYTES - 17].decode(errors="ignore") + f"-{digest}"


def keep_mode(old: Path, new: Path) -> None:
    """Let the same people read a new file, before anything is written to it."""
    with suppress(OSError):  # there is no old one, or the file system knows no such thing
        new.chmod(stat.S_IMODE(old.stat().st_mode))


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

    When the block raises, the old folder stays as it was. What a killed process leaves goes by `sweep` and
    `sweep_beside`. The files are not forced to the disk one by one: this protects from a killed process, not from a
    power cut. On Linux the folders change places in one step; elsewhere there is a moment without either, and the old
    one is called ``-old``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _naming(path), scratch_folder(path.parent, f".{short_name(path)}") as temporary:
        yield temporary
        keep_mode(path, temporary)
        if path.exists() and _exchange(temporary, path):
            return  # the old one goes with the block
        old = temporary.with_name(temporary.name[:_TAGGED] + "-old" + temporary.name[_TAGGED:])
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
def _naming(path: Path) -> Iterator[None]:
    """Let the error of a disk that takes no more say which output it struck: that of a write names no file."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno == errno.EIO:
            error.filename = os.fspath(path)
        raise


def is_output_fault(error: BaseException, folder: Path) -> bool:
    """Tell whether something went wrong with the disk that a folder of outputs lies on, so that going on is no use."""
    if not isinstance(error, OSError):
        return False
    named = error.filename if isinstance(error.filename, str) else ""
    return (
        error.errno in DISK_FAULTS or Path(named).is_relative_to(folder.resolve()) or Path(named).is_relative_to(folder)
    )


def _exchange(one: Path, other: Path) -> bool:
    """Let two folders change places in one step; return whether the system can."""
    rename = getattr(ctypes.CDLL(None), "renameat2", None) if sys.platform == "linux" else None
    names = os.fsencode(one), os.fsencode(other)
    return rename is not None and rename(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0


@contextmanager
def scratch_folder(parent: Path, of: str = "") -> Iterator[Path]:
    """Make an empty folder that is gone after the block, unless it was renamed; its name ends with ``of``."""
    folder = parent / f".tmp-{secrets.token_hex(8)}{of}"
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


def sweep_beside(path: Path) -> None:
    """Remove what killed writers of a file or folder left beside it; nobody else may be writing it.

    A folder that was to be replaced when its writer was killed has its place again.
    """
    name = re.escape(short_name(path))
    mine = re.compile(rf"\.{name}\.[0-9a-f]{{16}}\.tmp|\.tmp-[0-9a-f]{{16}}(-old)?\.{name}")
    with suppress(OSError):
        for left in path.parent.iterdir():
            if not (found := mine.fullmatch(left.name)):
                continue
            if found[1] and not path.exists():
                left.replace(path)
            elif left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)
