"""Talk goes to stderr, results to stdout; wrong use ends with code 2 and a sentence."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Any, TypeVar

from unmask.errors import UnmaskError

Item = TypeVar("Item")


class ExitCode(IntEnum):
    """What the shell is told."""

    ALL_OK = 0
    WRONG_USE = 2
    SOME_NOT_OK = 3
    NONE_OK = 4
    INTERRUPTED = 130
    TERMINATED = 143


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


def exit_code(statuses: Counter[str]) -> ExitCode:
    """Return what a run with these statuses tells the shell."""
    failed = {status: count for status, count in statuses.items() if status not in ("ok", "ok_partial")}
    if not failed:
        return ExitCode.ALL_OK
    systemic = max(failed.values()) > statuses.total() / 2
    return ExitCode.NONE_OK if systemic or sum(failed.values()) == statuses.total() else ExitCode.SOME_NOT_OK


def tally(rows: Iterator[dict[str, Any]], total: int, what: str, quiet: bool) -> Counter[str]:
    """Count the rows of a resumable run by status, with a bar; an interrupt ends the program and says how to go on."""
    statuses: Counter[str] = Counter()
    try:
        for row in progress(rows, total, what, quiet):
            statuses[row["status"]] += 1
    except KeyboardInterrupt:
        say(f"unmask: interrupted after {statuses.total()} of {total} clips; --resume goes on")
        raise SystemExit(ExitCode.INTERRUPTED) from None
    return statuses


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
    """Show a bar of bytes, on a terminal; the block tells what is there and what there will be, None if unknown."""
    if quiet or not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn(what), BarColumn(), DownloadColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
