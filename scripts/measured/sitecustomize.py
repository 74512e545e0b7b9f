"""Count the branches that a process runs, confined or not, and send them to `scripts/mutants.py measure`.

Python imports this as it starts, where the folder is in PYTHONPATH. What was counted goes over a socket that is open
before the process can be confined, since a confined one can write no file. A process that is killed tells nothing, so
the server of decoders gives its decoders a while to end by themselves.
"""

import atexit
import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

_PLACE = os.environ.get("UNMASK_MEASURED", "")
"""Folder of the measurement: ``rules`` for coverage, ``socket``, and ``now`` with the name of the running test."""
_GRACE_SECONDS = 2.0


class _Count:
    """What this process has run."""

    def __init__(self) -> None:
        import coverage  # not above: it takes a while, and most processes are not measured

        self.coverage = coverage.Coverage(data_file=None, config_file=f"{_PLACE}/rules")
        self.coverage.get_data().dumps()  # opens what a confined process could not
        self.coverage.start()
        self.connect()

    def connect(self) -> None:
        """Begin to count for this process; one that was just forked also tells what its parent has run so far."""
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(f"{_PLACE}/socket")
        self.coverage.switch_context(Path(_PLACE, "now").read_text())

    def send(self) -> None:
        """Send all of it, once."""
        with suppress(Exception), self._socket:  # it must not change how the process ends
            self.coverage.stop()
            self._socket.sendall(self.coverage.get_data().dumps())


def name_test(name: str) -> None:
    """Tell this process, and those that begin from now on, that what they run is run by a test."""
    if _count is not None:
        Path(_PLACE, "now").write_text(name)
        _count.coverage.switch_context(name)


def _begin() -> None:
    global _count
    with suppress(Exception):
        _count = _Count()


def _begin_again() -> None:
    if _count is not None:
        with suppress(Exception):
            _count.connect()


def _end() -> None:
    if _count is not None:
        _count.send()


def _start_server_measured() -> None:
    """Have the server of decoders import this module: it is started without anything that is not its own."""
    start = subprocess.Popen.__init__

    def measured(process: subprocess.Popen, command, *arguments, **options) -> None:
        if isinstance(command, list) and command[1:4] == ["-I", "-S", "-c"]:
            first = f"import os, sys; os.environ['UNMASK_MEASURED'] = {_PLACE!r}; sys.path[:] = {sys.path!r}"
            command = [*command[:4], f"{first}; import sitecustomize; {command[4]}"]
        start(process, command, *arguments, **options)

    subprocess.Popen.__init__ = measured


def _end_before_a_kill() -> None:
    """Let a decoder that is to be killed end by itself, if it does soon."""
    kill = os.kill

    def patient(pid: int, number: int) -> None:
        until = time.monotonic() + _GRACE_SECONDS
        with suppress(ChildProcessError):
            while not os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) and time.monotonic() < until:
                time.sleep(0.002)
        kill(pid, number)

    os.kill = patient


def _tell_before_exit() -> None:
    leave = os._exit

    def told(code: int) -> None:
        _end()
        leave(code)

    os._exit = told


_count: _Count | None = None
if _PLACE:
    _begin()
    atexit.register(_end)
    os.register_at_fork(after_in_child=_begin_again)
    _tell_before_exit()
    _start_server_measured()
    if "serve(" in " ".join(sys.orig_argv):
        _end_before_a_kill()
