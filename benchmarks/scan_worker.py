"""Scan clips with the unmask of a given source folder and say what each scan cost; for bench_before.py.

    python benchmarks/scan_worker.py SOURCE MODEL PRECISION

Each line of standard input is a clip as JSON: ``path`` and optionally ``sampling``. The answer is a line of JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any


def work(source: str, model: str, precision: str) -> None:
    """Answer each line of JSON, a clip, with what its scan cost."""
    sys.path.insert(0, source)
    import numpy as np

    from unmask import Scanner

    scanners: dict[str, Any] = {}
    searches = Searches()
    for line in sys.stdin:
        request = json.loads(line)
        sampling = request.get("sampling", "")
        if sampling not in scanners:
            settings = {"sampling": sampling} if sampling else {}
            scanners[sampling] = Scanner(model, **settings, **({"precision": precision} if precision else {}))
            searches.watch(scanners[sampling].detector)
        scanner = scanners[sampling]
        searches.clear()
        started, wall, decoders = time.process_time(), time.perf_counter(), children_seconds()
        verdict = scanner.scan(request["path"])
        wall, own = time.perf_counter() - wall, time.process_time() - started
        decoder = children_seconds() - decoders
        crops, size = len(verdict.frames), scanner.cards[0].crop.size_px
        batch = np.zeros((max(1, crops), size, size, 3), np.uint8)
        started = time.process_time()
        scanner.networks[0].score(batch)
        network = time.process_time() - started
        answer = {
            "cpu": own + decoder,
            "wall": wall,
            "decoder": decoder,
            "detect": searches.seconds,
            "network": network,
            "rest": own - searches.seconds - network,
            "seconds": verdict.media.duration_seconds,
            "frames": verdict.frames_decoded,
            "faces": crops,
            "searched": searches.everywhere,
            "fake_probability": verdict.fake_probability,
        }
        print(json.dumps(answer), flush=True)


class Searches:
    """Counts the frames that are searched everywhere, and the CPU time that looking for faces takes."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Start anew."""
        self.seconds, self.everywhere = 0.0, 0

    def watch(self, detector: Any) -> None:
        """Count what a detector does from now on."""
        for name in ("detect", "detect_around"):
            if hasattr(detector, name):
                setattr(detector, name, partial(self._timed, getattr(detector, name), name == "detect"))

    def _timed(self, function: Callable[..., Any], is_everywhere: bool, *arguments: Any) -> Any:
        started = time.thread_time()
        result = function(*arguments)
        self.seconds += time.thread_time() - started
        self.everywhere += is_everywhere
        return result


def children_seconds() -> float:
    """Return the CPU time of the processes that this one started, and of those that they waited for."""
    ticks = 0
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                fields = (process / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            ticks += sum(map(int, fields[11:15])) if int(fields[1]) == os.getpid() else 0
    return ticks / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    work(*sys.argv[1:])
