"""Engines: where workers run. All of them give the same lines, since the work is the same."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Protocol

from unmask.scale.child import Hello
from unmask.scale.rows import Ended, Lease, MakeWork
from unmask.scale.worker import WorkerProcess


class Worker(Protocol):
    """Somebody who does leases."""

    def ready(self) -> Hello | None:
        """Return what the worker says of its work; None where it has no place to run yet: ask again.

        Raises:
            UsageError: Its work cannot be loaded.
        """
        ...

    def run(self, lease: Lease) -> Ended | None:
        """Do a lease; None where the worker is gone and nothing is known of what it did.

        Raises:
            UsageError: Its work cannot be loaded.
            OSError: Its parts cannot be written.
        """
        ...

    def close(self) -> None:
        """Give up the worker."""
        ...


class Engine(Protocol):
    """Gives workers."""

    def size(self) -> int:
        """Return how many workers there can be now; the answer may grow while a run goes on."""
        ...

    def worker(self, make_work: MakeWork, parts: Path, stopping: threading.Event) -> Worker:
        """Return a further worker; any thread may call this.

        Args:
            make_work: Loads its work.
            parts: Folder of its parts.
            stopping: Set when the run is to end.
        """
        ...

    def close(self) -> None:
        """Give up what the engine holds."""
        ...


class LocalEngine:
    """Workers that are processes of this machine, one core each."""

    def __init__(self, workers: int, devices: int = 0) -> None:
        """Remember how many.

        Args:
            workers: Processes, at least 1; or, with graphics cards, cores for each of them.
            devices: Graphics cards; one worker each, 0 for none.
        """
        self._workers, self._devices = workers, devices
        self._count, self._lock = 0, threading.Lock()

    def size(self) -> int:
        """Return how many workers there can be."""
        return self._devices or self._workers

    def worker(self, make_work: MakeWork, parts: Path, stopping: threading.Event) -> Worker:
        """Return a further worker."""
        with self._lock:
            number = self._count
            self._count += 1
        environment = {}
        if self._devices:
            environment = {"CUDA_VISIBLE_DEVICES": str(number % self._devices), "UNMASK_CORES": str(self._workers)}
        return _LocalWorker(WorkerProcess(make_work, parts, stopping, environment))

    def close(self) -> None:
        """Do nothing: workers end with their holders."""


class _LocalWorker:
    """A process, held by the calling thread."""

    def __init__(self, process: WorkerProcess) -> None:
        self._process = process

    def ready(self) -> Hello:
        return self._process.start()

    def run(self, lease: Lease) -> Ended:
        return self._process.run(lease)

    def close(self) -> None:
        self._process.close()
