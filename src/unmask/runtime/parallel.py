"""Run work in threads of this process: decoders and networks release the interpreter lock, so all cores are busy."""

from __future__ import annotations

import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


CORES_VARIABLE = "UNMASK_CORES"
"""Environment variable: cores that a process takes, at most; workers of a run at scale have it."""


def cores() -> int:
    """Return how many CPU cores this process may use."""
    if (told := os.environ.get(CORES_VARIABLE, "")).isdecimal() and int(told):
        return int(told)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Stopped(Exception):  # noqa: N818 - nothing failed
    """Ends the work on an item whose result is no longer wanted; raised by a function that watches ``stopping``."""


def stop_check(stopping: threading.Event) -> Callable[[], None]:
    """Return a function that raises `Stopped` once the event is set."""

    def check() -> None:
        if stopping.is_set():
            raise Stopped

    return check


@dataclass(frozen=True, slots=True)
class Failure:
    """Stands in for the result of an item whose function raised."""

    error: Exception
    """What it raised."""


def map_items(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    workers: int = 1,
    stopping: threading.Event | None = None,
) -> Iterator[tuple[Item, Result | Failure]]:
    """Yield ``(item, function(item))`` for each item, in the order of the items.

    Args:
        function: Called once for each item, in a worker thread.
        items: Consumed lazily; at most ``4 * workers`` items are under way or waiting to be yielded.
        workers: Number of threads, at least 1.
        stopping: Set when the caller stops early; a long ``function`` should watch it and give up.

    Yields:
        The item and its result, or a `Failure` when the function raised: one bad item never stops the rest.
    """
    source = iter(items)
    pool = ThreadPoolExecutor(max_workers=max(1, workers), thread_name_prefix="unmask")
    running: deque[tuple[Item, Future[Result]]] = deque()
    try:
        for item in islice(source, 4 * max(1, workers)):
            running.append((item, pool.submit(function, item)))
        while running:
            item, future = running.popleft()
            error = future.exception()
            if error is not None and not isinstance(error, Exception):
                raise error
            yield item, Failure(error) if error is not None else future.result()
            for following in islice(source, 1):
                running.append((following, pool.submit(function, following)))
    finally:
        if stopping is not None:
            stopping.set()
        pool.shutdown(wait=True, cancel_futures=True)


def prefetch(items: Iterable[Item], depth: int = 1) -> Iterator[Item]:
    """Produce ``items`` in a thread of its own, at most ``depth`` ahead of their consumer.

    Errors of the producer are raised in the consumer; leaving the loop early stops the producer.
    """
    ahead: queue.Queue[object] = queue.Queue(maxsize=depth)
    stopped = threading.Event()
    thread = threading.Thread(target=_produce, args=(items, ahead, stopped), name="unmask-prefetch", daemon=True)
    thread.start()
    try:
        while (value := ahead.get()) is not _DONE:
            if isinstance(value, _Raised):
                raise value.error
            yield value  # type: ignore[misc]
    finally:
        stopped.set()
        thread.join()


@dataclass(frozen=True, slots=True)
class _Raised:
    """Stands for the end of items whose producer raised."""

    error: BaseException
    """What it raised."""


_DONE = object()
"""Stands for the end of the items."""


def _produce(items: Iterable[Item], ahead: queue.Queue[object], stopped: threading.Event) -> None:
    try:
        for item in items:
            if not _put(item, ahead, stopped):
                return
    except BaseException as error:  # noqa: BLE001 - handed over, whatever it is
        _put(_Raised(error), ahead, stopped)
    else:
        _put(_DONE, ahead, stopped)


def _put(value: object, ahead: queue.Queue[object], stopped: threading.Event) -> bool:
    """Add a value once there is room for it; return False when the consumer has stopped."""
    while not stopped.is_set():
        try:
            ahead.put(value, timeout=0.1)
        except queue.Full:
            continue
        return True
    return False
