"""Works that stand in for a scan: they take no time, or some, or bring their worker down, as the row's name says."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import time
from dataclasses import dataclass
from functools import partial

from unmask.scale.rows import Answer, short

KINDS = ("quick", "sleep", "segfault", "exit", "hang")


def line_of(row, status="ok"):
    values = {"path": row.uri, "status": status, "fake_probability": 0.25, "label": "real", "reasons": []}
    return json.dumps(values, separators=(",", ":")).encode()


@dataclass
class Stub:
    """Names such as ``sleep-0.2-x`` say what happens."""

    settings_hash: str = "stub"
    width: int = 1

    def __call__(self, row, known):
        kind, _, rest = row.name.partition("-")
        if kind == "sleep":
            time.sleep(float(rest.partition("-")[0]))
        elif kind == "spin":
            until = time.process_time() + float(rest.partition("-")[0])
            while time.process_time() < until:
                pass
        elif kind == "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        elif kind == "exit":
            os._exit(3)
        elif kind == "hang":
            time.sleep(3600)
        sha256 = hashlib.sha256((row.version or row.uri).encode("utf-8", "surrogateescape")).hexdigest()
        if short(sha256) in known:
            return Answer(sha256, "ok", b"")
        return Answer(sha256, "ok", line_of(row))

    def crashed(self, row, reason):
        return Answer("", "crashed", line_of(row, "crashed"))

    def cpu_seconds(self):
        return time.process_time()


def make(settings_hash="stub", width=1):
    return partial(Stub, settings_hash, width)
