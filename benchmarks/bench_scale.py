"""Measure runs at scale: a million rows, one core against two, Ray against processes, one long clip among many, kills.

    python -m benchmarks.bench_scale --million 1000000
    python -m benchmarks.bench_scale --engines --skew

Where a stub stands in place of the scan, what is measured is the engine alone; rows that spin take CPU time as a scan
does. Times of a machine that does other work say little: each result names the load average that it was measured at.
"""

from __future__ import annotations

import json
import os
import resource
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.common import Goal, Options
from benchmarks.spin import Spin, pinned

from unmask import Scanner
from unmask.report.csv import write_csv
from unmask.runtime.parallel import CORES_VARIABLE
from unmask.scale import lease
from unmask.scale.engines import Engine, LocalEngine
from unmask.scale.manifest import write_manifest
from unmask.scale.merge import Merge, write_dataset, write_lines
from unmask.scale.plan import Shard
from unmask.scale.rows import BYTES_A_UNIT, Row
from unmask.scale.run import Run, work_through
from unmask.scale.scanning import ScanWork

RESULTS = Path(__file__).parent / "results" / "scale.json"
QUICK_ROWS = 20_000


class Pinned(LocalEngine):
    """Workers that keep to one core each, so that one of them does not use two."""

    def worker(self, make_work: Any, parts: Path, stopping: threading.Event) -> Any:
        """Return a further worker."""
        core = self._count % os.cpu_count()
        return super().worker(partial(pinned, make_work, core), parts, stopping)


def rows_of(seconds: Sequence[float], kind: str) -> list[Row]:
    """Return rows that take so long, and are of such lengths that their costs are guessed right."""
    least = min(seconds)
    return [
        Row(f"/in/{n}.mp4", f"{kind}-{n}.mp4", round((each / least - 1) * BYTES_A_UNIT), str(n), note=str(each))
        for n, each in enumerate(seconds)
    ]


def do(folder: Path, rows: Any, engine: Engine, *, resume: bool = False) -> float:
    """Do a run; return the seconds between the first lease and the last commit."""
    run = Run(folder)
    if not resume:
        run.prepare(lambda path: write_manifest(rows, path), resume=False, shard=Shard())
    started = time.perf_counter()
    work_through(run, engine, Spin, resume=resume)
    return time.perf_counter() - started


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def million(folder: Path, count: int) -> Iterator[Goal]:
    """A manifest of so many rows, a stub, and the resumption of the finished run."""

    def rows() -> Iterator[Row]:
        for n in range(count):
            yield Row(f"/data/videos/{n % 50}/clip-{n:07d}.mp4", f"clip-{n:07d}.mp4", n % 9, str(n))

    cpu = time.process_time()
    seconds = do(folder / "run", rows(), LocalEngine(2))
    yield Goal.single("driver, MB", f"{count} rows with a stub", peak_mb(), 300, None, at_most=True)
    yield Goal.single("rows/s", "the same, two workers", count / seconds, 5000, None, at_most=False)
    yield Goal.single(
        "driver, CPU-us a row", "the same", 1e6 * (time.process_time() - cpu) / count, 100, None, at_most=True
    )
    started = time.perf_counter()
    do(folder / "run", (), LocalEngine(2), resume=True)
    yield Goal.single("resume, s", "of the finished run", time.perf_counter() - started, 20, None, at_most=True)
    started = time.perf_counter()
    merge = Merge(Run(folder / "run").manifest, Run(folder / "run").index())
    write_lines(merge.lines(), folder / "o.jsonl")
    yield Goal.single("merge, s", "JSON lines", time.perf_counter() - started, 20, None, at_most=True)
    write_csv(((name, row.get("fake_probability")) for name, row in merge.rows()), folder / "o.csv")
    write_dataset(merge.rows(), folder / "o")
    what = "peak of one process: driver, resumption, JSON lines, table and Parquet dataset"
    yield Goal.single("driver and merge, MB", what, peak_mb(), 300, None, at_most=True)


