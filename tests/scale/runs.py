"""Runs with stubs in place of a scan, for the tests of engines."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path

from tests.scale import stubs
from unmask.scale.engines import LocalEngine
from unmask.scale.manifest import write_manifest
from unmask.scale.merge import Merge, write_lines
from unmask.scale.plan import Shard
from unmask.scale.rows import Row
from unmask.scale.run import Run, work_through


def rows_named(names):
    """Rows of different lengths; a name says what its row does to a worker, see `tests.scale.stubs`."""
    return [Row(f"/in/{number}/{name}", name, 1000 * (number % 7), str(number)) for number, name in enumerate(names)]


def do(folder, rows, *, engine=None, make=None, resume=False, shard=None, **options):
    """Do a run, or go on with one; return how many rows there were to do."""
    run = Run(Path(folder))
    shard = shard or Shard()
    run.prepare(lambda path: write_manifest(rows, path), resume=resume, shard=shard)
    make = make or stubs.make()
    return work_through(run, engine or LocalEngine(2), make, shard=shard, resume=resume, **options)


def merged(folder):
    """Return the merged lines of a run."""
    run = Run(Path(folder))
    path = Path(folder) / "merged.jsonl"
    write_lines(Merge(run.manifest, run.index()).lines(), path)
    return path.read_bytes()


def expected(rows):
    """Return what a run gives that nothing disturbs."""
    return b"".join(stubs.line_of(row) + b"\n" for row in rows)


def children():
    """Return the processes that this one has started and that still run."""
    found = Path("/proc/self/task").glob("*/children")
    return [int(pid) for file in found for pid in file.read_text().split()]


def kill_workers(folder, stop, seconds, seed, killed, number=signal.SIGKILL):
    """Kill a random worker now and then, in a thread, until ``stop`` is set.

    Where no part was written since, the machine is busy, and its workers may not even be ready: they get more time.
    """
    rng, others, parts = random.Random(seed), set(children()), 0

    def go():
        nonlocal parts
        while not stop.wait(seconds):
            pids, before = sorted(set(children()) - others), parts
            parts = sum(1 for _ in Path(folder).glob("parts/*/*.jsonl"))
            if pids and parts > before:
                pid = rng.choice(pids)
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
                    killed.append(pid)

    thread = threading.Thread(target=go)
    thread.start()
    return thread


def main():
    """Do a run as a process of its own: FOLDER ROWS SECONDS; what an earlier one left is gone on with."""
    folder, count, seconds = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    do(folder, rows_named([f"sleep-{seconds}"] * count), resume=(folder / "manifest.parquet").exists())


if __name__ == "__main__":
    main()
