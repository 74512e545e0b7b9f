"""A work that stands in for a scan, in a module of its own: workers import it."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Collection
from dataclasses import dataclass

from unmask.scale.rows import Answer, Row


@dataclass
class Spin:
    """Stands in for a scan: takes as much CPU time as the row's length says, in microseconds."""

    settings_hash: str = "spin"
    width: int = 1

    def __call__(self, row: Row, known: Collection[str]) -> Answer:  # noqa: ARG002 - a stub
        """Take time, and answer."""
        until = time.thread_time() + (row.size_bytes or 0) / 1e6
        while time.thread_time() < until:
            pass
        line = json.dumps({"path": row.uri, "status": "ok", "fake_probability": 0.25, "label": "real"}).encode()
        return Answer(hashlib.sha256(row.uri.encode()).hexdigest(), "ok", line)

    def crashed(self, row: Row, reason: str) -> Answer:  # noqa: ARG002 - a stub
        """Return an empty line."""
        return Answer("", "crashed", b"{}")

    def cpu_seconds(self) -> float:
        """Return the CPU time of this process."""
        return time.process_time()