def engines(folder: Path, rounds: int, kind: str) -> Iterator[Goal]:
    """Two workers against one, and Ray against processes, in turns; start-up counts for neither.

    A lease is 0.4 s long, a two-hundredth of what a lease of scans is: what a lease costs weighs two hundred times.
    """
    rows = rows_of([0.05] * 400, kind)
    lease.MOST_ROWS = 8  # short leases, so that little is under way at the moments between which rows are counted
    one, two, here, ray = [], [], [], []

    def rate(name: str, engine: Engine) -> float:
        """Return rows a second from when all workers were busy to the end."""
        run = folder / f"{name}-{time.monotonic_ns()}"
        do(run, rows, engine)
        parts = sorted((run / "parts").rglob("*.jsonl"), key=lambda part: part.stat().st_mtime)
        counts = [part.read_bytes().count(b"\n") - 1 for part in parts]
        first = len(parts) // 5
        return sum(counts[first + 1 :]) / (parts[-1].stat().st_mtime - parts[first].stat().st_mtime)

    for _ in range(rounds):
        one.append(rate("one", Pinned(1)))
        two.append(rate("two", Pinned(2)))
    yield Goal.single("two workers / one", "one thread each", sum(two) / sum(one), 1.9, 1.95, at_most=False)
    try:
        from unmask.scale.ray_engine import RayEngine
    except ImportError:
        return
    for _ in range(rounds):
        here.append(rate("local", LocalEngine(2)))
        ray.append(rate("ray", RayEngine(workers=2)))
    yield Goal.single("Ray / local pool", "two workers each", sum(ray) / sum(here), 0.97, None, at_most=False)


def sizing(clips: Path) -> dict[str, dict[str, float]]:
    """Return for each clip of a folder the CPU-seconds of its scan, in full and by key frames, and clips an hour."""
    found: dict[str, dict[str, float]] = {}
    for sampling in ("time", "keyframes"):
        work = ScanWork(partial(Scanner, "bundled", sampling=sampling))
        for path in sorted(clips.glob("*.mp4")):
            row = Row(str(path), path.name)
            work(row, ())  # what is loaded when it is first needed
            before = work.cpu_seconds()
            answer = work(row, ())
            seconds = work.cpu_seconds() - before
            facts = {f"{sampling}_cpu_seconds": round(seconds, 2), f"{sampling}_clips_an_hour": round(3600 / seconds)}
            found.setdefault(path.stem, {}).update(facts)
            print(path.stem, facts, json.loads(answer.line)["label"], flush=True)
    return found


class Noted(Pinned):
    """Notes when each worker was ready."""

    def __init__(self, workers: int) -> None:
        super().__init__(workers)
        self.ready_at: list[float] = []

    def worker(self, make_work: Any, parts: Path, stopping: threading.Event) -> Any:
        """Return a further worker."""
        worker = super().worker(make_work, parts, stopping)
        start = worker.ready

        def ready() -> Any:
            hello = start()
            worker.ready = start
            self.ready_at.append(time.perf_counter())
            return hello

        worker.ready = ready
        return worker


def skew(folder: Path, kind: str) -> Iterator[Goal]:
    """One clip 200 times as long as the others, a twentieth of what scans take."""
    seconds, engine = [0.1] * 999 + [20.0], Noted(2)
    wall = do(folder / "run", rows_of(seconds, kind), engine)
    end, best = time.perf_counter(), max(sum(seconds) / 2, 20.0)
    what = f"one of 1,000 is 200 times as long; best {best:.0f} s"
    yield Goal.single("wall / best", f"{what}, start of workers counts", wall / best, 1.05, None, at_most=True)
    # What was done before the second worker was ready counts as done by both.
    from_start = (end - sum(engine.ready_at) / len(engine.ready_at)) / best
    yield Goal.single("wall / best, ready workers", what, from_start, 1.05, None, at_most=True)


def main() -> None:
    parser = Options(__doc__)
    parser.add_argument("--million", type=int, default=0, help="rows of the first measurement; 0 leaves it out")
    parser.add_argument("--engines", action="store_true")
    parser.add_argument("--skew", action="store_true")
    parser.add_argument("--sizing", type=Path, help="a folder of clips of which each is scanned")
    parser.add_argument(
        "--rows", choices=("spin", "sleep"), default="spin", help="sleep: where other work holds the cores"
    )
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    if options.quick:
        options.million, options.engines, options.skew, options.sizing = QUICK_ROWS, False, False, None
    out = options.out
    results = json.loads(out.read_text()) if out.exists() and not options.quick else {}
    if options.sizing is not None:
        os.environ[CORES_VARIABLE] = "1"
        results["sizing"] = sizing(options.sizing)
        out.write_text(json.dumps(results, indent=1) + "\n")
    with tempfile.TemporaryDirectory() as room:
        parts = {
            "million": (lambda folder: million(folder, options.million)) if options.million else None,
            "engines": (lambda folder: engines(folder, options.rounds, options.rows)) if options.engines else None,
            "skew": (lambda folder: skew(folder, options.rows)) if options.skew else None,
        }
        for name, measure in parts.items():
            if measure is None:
                continue
            folder = Path(room) / name
            folder.mkdir()
            load = os.getloadavg()[0]
            goals = []
            for goal in measure(folder):
                print(goal, flush=True)
                goals.append(goal.to_dict())
            results[name] = {"load_average": [load, os.getloadavg()[0]], "cores": os.cpu_count(), "goals": goals}
            out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
