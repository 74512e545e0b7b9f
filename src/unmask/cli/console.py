"""Talk goes to stderr, results to stdout; wrong use ends with code 2 and a sentence."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

from unmask.errors import UnmaskError


class ExitCode(IntEnum):
    """What the shell is told."""

    ALL_OK = 0
    WRONG_USE = 2
    SOME_NOT_OK = 3
    NONE_OK = 4
    INTERRUPTED = 130


def say(text: str) -> None:
    """Print a line of talk."""
    print(text, file=sys.stderr)


def printable(path: str) -> str:
    """Return a file name as one safe line: bytes outside UTF-8 and control characters become escapes."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@contextmanager
def wrong_use() -> Iterator[None]:
    """Turn the errors that unmask raises on purpose into a sentence and exit code 2."""
    try:
        yield
    except (UnmaskError, OSError) as error:
        say(f"unmask: {error}")
        raise SystemExit(ExitCode.WRONG_USE) from error
