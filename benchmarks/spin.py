"""What workers of bench_scale import: a work that stands in for a scan, and one that keeps to a core."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Collection
from dataclasses import dataclass

from unmask.scale.rows import Answer, MakeWork, Row, Work


@dataclass
class Spin:
    """Stands in for a scan: takes as many seconds of CPU time as the row's note says; or sleeps, by name."""

    settings_hash: str = "spin"
    width: int = 1

    def __call__(self, row: Row, known: Collection[str]) -> Answer:  # noqa: ARG002 - a stub
        """Take time, and answer."""
        seconds = float(row.note or 0)
        if row.name.startswith("sleep"):
            time.sleep(seconds)
            return _answer(row)
        until = time.thread_time() + seconds
        while time.thread_time() < until:
            pass
        return _answer(row)

    def crashed(self, row: Row, reason: str) -> Answer:  # noqa: ARG002 - a stub
        """Return an empty line."""
        return Answer("", "crashed", b"{}")

    def cpu_seconds(self) -> float:
        """Return the CPU time of this process."""
        return time.process_time()


def pinned(make_work: MakeWork, core: int) -> Work:
    """Keep this process to one core, and load its work."""
    os.sched_setaffinity(0, {core})
    return make_work()


def _answer(row: Row) -> Answer:
    line = json.dumps({"path": row.uri, "status": "ok", "fake_probability": 0.25, "label": "real"}).encode()
    return Answer(hashlib.sha256(row.uri.encode()).hexdigest(), "ok", line)
