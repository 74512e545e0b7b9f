"""Talk to the user: messages go to stderr, results to stdout; wrong use ends with code 2 and a sentence."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import IntEnum
from types import FrameType
from typing import TypeVar

from unmask.errors import UnmaskError

Item = TypeVar("Item")

GRACE_SECONDS = 8.0
"""An interrupted command that has not ended by then is cut off; what is written survives that, as it does a kill."""

_CURES = {
    errno.ENOSPC: "the disk is full: make room, or name another place",
    errno.EDQUOT: "your share of the disk is full: make room, or name another place",
    errno.EROFS: "nothing can be written there: name another place",
    errno.EACCES: "nothing may be written there: name another place, or change its permissions",
    errno.ENOENT: "it is not there, or was removed meanwhile: make it, or name another place",
}
"""Number of a system error -> what to do about it, shown after its message."""


EXTRAS = {
    "data": ("pyarrow",),
    "train": ("torch", "torchvision", "timm", "safetensors", "onnxscript", "tensorboard"),
    "int8": ("nncf",),
    "ray": ("ray",),
    "s3": ("fsspec", "s3fs"),
    "hf": ("huggingface_hub",),
    "serve": ("fastapi", "uvicorn", "python_multipart", "psycopg"),
    "mcp": ("mcp", "httpx"),
}
"""Name of an extra -> the packages that it installs, which the base install lacks."""


class ExitCode(IntEnum):
    """The exit code of a command."""

    ALL_OK = 0
    WRONG_USE = 2
    SOME_NOT_OK = 3
    NONE_OK = 4
    OTHER_FOOTAGE = 5
    """Of ``unmask compare``: the suspect is not the same footage as the original."""
    INTERRUPTED = 130
    STDOUT_CLOSED = 141
    """What a shell reports of a program that writes to a closed pipe, as in ``unmask scan ... | head -1``."""
    TERMINATED = 143


def say(text: str) -> None:
    """Print a message; what a file, a server or a model says in it is text alone, and moves no cursor."""
    print("\n".join(map(printable, text.split("\n"))), file=sys.stderr)


def printable(path: str) -> str:
    """Return a file name as one safe line: bytes outside UTF-8 and control characters become escapes."""
    text = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@contextmanager
def wrong_use() -> Iterator[None]:
    """Turn the errors that unmask raises on purpose into a sentence and exit code 2."""
    try:
        yield
    except BrokenPipeError:
        give_up_stdout()
        raise SystemExit(ExitCode.STDOUT_CLOSED) from None
    except ModuleNotFoundError as error:
        cure = missing_package(error.name or "")
        if cure is None:
            raise
        say(f"unmask: {cure}")
        raise SystemExit(ExitCode.WRONG_USE) from None
    except (UnmaskError, OSError) as error:
        cure = _CURES.get(error.errno or 0) if isinstance(error, OSError) else None
        say(f"unmask: {error}; {cure}" if cure else f"unmask: {error}")
        raise SystemExit(ExitCode.WRONG_USE) from error


def missing_package(module: str) -> str | None:
    """Say how to install the package that a module is from; None where it is no optional one."""
    package = module.partition(".")[0]
    extra = next((extra for extra, names in EXTRAS.items() if package in names), None)
    return extra and f"this needs {package}, which is not installed; run: pip install 'unmask[{extra}]'"


def flush_stdout() -> None:
    """Write what is left for stdout, or drop it where nobody reads it any more."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        give_up_stdout()


def give_up_stdout() -> None:
    """Let what is written to stdout from now on go nowhere: whoever read it, as head does, has left."""
    with suppress(OSError, ValueError):  # a stream that is no file
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


@contextmanager
def interruptible(how_to_go_on: str) -> Iterator[None]:
    """Let SIGINT and SIGTERM end the block and the program within `GRACE_SECONDS`, with exit code 130 or 143.

    Threads are waited for, so that files are whole and decoders gone; one that does not end, such as one that reads
    from a disk that hangs, is not waited for any longer. A second signal ends the program at once.

    Args:
        how_to_go_on: How to continue, shown after "interrupted".
    """
    codes = [ExitCode.INTERRUPTED]

    def cut_off() -> None:
        say(f"unmask: interrupted; {how_to_go_on}")
        os._exit(codes[-1])

    def interrupt(number: int, _: FrameType | None) -> None:
        codes.append(ExitCode(128 + number))
        for each in heeded:
            signal.signal(each, signal.SIG_DFL)
        watch = threading.Timer(GRACE_SECONDS, cut_off)
        watch.daemon = True  # not cancelled: what follows the block may hang as well
        watch.start()
        raise KeyboardInterrupt

    # A program in the background, or under nohup, may have been told to ignore one of them.
    heeded = [each for each in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(each) != signal.SIG_IGN]
    before = {each: signal.signal(each, interrupt) for each in heeded}
    try:
        yield
    except KeyboardInterrupt:
        say(f"unmask: interrupted; {how_to_go_on}")
        raise SystemExit(codes[-1]) from None
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def exit_code(statuses: Counter[str]) -> ExitCode:
    """Return the exit code of a run with these statuses."""
    failed = {status: count for status, count in statuses.items() if status not in ("ok", "ok_partial")}
    if not failed:
        return ExitCode.ALL_OK
    systemic = max(failed.values()) > statuses.total() / 2
    return ExitCode.NONE_OK if systemic or sum(failed.values()) == statuses.total() else ExitCode.SOME_NOT_OK


def tally(statuses: Iterator[str], total: int, what: str, quiet: bool) -> Counter[str]:
    """Count the statuses of a run's clips as they come, behind a progress bar."""
    return Counter(progress(statuses, total, what, quiet))


def progress(items: Iterator[Item], total: int, what: str, quiet: bool) -> Iterator[Item]:
    """Show a bar with the time left, on a terminal and for more than one item."""
    if quiet or total == 1 or not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    # With stdout on the same terminal the rows scroll above the bar; redirected, they go where they were sent.
    shared = sys.stdout.isatty()
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=shared) as bar:
        yield from bar.track(items, total=total)


@contextmanager
def byte_progress(what: str, quiet: bool) -> Iterator[Callable[[int, int | None], None]]:
    """Show a bar of bytes, on a terminal; the block calls it with the bytes done and the total, None if unknown."""
    if quiet or not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn(what), BarColumn(), DownloadColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
