"""What isolation costs: a scan whose clips are decoded in confined processes against one that decodes in its own.

    python benchmarks/bench_guard.py --clips CLIPS --out benchmarks/results/guard.json

A clip is scanned by one scanner with `Limits()` and by another with ``Limits(isolate=False)``; both are loaded, and the
server that forks decoders runs, as in any scan but the first. Wall time is that of one scan by itself. CPU time is that
of the scanning process, the server and the decoders together: what many scans side by side cost. Linux only.
"""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path

from common import Clip, Goal, Measure, clips_of, interleave, median, parser, row, write
from unmask import Scanner
from unmask.media import Limits
from unmask.media.server import SERVER


def main() -> None:
    arguments = parser(__doc__).parse_args()
    scanners = {"confined": Scanner(), "open": Scanner(limits=Limits(isolate=False))}
    clips = {clip.name: compare(clip, scanners, arguments.rounds) for clip in clips_of(arguments)}
    goals = [
        Goal.of_clips(
            "C3",
            f"{kind.upper() if kind == 'cpu' else kind} time of a scan with isolation / without",
            [clip[f"confined_{kind}_seconds"] / clip[f"open_{kind}_seconds"] for clip in clips.values()],
            arguments.seed,
            1.05,
            1.02,
            at_most=True,
        )
        for kind in ("wall", "cpu")
    ]
    write(arguments, goals, clips, precision=scanners["confined"].settings["precision"])


def compare(clip: Clip, scanners: dict[str, Scanner], rounds: int) -> dict[str, float]:
    """Return the median costs of both scans."""
    contestants = [partial(cost, clip, scanner) for scanner in scanners.values()]
    interleave(1, *contestants)  # warm up: kernels are compiled for each new size
    costs: dict[str, float] = {}
    for name, runs in zip(scanners, interleave(rounds, *contestants), strict=True):
        costs[f"{name}_wall_seconds"] = median(run.wall_seconds for run in runs)
        costs[f"{name}_cpu_seconds"] = median(run.cpu_seconds for run in runs)
    row(clip.name, costs)
    return costs


def cost(clip: Clip, scanner: Scanner) -> Measure:
    """Scan a clip; the decoders' time counts when they have ended."""
    wall, cpu = time.perf_counter(), time.process_time() + decoders_seconds()
    verdict = scanner.scan(clip.path)
    assert verdict.status == "ok", verdict.reasons
    return Measure(time.perf_counter() - wall, time.process_time() + decoders_seconds() - cpu)


def decoders_seconds() -> float:
    """Return the CPU time of the server of decoders and of all decoders that have ended."""
    if SERVER.pid is None:
        return 0.0
    fields = Path(f"/proc/{SERVER.pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
