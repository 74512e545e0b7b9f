"""The server's side of the process that scans: it is started, given orders, and started anew should it die."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from unmask.errors import UnmaskError
from unmask.web.settings import ServeSettings

MAX_LINE_BYTES = 1 << 22
"""The longest answer: a summary is small."""


class ScannerFailedError(UnmaskError):
    """The scanner cannot be made: a model is missing, or an option makes no sense."""


class ScanProcessDiedError(UnmaskError):
    """The process that scans died, and all scans that were under way with it."""


class ResultLostError(UnmaskError):
    """A verdict was made, but could not be written."""


OnProgress = Callable[[str, int, int], None]
"""Called with the job, the frames decoded so far, and the frames asked for."""


class ScanProcess:
    """A process that scans; see `unmask.web.scan_process`."""

    def __init__(self, settings: ServeSettings, on_progress: OnProgress) -> None:
        self._settings, self._on_progress = settings, on_progress
        self._process: Process | None = None
        self._waiting: dict[str, asyncio.Future[Mapping[str, Any]]] = {}
        self._reader: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self.settings_hash = ""
        """Of the scanner; empty before the first start."""
        self.slots = 1
        """Scans at a time."""
        self.starts = 0
        """How often it was started."""

    @property
    def pid(self) -> int | None:
        """Process number; None while it does not run."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def start(self) -> None:
        """Start it, unless it runs, and wait until its scanner is there.

        Raises:
            ScannerFailedError: There can be no scanner.
            ScanProcessDiedError: It died.
        """
        async with self._starting:
            if self.pid is not None:
                return
            self._process = process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "unmask.web.scan_process", stdin=PIPE, stdout=PIPE, limit=MAX_LINE_BYTES,
                start_new_session=True,  # an interrupt from the keyboard is for the server
            )  # fmt: skip
            self.starts += 1
            options = self._settings.scanner_options | {"workers": self._settings.workers}
            await self._send({"scanner": self._settings.scanner, "options": options})
            assert process.stdout is not None
            answer = json.loads(await process.stdout.readline() or b"{}")
            if "ready" not in answer:
                await self.stop()
                if "failed" in answer:
                    raise ScannerFailedError(answer["failed"])
                raise ScanProcessDiedError("the process that scans ended before it was ready; run: unmask doctor")
            self.settings_hash, self.slots = answer["ready"], answer["slots"]
            self._reader = asyncio.create_task(self._read(process))

    async def scan(self, job_id: str, path: Path, name: str, out: Path) -> Mapping[str, Any]:
        """Scan a file, write its result into a folder, and return the summary.

        Raises:
            ScanProcessDiedError: The process died.
            ResultLostError: The result could not be written.
            OSError: The disk is full.
        """
        await self.start()
        answer = asyncio.get_running_loop().create_future()
        self._waiting[job_id] = answer
        try:
            await self._send({"scan": job_id, "path": str(path), "name": name, "out": str(out)})
            message = await answer
        finally:
            self._waiting.pop(job_id, None)
        if "error" in message:
            raise OSError(message["error"]) if message["full"] else ResultLostError(message["error"])
        summary: Mapping[str, Any] = message["summary"]
        return summary

    async def stop(self) -> None:
        """End it; what it was doing is lost."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        if self._reader is not None:
            await self._reader

    async def _send(self, message: Mapping[str, Any]) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            await self._process.stdin.drain()
        except (ConnectionError, RuntimeError) as error:
            raise ScanProcessDiedError("the process that scans is gone") from error

    async def _read(self, process: Process) -> None:
        """Hand out the answers until there are no more; then whoever waits gets an error."""
        assert process.stdout is not None
        while line := await process.stdout.readline():
            message = json.loads(line)
            if "decoded" in message:
                self._on_progress(message["id"], message["decoded"], message["asked"])
            elif (future := self._waiting.get(message["id"])) is not None and not future.done():
                future.set_result(message)
        await process.wait()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(ScanProcessDiedError("the process that scans died"))
