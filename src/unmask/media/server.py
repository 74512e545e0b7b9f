"""Fork decoder processes from a server that has everything loaded, in a few milliseconds each.

`DecoderServer` starts the server and gives it orders; `serve` is what runs in it. The server forks one
`unmask.media.worker` for each order.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

from unmask.errors import CrashedError
from unmask.media.frames import decode_stored, open_in_process
from unmask.media.limits import Limits
from unmask.media.memory import nameless_memory
from unmask.media.messages import Order
from unmask.media.readers import find_reader
from unmask.media.worker import FILES, run
from unmask.runtime.streams import fill_standard_streams

CAN_ISOLATE = hasattr(os, "fork") and hasattr(socket, "send_fds")
"""Whether this platform can fork decoders; elsewhere files are decoded in the calling process."""

_ENVIRONMENT = {
    "LC_ALL": "C.UTF-8",
    "OPENBLAS_NUM_THREADS": "1",  # a process that forks has one thread
    # A decoder gives no memory back that it will want again: a tenth of its time went into page faults.
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=33554432:"  # 32 and 256 MB
    "glibc.malloc.trim_threshold=268435456",
}
"""Environment of the server, beside where libraries lie."""
_MESSAGE_BYTES = 1 << 16
_STOP_SECONDS = 10.0
"""Longest wait for the server to end by itself."""
_PATIENCE_SECONDS = 120.0
"""Longest wait for the server, which has to load everything before its first answer."""


class ServerLostError(CrashedError):
    """The server of decoders died, and its decoders with it: that is no fault of the file, which can be tried again."""


@dataclass(frozen=True, slots=True)
class Fork:
    """A decoder that was started."""

    pid: int
    """Its process number."""
    server: int
    """Which start of the server it is from, counted from 1: another one must not be asked to end it."""


class DecoderServer:
    """The process that forks decoders; started when first needed, and again should it be gone."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._starts = 0

    @property
    def pid(self) -> int | None:
        """Process number; None before the first order."""
        return None if self._process is None else self._process.pid

    def cpu_seconds(self) -> float:
        """Return the CPU time of the server and of all decoders that have ended; 0 where the system does not tell."""
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")

    def start(self) -> None:
        """Start the server, unless it runs, without waiting until it has loaded everything."""
        with self._lock:
            self._ensure()

    def fork(self, order: Order, files: Sequence[int]) -> Fork:
        """Fork a decoder.

        Args:
            order: What it is to do.
            files: Descriptors, see `unmask.media.worker.FILES`.

        Raises:
            ServerLostError: The server does not answer; the next call starts another one.
        """
        with self._lock:
            self._ensure()
            return Fork(int(self._ask({"fork": order.to_json()}, files)["pid"]), self._starts)

    def end(self, fork: Fork) -> int:
        """Kill a decoder, if it still runs; return how it ended: 0, an exit code, or minus a signal.

        Raises:
            ServerLostError: The server that forked it is gone, and so is the decoder.
        """
        with self._lock:
            if fork.server != self._starts or self._process is None:
                raise ServerLostError("the server of decoders ended; run: unmask doctor")
            return int(self._ask({"end": fork.pid}, ())["exit_code"])

    def stop(self) -> None:
        """End the server and its decoders."""
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:  # its decoders end with it
                self._process.kill()
                self._process.wait()

    def _ensure(self) -> None:
        if self._process is None or self._process.poll() is not None:
            self._start()

    def _start(self) -> None:
        if self._control is not None:
            self._control.close()
        fill_standard_streams()
        ours, theirs = socket.socketpair()
        serving = f"from {__name__} import serve; serve({theirs.fileno()})"
        code = f"import gc, sys; gc.disable(); sys.path[:] = {sys.path!r}; {serving}"  # what is loaded is no garbage
        paths = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH") if name in os.environ}
        self._process = subprocess.Popen(  # noqa: S603 - our own code
            [sys.executable, "-I", "-S", "-c", code],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env=paths | _ENVIRONMENT,
            pass_fds=[theirs.fileno()],
            start_new_session=True,  # an interrupt from the keyboard is for us
        )
        theirs.close()
        ours.settimeout(_PATIENCE_SECONDS)
        self._control, self._starts = ours, self._starts + 1

    def _ask(self, message: Mapping[str, Any], files: Sequence[int]) -> dict[str, Any]:
        assert self._control is not None, "it was started"
        assert self._process is not None, "it was started"
        try:
            socket.send_fds(self._control, [json.dumps(message).encode()], files)
            if not (answer := self._control.recv(_MESSAGE_BYTES)):
                raise EOFError("it ended")
        except (OSError, EOFError) as error:
            self._process.kill()  # what is left of it
            self._process.wait()
            self._process = None
            raise ServerLostError(f"the server of decoders cannot be reached: {error}; run: unmask doctor") from error
        values: dict[str, Any] = json.loads(answer)
        return values


SERVER = DecoderServer()
"""The one server of this process."""
atexit.register(SERVER.stop)


def serve(descriptor: int) -> None:
    """Fork a decoder for each order that comes over the socket, until the other side is gone.

    Args:
        descriptor: This end of the socket.
    """
    fill_standard_streams()  # else a file that comes takes such a number, and is lost where a decoder has its own
    _load_everything()
    gc.freeze()  # else the decoders' collectors would touch, and so copy, all that is loaded
    gc.enable()
    control, decoders = socket.socket(fileno=descriptor), set[int]()
    while True:
        message, files, _, _ = socket.recv_fds(control, _MESSAGE_BYTES, len(FILES))
        if not message:
            break
        values = json.loads(message)
        if "end" in values:
            is_own = values["end"] in decoders  # no process is killed that was not forked here
            decoders.discard(values["end"])
            answer = {"exit_code": _end(values["end"]) if is_own else 0}
        else:
            order = Order.from_json(values["fork"])
            for reader in order.readers:
                find_reader(reader)  # loads it where it is new: the decoder cannot
            pid = os.fork()
            if not pid:
                control.close()
                run(files, order)
            decoders.add(pid)
            answer = {"pid": pid}
            for file in files:
                os.close(file)
        control.sendall(json.dumps(answer).encode())
    for pid in decoders:
        _end(pid)


def _load_everything() -> None:
    """Import what libraries would import when they need it: a confined decoder can load nothing."""
    for module in pkgutil.walk_packages(av.__path__, "av."):
        if module.name not in ("av.__main__", "av.datasets"):  # these run something, and fetch something
            importlib.import_module(module.name)
    with os.fdopen(nameless_memory(0), "w+b") as file:  # decode a clip, for all that numpy imports late
        with av.open(file, "w", format="matroska") as film:
            track = film.add_stream("mpeg4", rate=25, options={"threads": "1"})
            track.width = track.height = 16
            for _ in range(3):
                film.mux(track.encode(av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")))
            film.mux(track.encode())
        file.flush()
        with os.fdopen(os.dup(file.fileno()), "rb") as clip:
            opened = open_in_process(clip, "0" * 64, Limits())
            list(decode_stored(opened, np.arange(len(opened.index))))


def _end(pid: int) -> int:
    """Kill a decoder that may have ended by itself already; return how it ended: 0, a code, or minus a signal."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
