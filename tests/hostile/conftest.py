"""The files of docs/hostile.md among good clips, and one scan of them all."""

from __future__ import annotations

import json
import os
import re
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.hostile.factory import QUICK, RATE, portraits, write_hostile
from tests.media_factory import write_video
from unmask.scan.inputs import list_inputs

MEASURE = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss, file=sys.stderr)
sys.exit(code)
"""
"""A process between, since a new one's peak memory begins with that of who started it."""
DOCUMENT = Path(__file__).parents[2] / "docs" / "hostile.md"


@dataclass(frozen=True)
class Listener:
    """A server on loopback that must not be called."""

    server: socket.socket

    @property
    def port(self) -> int:
        return self.server.getsockname()[1]

    def was_called(self) -> bool:
        return bool(select.select([self.server], [], [], 0)[0])


@dataclass(frozen=True)
class Scan:
    """A scan in a process of its own."""

    exit_code: int
    rows: list[dict[str, Any]]
    """By input."""
    lines: list[str]
    """Printed on stdout."""
    seconds: float
    """From start to end."""
    cpu_seconds: float
    """Of all its processes."""
    peak_bytes: int
    """Most memory of one of its processes, decoders included."""
    place: Path
    """Holds its home, its temporary and working folders, and its outputs in ``out``."""


def documented() -> dict[str, str]:
    """Return the status of each file that docs/hostile.md lists."""
    return dict(re.findall(r"^\| `([^`]+)` \| .* \| `(\w+)` \|$", DOCUMENT.read_text(), flags=re.M))


def scan(place: Path, *inputs: Path) -> Scan:
    """Scan with all outputs; home, temporary and working folder are empty ones below ``place``."""
    for name in ("home", "tmp", "work", "out"):
        (place / name).mkdir(parents=True)
    outputs = "--csv", place / "out" / "s.csv", "--json", place / "out" / "o.jsonl", "--html", place / "out" / "report"
    options = "--frames", "12", "-q"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("UNMASK_", "XDG_"))}
    started = time.monotonic()
    with (place / "lines").open("wb") as stdout:
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                MEASURE,
                sys.executable,
                "-m",
                "unmask",
                "scan",
                *map(str, (*inputs, *outputs, *options)),
            ],
            cwd=place / "work",
            env=kept | {"HOME": str(place / "home"), "TMPDIR": str(place / "tmp")},
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    seconds = time.monotonic() - started
    cpu_seconds, peak_kb = map(float, done.stderr.splitlines()[-1].split())
    rows = [json.loads(line) for line in (place / "out" / "o.jsonl").read_text().splitlines()]
    peak_bytes = int(peak_kb) * (1 if sys.platform == "darwin" else 1024)
    lines = (place / "lines").read_text().splitlines()
    return Scan(done.returncode, rows, lines, seconds, cpu_seconds, peak_bytes, place)


@pytest.fixture(scope="session")
def listener() -> Iterator[Listener]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield Listener(server)


@pytest.fixture(scope="session")
def good(tmp_path_factory, portrait, blended) -> list[Path]:
    """Four good clips, in the folder of the hostile ones."""
    folder = tmp_path_factory.mktemp("hostile")
    clips = []
    for number in range(4):
        images = portraits(blended if number % 2 else portrait, 16 + number)[number:]
        clips.append(write_video(folder / f"good_{number}.mp4", images, rate=RATE, options=QUICK))
    return clips


@pytest.fixture(scope="session")
def corpus(good, portrait, listener) -> Path:
    """The folder of all files."""
    folder = good[0].parent
    write_hostile(folder, portrait, listener.port)
    return folder


@pytest.fixture(scope="session")
def inputs(corpus) -> list[Path]:
    """What is named to scan all files: the folder, and those that it does not give by itself."""
    given = {Path(item.path) for item in list_inputs([corpus])}
    return [corpus, *sorted(path for path in corpus.iterdir() if path not in given)]


@pytest.fixture(scope="session")
def scanned(inputs, tmp_path_factory) -> Scan:
    return scan(tmp_path_factory.mktemp("scan"), *inputs)
