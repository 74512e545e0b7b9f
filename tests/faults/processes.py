"""Running the command line in a process of its own, ending it at some moment, and looking for what it left running."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

from tests.media_factory import heed_interrupts


def contents(folder: Path) -> dict[str, bytes]:
    """Return all files of a folder by name, hidden ones too; pages without dates and elapsed times."""
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    moment = rb"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)? UTC(, \d+\.\d s)?"
    return {name: re.sub(moment, b"", data) if name.endswith(".html") else data for name, data in files.items()}


def start(*args, mark: Path, **options) -> subprocess.Popen:
    """Start ``unmask`` in a session of its own; ``mark`` is a path that names its processes in their command lines."""
    paths = [str(mark), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)} | options.pop("environment", {})
    command = [sys.executable, "-m", "unmask", *map(str, args)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | options
    return subprocess.Popen(command, env=environment, preexec_fn=heed_interrupts, **pipes)


def wait_for(what, process, seconds: float = 120) -> None:
    """Wait until something is so, or the process has ended by itself."""
    until = time.monotonic() + seconds
    while not what() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.005)


def left_running(mark: Path, seconds: float = 10) -> list[int]:
    """Return the decoders, and their server, that a process marked so has left; those that are just ending may."""
    until = time.monotonic() + seconds
    while found := _decoders(mark):
        if time.monotonic() > until:
            break
        time.sleep(0.02)
    return found


def _decoders(mark: Path) -> list[int]:
    """Find the server of decoders by where it imports from; its children have the same command line."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.fsencode(mark) in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:  # it has just ended
            pass
    return found
