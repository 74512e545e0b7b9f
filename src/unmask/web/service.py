"""What the service does: takes jobs in, has them fetched and scanned, keeps and deletes them."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar
from urllib.parse import urlsplit

from unmask.errors import DownloadError, UnmaskError, UsageError
from unmask.net.address import check_address
from unmask.web.database import open_database
from unmask.web.events import Board
from unmask.web.fetching import fetch_file
from unmask.web.files import DataFolder
from unmask.web.jobs import Job, failure
from unmask.web.names import clean_name
from unmask.web.progress import Progress
from unmask.web.scanning import ResultLostError, ScannerFailedError, ScanProcess, ScanProcessDiedError
from unmask.web.settings import ServeSettings
from unmask.web.store import LEASE_SECONDS, Search, Store
from unmask.web.upload import Incoming
from unmask.web.views import JobList, JobView, job_view

log = logging.getLogger(__name__)

FETCHES = 2
"""Addresses that are fetched at a time."""
MAX_ATTEMPTS = 3
"""Scans of one job that may bring the scanning process down; then the job has failed."""
IDLE_SECONDS = 5.0
"""Longest wait of a worker before it looks for a job whose lease has run out."""
FULL_DISK_SECONDS = 10.0
"""Wait before a job is tried again whose result the disk could not take."""
PAUSE_SECONDS = 2.0
"""Wait after something failed that nobody foresaw."""
FORGET_SECONDS = 600.0
"""Time between two looks for jobs that are too old."""
STOP_SECONDS = 3.0
"""Longest wait for what is under way to end, when the service stops."""
READY_SECONDS = 60.0
"""Longest wait of a client for the model to be loaded."""

Result = TypeVar("Result")


class QueueFullError(UnmaskError):
    """There are as many jobs as there may be."""


class NotReadyError(UnmaskError):
    """The model is not loaded yet."""


class Service:
    """One running service. All methods are called in one event loop."""

    def __init__(self, settings: ServeSettings) -> None:
        """Open data folder and database.

        Raises:
            UsageError: Another service holds the folder, or the database cannot be reached.
        """
        self.settings = settings
        self.files = DataFolder(settings.data)
        try:
            self.store = Store(open_database(settings.database, self.files.root))
        except BaseException as error:
            self.files.close()
            if isinstance(error, sqlite3.Error):
                raise UsageError(
                    f"the database in {self.files.root} cannot be used: {error}; make room there"
                ) from error
            raise
        self.board = Board()
        self.scans = ScanProcess(settings, self._on_progress)
        self.ready = asyncio.Event()
        self.failure: str | None = None
        """Why the service cannot go on; None while it can."""
        self.on_failure: Callable[[], None] = lambda: None
        """Called when it cannot."""
        self.finished = {"done": 0, "failed": 0}
        """Jobs that were finished since the start."""
        self._progress = Progress()
        self._changed = asyncio.Condition()
        self._files_lock = asyncio.Lock()  # around "row and file": no file without a row, no row without its file
        self._telling = asyncio.Lock()  # nobody hears of an older state after a newer one
        self._stopping = threading.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._slots = asyncio.Semaphore(1)
        self._one_alone = asyncio.Lock()
        self._threads = ThreadPoolExecutor(FETCHES, thread_name_prefix="unmask-fetch")

    async def start(self) -> None:
        """Begin to work; the model is loaded meanwhile."""
        await self._run_in_thread(self.files.sweep, self.store.keys())
        self._tasks.append(asyncio.create_task(self._load()))

    async def _load(self) -> None:
        try:
            await self.scans.start()
        except (ScannerFailedError, ScanProcessDiedError) as error:
            self.failure = str(error)
            self.ready.set()  # who waits for it need not wait any longer
            self.on_failure()
            return
        await self._run_in_thread(self.store.take_over, self.scans.settings_hash)
        self._slots = asyncio.Semaphore(self.scans.slots)
        steps = [self._scan_next] * self.scans.slots + [self._fetch_next] * FETCHES
        steps += [self._renew_leases, self._forget_old]
        self._tasks += [asyncio.create_task(self._repeat(step)) for step in steps]
        self.ready.set()

    async def stop(self) -> None:
        """Stop within seconds; what is under way goes back into the queue."""
        self._stopping.set()
        self.board.close()
        for task in self._tasks:
            task.cancel()
        await self.scans.stop()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=STOP_SECONDS)
        await self._run_in_thread(self._threads.shutdown)
        try:
            if self.scans.settings_hash:
                self.store.take_over(self.scans.settings_hash)
            self.files.sweep(self.store.keys())
        except Exception as error:  # noqa: BLE001 - a full disk, a database that is gone: the next start does it
            log.warning("the queue is left as it is, and taken over at the next start: %s", error)
        finally:
            self.store.close()
            self.files.close()

    # Taking in

    async def submit(self, incoming: Incoming) -> tuple[Job, bool]:
        """Add a file that came in, or return the job that has the same content; and whether it was known.

        Raises:
            QueueFullError: There are too many jobs.
            NotReadyError: The model takes too long to load.
        """
        await self._wait_ready()
        async with self._files_lock:
            settings_hash, sha256 = self.scans.settings_hash, incoming.sha256
            same = await self._run_in_thread(lambda: self.store.find_same(settings_hash, sha256=sha256))
            await self._run_in_thread(self.files.keep, incoming.path, sha256)
            if same is not None:
                return same, True
            job = None
            try:
                job = await self._run_in_thread(
                    lambda: self.store.submit(
                        incoming.name, settings_hash, self.settings.queue_limit, sha256=sha256,
                        size_bytes=incoming.size_bytes,
                    )
                )  # fmt: skip
            finally:
                if job is None:
                    await self._remove_unused(sha256, settings_hash)
            if job is None:
                raise QueueFullError(self._full())
        await self._tell(job.id)
        return job, False

    async def submit_address(self, url: str) -> tuple[Job, bool]:
        """Add an address to be fetched, or return the unfinished job of it; and whether it was known.

        Raises:
            UsageError: It is no https address.
            QueueFullError: There are too many jobs.
            NotReadyError: The model takes too long to load.
        """
        if not url.isprintable():
            raise UsageError("the address has characters that no address has")
        check_address(url, loopback=False)
        await self._wait_ready()
        async with self._files_lock:
            settings_hash = self.scans.settings_hash
            same = await self._run_in_thread(lambda: self.store.find_same(settings_hash, url=url))
            if same is not None:
                return same, True
            name = clean_name(urlsplit(url).path.rpartition("/")[2] or urlsplit(url).hostname or "address")
            job = await self._run_in_thread(
                lambda: self.store.submit(
                    name, settings_hash, self.settings.queue_limit, sha256=None, size_bytes=None, url=url
                )
            )
            if job is None:
                raise QueueFullError(self._full())
        await self._tell(job.id)
        return job, False

    def _full(self) -> str:
        return f"{self.settings.queue_limit} jobs are waiting, and there is no room for more; try again in a while"

    async def _wait_ready(self) -> None:
        try:
            async with asyncio.timeout(READY_SECONDS):
                await self.ready.wait()
        except TimeoutError:
            raise NotReadyError("the model is still being loaded; try again in a while") from None
        if self.failure is not None:
            raise NotReadyError(f"the service cannot go on: {self.failure}")

    # Looking at, changing, deleting

    async def get(self, job_id: str) -> Job | None:
        """Return a job, None where there is none."""
        return await self._run_in_thread(self.store.get, job_id)

    async def view(self, job: Job) -> JobView:
        """Return what clients see of a job."""
        waiting = await self._run_in_thread(self.store.waiting) if job.state == "queued" else []
        return self._view(job, waiting)

    async def list_jobs(self, search: Search, page: int, per_page: int) -> JobList:
        """Return one page of the history, counted from 1."""
        jobs, total = await self._run_in_thread(self.store.list_jobs, search, per_page, (page - 1) * per_page)
        waiting = await self._run_in_thread(self.store.waiting)
        return JobList(jobs=[self._view(job, waiting) for job in jobs], total=total, page=page, per_page=per_page)

    async def review(self, job_id: str, label: str | None, note: str) -> Job | None:
        """Write the analyst's verdict and note; None where there is no such job."""
        job = await self._run_in_thread(self.store.review, job_id, label, note)
        if job is not None:
            await self._tell(job.id)
        return job

    async def delete(self, job_id: str) -> bool:
        """Delete a job, and its files unless another job needs them; return whether there was one."""
        async with self._files_lock:
            job = await self._run_in_thread(self.store.delete, job_id)
            if job is not None and job.sha256 is not None:
                await self._remove_unused(job.sha256, job.settings_hash)
        self._progress.forget(job_id)
        if job is not None:
            self.board.publish("deleted", {"id": job_id})
        return job is not None

    async def _remove_unused(self, sha256: str, settings_hash: str) -> None:
        def remove() -> None:
            if not self.store.is_used(sha256):
                self.files.remove_media(sha256)
            if not self.store.is_used(sha256, settings_hash):
                self.files.remove_result(f"{sha256}-{settings_hash}")

        await self._run_in_thread(remove)

    def _view(self, job: Job, waiting: list[str]) -> JobView:
        share, left = self._progress.of(job.id)
        position = waiting.index(job.id) + 1 if job.id in waiting else None
        return job_view(job, share, left, position)

    async def _tell(self, job_id: str) -> None:
        async with self._telling:
            if (job := await self.get(job_id)) is not None:
                self.board.publish("job", (await self.view(job)).model_dump())
        async with self._changed:
            self._changed.notify_all()

    def _on_progress(self, job_id: str, decoded: int, asked: int) -> None:
        self._progress.note(job_id, decoded, asked)
        share, left = self._progress.of(job_id)
        self.board.publish("progress", {"id": job_id, "state": "running", "progress": share, "seconds_left": left})

    # Fetching and scanning

    async def _repeat(self, step: Callable[[], Awaitable[None]]) -> None:
        """Take a step again and again; when one fails, as while the database is away, the next one comes later."""
        while not self._stopping.is_set():
            try:
                await step()
            except Exception:
                log.exception("the service goes on in %g seconds", PAUSE_SECONDS)
                await asyncio.sleep(PAUSE_SECONDS)

    async def _scan_next(self) -> None:
        if (job := await self._run_in_thread(self.store.lease, "queued")) is None:
            await self._wait_for_change()
        else:
            await self._guarded(self._scan(job), job)

    async def _fetch_next(self) -> None:
        if (job := await self._run_in_thread(self.store.lease, "fetching")) is None:
            await self._wait_for_change()
        else:
            await self._guarded(self._fetch(job), job)

    async def _guarded(self, work: Awaitable[None], job: Job) -> None:
        """Do what is to be done for a job; what nobody foresaw fails the job, not the service."""
        self._progress.begin(job.id)
        try:
            await work
        except Exception as error:
            log.exception("job %s failed", job.id)
            await self._finish(job, failure("internal_error", f"unmask failed, not the file: {type(error).__name__}"))
        finally:
            self._progress.forget(job.id)

    async def _scan(self, job: Job) -> None:
        assert job.sha256 is not None
        assert job.key is not None
        if (same := await self._run_in_thread(self.store.find_answer, job)) is not None:
            await self._finish(job, {name: getattr(same, name) for name in failure("", "")})
            return
        if job.attempts > MAX_ATTEMPTS:
            reason = f"scanning this file brought unmask down {MAX_ATTEMPTS} times; please report it"
            await self._finish(job, failure("crashed", reason))
            return
        path, out = self.files.media_file(job.sha256), self.files.result_folder(job.key)
        if not await self._run_in_thread(path.is_file):  # a disk that failed kept the row that it said it had not
            await self._finish(
                job, failure("internal_error", "the file was lost when the disk failed; hand it in again")
            )
            return
        await self._tell(job.id)
        permits = self.scans.slots if job.attempts > 1 else 1  # one that may have brought others down runs alone
        await self._take_slots(permits)
        try:
            summary = await self.scans.scan(job.id, path, job.name, out)
        except ScanProcessDiedError:
            log.warning("the process that scans died; what was under way is tried again")
            await self._put_back(job)
        except ResultLostError as error:
            await self._finish(job, failure("internal_error", f"unmask failed, not the file: {error}"))
        except OSError as error:
            log.warning("a result could not be written: %s; make room on the disk", error)
            await asyncio.sleep(FULL_DISK_SECONDS)
            await self._put_back(job)
        else:
            await self._finish(job, summary)
        finally:
            for _ in range(permits):
                self._slots.release()

    async def _take_slots(self, permits: int) -> None:
        async with self._one_alone:
            for _ in range(permits):
                await self._slots.acquire()

    async def _put_back(self, job: Job) -> None:
        if (queued := await self._run_in_thread(self.store.release, job.id)) is not None:
            await self._tell(queued.id)

    async def _finish(self, job: Job, summary: Mapping[str, Any]) -> None:
        async with self._files_lock:
            finished = await self._run_in_thread(self.store.finish, job.id, summary)
            if finished is None and job.sha256 is not None:  # deleted meanwhile
                await self._remove_unused(job.sha256, job.settings_hash)
        self._progress.forget(job.id)
        if finished is not None:
            self.finished[finished.state] += 1
            await self._tell(finished.id)

    async def _fetch(self, job: Job) -> None:
        path, until = None, time.monotonic() + self.settings.fetch_seconds

        def is_given_up() -> bool:
            return self._stopping.is_set() or time.monotonic() > until

        try:
            path, sha256, size_bytes = await asyncio.get_running_loop().run_in_executor(
                self._threads, fetch_file, self.files, job.url or "", self.settings.max_upload_bytes, is_given_up
            )
            async with self._files_lock:
                queued = await self._run_in_thread(self.store.fetched, job.id, sha256, size_bytes)
                if queued is not None:
                    await self._run_in_thread(self.files.keep, path, sha256)
        except DownloadError as error:
            if not self._stopping.is_set():
                await self._finish(job, failure(error.status, str(error)))
        except OSError as error:
            await self._finish(job, failure("unreadable", f"what was fetched could not be kept: {error.strerror}"))
        else:
            if queued is not None:
                await self._tell(queued.id)
        finally:
            if path is not None:
                path.unlink(missing_ok=True)

    # In the background

    async def _wait_for_change(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(IDLE_SECONDS), self._changed:
                await self._changed.wait()

    async def _renew_leases(self) -> None:
        await asyncio.sleep(LEASE_SECONDS / 3)
        await self._run_in_thread(self.store.renew, self._progress.jobs())

    async def _forget_old(self) -> None:
        if self.settings.keep_days is not None:
            await self.forget_before(time.time() - 86400 * self.settings.keep_days)
        await asyncio.sleep(FORGET_SECONDS)

    async def forget_before(self, moment: float) -> None:
        """Delete the jobs that were finished before a moment, with their files."""
        for job in await self._run_in_thread(self.store.finished_before, moment):
            await self.delete(job.id)

    @staticmethod
    async def _run_in_thread(function: Callable[..., Result], *args: Any) -> Result:
        return await asyncio.to_thread(function, *args)
