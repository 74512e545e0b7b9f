"""What runs in a worker's process: it loads a work, takes leases from its holder, and answers row by row.

It ends when its holder does: the end of the connection ends it, whatever it is about.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing.connection import Connection

from unmask.errors import UnmaskError
from unmask.scale.rows import Answer, Lease, MakeWork, Work, short


@dataclass(frozen=True, slots=True)
class Hello:
    """The first message of a worker that is ready."""

    settings_hash: str
    """Of its work."""
    width: int
    """Rows that it has under way at a time."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The first message of a worker whose work cannot be loaded."""

    reason: str
    """Why, and what to do."""


@dataclass(frozen=True, slots=True)
class Done:
    """The message about a row."""

    place: int
    """Which row of the lease."""
    answer: Answer
    """What came of it."""
    cpu_seconds: float
    """CPU time of the worker so far."""


def main() -> None:
    """Serve the connection whose descriptor is the first argument."""
    connection = Connection(int(sys.argv[1]))
    make: MakeWork = connection.recv()
    try:
        work = make()
    except UnmaskError as error:
        connection.send(Refusal(str(error)))
        return
    connection.send(Hello(work.settings_hash, work.width))
    for lease in _leases(connection):
        try:
            for done in _answers(work, lease):
                connection.send(done)
        except OSError:  # nobody waits any more
            os._exit(0)


def _leases(connection: Connection) -> Iterator[Lease]:
    """Yield the leases; a thread waits for them, so that the end of the connection ends a long row, too."""
    waiting: queue.SimpleQueue[Lease] = queue.SimpleQueue()

    def receive() -> None:
        try:
            while True:
                waiting.put(connection.recv())
        except (EOFError, OSError):
            os._exit(0)

    threading.Thread(target=receive, daemon=True).start()
    while True:
        yield waiting.get()


def _answers(work: Work, lease: Lease) -> Iterator[Done]:
    """Yield what comes of each row, in any order."""
    if lease.crash:
        for place, row in enumerate(lease.rows):
            yield Done(place, work.crashed(row, lease.crash), work.cpu_seconds())
    elif work.width == 1:
        made: dict[int | None, set[str]] = defaultdict(set)
        for place, (row, known) in enumerate(zip(lease.rows, lease.known, strict=True)):
            size_bytes = row.comparable_bytes
            answer = work(row, known | made[size_bytes] if made[size_bytes] else known)
            if answer.line and answer.is_final and size_bytes is not None:
                made[size_bytes].add(short(answer.sha256))
            yield Done(place, answer, work.cpu_seconds())
    else:
        with ThreadPoolExecutor(work.width) as pool:
            under_way = {
                pool.submit(work, row, known): place
                for place, (row, known) in enumerate(zip(lease.rows, lease.known, strict=True))
            }
            for future in as_completed(under_way):
                yield Done(under_way[future], future.result(), work.cpu_seconds())
