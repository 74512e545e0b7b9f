"""Hold a worker: start its process, give it leases, write what it answers, and tell how it died.

The holder runs no code that a file could bring down. It lies in the driver, or in an actor on another machine.
"""

from __future__ import annotations

import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

from unmask.errors import UsageError
from unmask.runtime.parallel import CORES_VARIABLE, Stopped
from unmask.scale.child import Done, Hello, Refusal
from unmask.scale.parts import Commit, Part
from unmask.scale.rows import Answer, Ended, Lease, MakeWork, Row, Spent

FLUSH_SECONDS, FLUSH_BYTES = 10.0, 8 << 20
"""A part is written when its first line is so old, or its lines are so many: no more is lost with the holder."""
PATIENCE_SECONDS = 3600.0
"""A worker that answers nothing for so long hangs, and is killed; decoding is bounded far below that."""
MOST_STARTS = 3
"""Times in a row that a worker may die before it is ready."""

_CODE = "from unmask.scale.child import main; main()"  # run as a module, its messages would be __main__'s
_STOP_SECONDS = 0.5
_KILLED = (-signal.SIGKILL, -signal.SIGTERM)
_HUNG = signal.SIGABRT
"""What ends a worker that hangs: unlike a kill from outside, that counts against its row."""


class WorkerProcess:
    """One worker, started when it is needed, and again when it has died. One thread at a time may use it."""

    def __init__(
        self, make_work: MakeWork, parts: Path, stopping: threading.Event, environment: Mapping[str, str] | None = None
    ) -> None:
        """Remember how to start it.

        Args:
            make_work: Loads the work, in the worker.
            parts: Where its parts go.
            stopping: When it is set, a lease ends early.
            environment: What the worker's environment has beside ours.
        """
        self._make, self._parts, self._stopping = pickle.dumps(make_work), parts, stopping
        self._environment = {CORES_VARIABLE: "1", "OMP_NUM_THREADS": "1"} | dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._hello: Hello | None = None
        self._cpu_seconds = 0.0

    @property
    def pid(self) -> int | None:
        """Process number; None while there is none."""
        return None if self._process is None else self._process.pid

    def start(self) -> Hello:
        """Start the worker unless it runs; return what it said when it was ready.

        Raises:
            UsageError: Its work cannot be loaded, or it dies at that again and again.
        """
        if self._hello is not None and self._process is not None and self._process.poll() is None:
            return self._hello
        for _ in range(MOST_STARTS):
            self.close()
            self._open()
            try:
                answer = self._receive(PATIENCE_SECONDS)
            except EOFError:
                continue
            if isinstance(answer, Hello):
                self._hello = answer
                return answer
            self.close()
            raise UsageError(answer.reason if isinstance(answer, Refusal) else "a worker did not start")
        if self._stopping.is_set():
            raise Stopped
        raise UsageError(
            f"a worker ended {MOST_STARTS} times while it loaded its models (exit code {self._end()}); it may lack "
            "memory: use fewer --workers, or run: unmask doctor"
        )

    def run(self, lease: Lease) -> Ended:
        """Have the rows of a lease done, and write what comes of them.

        Raises:
            UsageError: See `start`.
            Stopped: See `start`.
            OSError: The parts cannot be written.
        """
        hello = self.start()
        waiting = dict(enumerate(lease.rows))
        parts = _Parts(self._parts, lease.id, hello.settings_hash)
        cpu_before, size_bytes, oom_kills = self._cpu_seconds, 0, _oom_kills()
        suspects: tuple[int, ...] = ()
        lost = False
        try:
            self._send(lease)
            while waiting:
                done = self._receive(PATIENCE_SECONDS, parts.flush_old)
                if not isinstance(done, Done):
                    raise EOFError("it does not answer")
                row = waiting.pop(done.place)
                parts.add(row, done.answer)
                self._cpu_seconds = done.cpu_seconds
                size_bytes += row.size_bytes or 0
        except EOFError:
            code = self._end()
            lost = self._stopping.is_set() or (code in _KILLED and _oom_kills() == oom_kills)
            suspects = () if lost else tuple(waiting)[: hello.width]
        parts.flush()
        spent = Spent(self._cpu_seconds - cpu_before, size_bytes)
        return Ended(tuple(parts.commits), tuple(waiting), suspects, lost, spent)

    def close(self) -> None:
        """End the worker, whatever it is about."""
        self._hello, self._cpu_seconds = None, 0.0
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _open(self) -> None:
        ours, theirs = socket.socketpair()
        paths = os.pathsep.join(filter(None, sys.path))
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter, our own module
            [sys.executable, "-P", "-c", _CODE, str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": paths} | self._environment,
            pass_fds=[theirs.fileno()],
            start_new_session=True,  # an interrupt from the keyboard is for us
        )
        theirs.close()
        self._connection = Connection(ours.detach())
        self._send_bytes(self._make)

    def _send(self, message: object) -> None:
        self._send_bytes(pickle.dumps(message))

    def _send_bytes(self, message: bytes) -> None:
        try:
            if self._connection is not None:
                self._connection.send_bytes(message)
        except OSError as error:
            raise EOFError("it ended") from error

    def _receive(self, patience_seconds: float, meanwhile: Callable[[], None] = lambda: None) -> object:
        """Return the next message.

        Raises:
            EOFError: The worker died, says nothing for too long, or nobody waits for it any more.
        """
        until = time.monotonic() + patience_seconds
        while self._connection is not None and not self._stopping.is_set() and time.monotonic() < until:
            meanwhile()
            try:
                if self._connection.poll(_STOP_SECONDS):
                    return self._connection.recv()
            except (OSError, EOFError, pickle.UnpicklingError) as error:
                raise EOFError("it ended") from error
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(_HUNG)
        raise EOFError("it hangs")

    def _end(self) -> int | None:
        """See that the worker is gone; return its exit code, or minus the signal that ended it."""
        if self._process is None:
            return None
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOP_SECONDS)
        self.close()
        return self._process.returncode


class _Parts:
    """The parts of one lease: a new one now and then."""

    def __init__(self, folder: Path, lease: str, settings_hash: str) -> None:
        self.commits: list[Commit] = []
        self._folder, self._lease, self._settings = folder, lease, settings_hash
        self._part = self._next()

    def add(self, row: Row, answer: Answer) -> None:
        if not self._part:
            self._since = time.monotonic()
        self._part.add(row, answer)

    def flush_old(self) -> None:
        if self._part and (time.monotonic() - self._since > FLUSH_SECONDS or self._part.size_bytes > FLUSH_BYTES):
            self.flush()

    def flush(self) -> None:
        if self._part:
            self.commits.append(self._part.write())
            self._part = self._next()

    def _next(self) -> Part:
        self._since = time.monotonic()
        return Part(self._folder, f"{self._lease}-{len(self.commits)}.jsonl", self._settings)


def _oom_kills() -> int:
    """Return how many processes of this machine were killed since memory ran out; 0 where that is not told."""
    with suppress(OSError, StopIteration):
        counts = Path("/proc/vmstat").read_text().splitlines()
        return int(next(line for line in counts if line.startswith("oom_kill ")).split()[1])
    return 0
