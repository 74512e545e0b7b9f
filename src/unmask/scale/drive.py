"""Drive a run: start workers, hand out leases, commit what comes back, until every row has an answer."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from unmask.errors import UsageError
from unmask.runtime.parallel import Stopped
from unmask.scale.child import Hello
from unmask.scale.engines import Engine, Worker
from unmask.scale.lease import Leases
from unmask.scale.meters import Meters
from unmask.scale.parts import CommitLog
from unmask.scale.rows import Ended, Lease, MakeWork

LOOK_SECONDS = 1.0
"""How often a driver looks whether there are more workers, and a worker whether it has a place."""


class Driver:
    """Leads the workers of one run, a thread each."""

    def __init__(self, engine: Engine, make_work: MakeWork, parts: Path, meters: Meters) -> None:
        """Remember what to work with; nothing starts before `settings_hash` or `run`.

        Args:
            engine: Gives the workers; closed with the driver.
            make_work: Loads the work in a worker.
            parts: Where the parts go.
            meters: Count what happens.
        """
        self._engine, self._make_work, self._parts, self._meters = engine, make_work, parts, meters
        self._stopping = threading.Event()
        self._first: Worker | None = None
        self._settings = ""
        self._errors: list[BaseException] = []

    def settings_hash(self) -> str:
        """Start a worker, and return the hash of the settings of its work.

        Raises:
            UsageError: The work cannot be loaded.
        """
        if self._first is None:
            self._first = self._new_worker()
            while (hello := self._first.ready()) is None:
                time.sleep(LOOK_SECONDS)
            self._settings = hello.settings_hash
        return self._settings

    def run(self, leases: Leases, log: CommitLog) -> None:
        """Do all rows; what is done is committed, however this ends.

        Args:
            leases: The rows.
            log: Takes the commits.

        Raises:
            UsageError: A worker cannot load its work, or has other settings than the first.
            OSError: Parts or commits cannot be written.
        """
        self.settings_hash()
        threads: list[threading.Thread] = []
        try:
            while not self._errors:
                size = 0 if leases.over else self._engine.size()
                leases.workers = self._meters.workers = max(len(threads), size, 1)
                for _ in range(len(threads), size):
                    worker, self._first = self._first, None
                    threads.append(threading.Thread(target=self._serve, args=(leases, log, worker), daemon=True))
                    threads[-1].start()
                self._meters.show(leases)
                for thread in threads:
                    thread.join(LOOK_SECONDS / len(threads))
                if not any(thread.is_alive() for thread in threads):
                    break
        finally:
            leases.stop()
            if any(thread.is_alive() for thread in threads):
                self._stopping.set()
            for thread in threads:
                thread.join()
            self._meters.show(leases, at_once=True)
        if self._errors:
            raise self._errors[0]

    def close(self) -> None:
        """Give up the worker that was started for its settings alone, and the engine."""
        self._stopping.set()
        if self._first is not None:
            self._first.close()
        self._engine.close()

    def _serve(self, leases: Leases, log: CommitLog, worker: Worker | None) -> None:
        """Lead one worker until no row is left for it."""
        worker = worker or self._new_worker()
        try:
            while (hello := self._hello(worker, leases)) and (lease := leases.take(hello.width)) is not None:
                self._settle(lease, worker.run(lease), leases, log)
        except Stopped:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again by `run`
            self._errors.append(error)
            self._stopping.set()
        finally:
            worker.close()

    def _new_worker(self) -> Worker:
        return self._engine.worker(self._make_work, self._parts, self._stopping)

    def _hello(self, worker: Worker, leases: Leases) -> Hello | None:
        """Wait until a worker has a place; no lease is given to one that may never have one, which is None."""
        while (hello := worker.ready()) is None:
            if leases.over or self._stopping.wait(LOOK_SECONDS):
                return None
        if hello.settings_hash != self._settings:
            raise UsageError(
                f"workers do not agree: one has the settings {hello.settings_hash}, another {self._settings}; let all "
                "machines have the same unmask and models, and name what they choose for themselves, e.g. --precision"
            )
        return hello

    def _settle(self, lease: Lease, ended: Ended | None, leases: Leases, log: CommitLog) -> None:
        """Commit what came of a lease, and take back the rest."""
        if ended is None:  # the holder is gone; what it wrote is there
            commits = tuple(log.adopt(lease.id))
            answered = {row[0] for commit in commits for row in commit["rows"]}
            missing = tuple(place for place, row in enumerate(lease.rows) if row.id.hex() not in answered)
            ended = Ended(commits, missing, lost=True)
        else:
            for commit in ended.commits:
                log.append(commit)
        leases.end(lease, ended)
        self._meters.count(ended)
