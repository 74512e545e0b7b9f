"""Run the quick mode of all benchmarks, print one table, and add a line for each number to the trend.

    sh scripts/bench                       # all, some ten minutes
    sh scripts/bench scan process          # only these
    sh scripts/bench --no-trend            # print, and add nothing

What the benchmarks need is made in ``--work`` at the first call: clips of the portrait in examples/data, a small
dataset and its crops, small random models. Each benchmark runs ``--repeats`` times, in processes of its own; the median
counts, and the range is its noise. Then the numbers that got worse by more than their noise are named, see `trend.py`;
the exit status is 1 where there are some, or where a benchmark failed. Nothing here is a result: those stand in
results/*.json, with more clips, more rounds and the reference beside them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

from common import cores_and_processor
from trend import TREND, Number, append, read, worse

HERE = Path(__file__).parent
PORTRAIT = HERE.parent / "examples" / "data" / "eileen_collins.png"
TIMEOUT_SECONDS = 600
"""Of one call; the first makes models."""


@dataclass(frozen=True, slots=True)
class Bench:
    """A benchmark, and what its quick mode is told beside ``--quick`` and ``--out``."""

    name: str
    options: tuple[str, ...] = ("--clips", "{work}/clips")
    needs: tuple[str, ...] = ()
    """Modules without which it is left out."""
    is_module: bool = False
    """Whether it is started by ``python -m``."""
    places: tuple[str, ...] = ()
    """Positional arguments."""

    def command(self, work: Path, out: Path) -> list[str]:
        """Return the command line."""
        start = ["-m", f"benchmarks.bench_{self.name}"] if self.is_module else [str(HERE / f"bench_{self.name}.py")]
        options = [option.format(work=work) for option in (*self.places, *self.options)]
        return [sys.executable, *start, *options, "--quick", "--out", str(out)]


CLIPS, MODELS = ("--clips", "{work}/clips"), ("--work", "{work}/models")
BENCHES = (
    Bench("decode"),
    Bench("faces"),
    Bench("scan"),
    Bench("before"),
    Bench("process"),
    Bench("guard"),
    Bench("labels"),
    Bench("report"),
    Bench("serve", needs=("fastapi", "uvicorn")),
    Bench("prepare", (*CLIPS, "--fakes", "1", "--work", "{work}/families")),
    Bench("adaptive", ("--clips", "{work}/sample", "--source", "unmask sample")),
    Bench("triage", is_module=True, places=("{work}/sample",), options=()),
    Bench("closer", ("--clips", "{work}/closer"), is_module=True),
    Bench("compare", (*CLIPS, "--work", "{work}/compare")),
    Bench("second_encoding", ("--keep", "{work}/films")),
    Bench("scale", (), is_module=True),
    Bench("train", ("--data", "{work}/prepared"), needs=("torch", "timm")),
    Bench("formats", (*CLIPS, *MODELS), needs=("torch", "timm")),
    Bench("ensemble", (*CLIPS, *MODELS), needs=("torch", "timm")),
    Bench("exact", (*CLIPS, *MODELS), needs=("torch", "timm")),
    Bench("gpu", MODELS, needs=("torch", "timm")),
)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("names", nargs="*", help="only these", metavar="NAME")
    options.add_argument("--work", type=Path, default=HERE.parent / "build" / "bench")
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--trend", type=Path, default=TREND, help="file that the numbers are added to")
    options.add_argument("--no-trend", action="store_true", help="add nothing to it")
    arguments = options.parse_args()
    unknown = sorted(set(arguments.names) - {bench.name for bench in BENCHES})
    if unknown:
        options.error(f"no benchmark {unknown[0]}; there are {', '.join(bench.name for bench in BENCHES)}")
    chosen = [bench for bench in BENCHES if not arguments.names or bench.name in arguments.names]
    make_data(arguments.work)
    run = datetime.now(UTC).isoformat(timespec="seconds"), commit(), cores_and_processor()
    earlier, numbers, failed = read(arguments.trend), list[Number](), list[str]()
    for bench in chosen:
        started = time.perf_counter()
        try:
            found = measure(bench, arguments.work, arguments.repeats, run)
        except (subprocess.SubprocessError, OSError, ValueError, LookupError) as error:
            failed.append(bench.name)
            print(f"{bench.name}: failed: {error}", flush=True)
            continue
        for number in found:
            print(line(number), flush=True)
        took = time.perf_counter() - started
        print(f"{bench.name}: {took:.0f} s" if found else f"{bench.name}: left out, needs {bench.needs}", flush=True)
        numbers += found
    print(f"\n{HEAD}", *map(line, numbers), sep="\n")
    found_worse = worse(earlier, numbers)
    print(*(f"worse: {each}" for each in found_worse), sep="\n")
    if not arguments.no_trend:
        append(arguments.trend, numbers)
    if failed:
        print("failed:", *failed)
    sys.exit(bool(failed or found_worse))


def measure(bench: Bench, work: Path, repeats: int, run: tuple[str, str, str]) -> list[Number]:
    """Return the numbers of a benchmark; none where it is left out.

    Raises:
        subprocess.SubprocessError: It failed, or took too long; what it said is in ``work``.
    """
    if not all(find_spec(module) for module in bench.needs):
        return []
    out, log = work / f"{bench.name}.json", work / f"{bench.name}.log"
    values: dict[tuple[str, bool], list[float]] = {}
    for _ in range(repeats):
        with log.open("w") as file:
            command = bench.command(work, out)
            subprocess.run(command, check=True, stdout=file, stderr=file, timeout=TIMEOUT_SECONDS, cwd=HERE.parent)
        for name, value, at_most in goals_of(out):
            values.setdefault((name, at_most), []).append(value)
    return [Number.of_repeats(run, bench.name, name, each, at_most) for (name, at_most), each in values.items()]


def goals_of(path: Path) -> list[tuple[str, float, bool]]:
    """Return name and value of the goals in a file of results, and whether small is good."""
    content = json.loads(path.read_text())
    groups = [content, *(part for part in content.values() if isinstance(part, dict))]  # those of bench_scale
    return [
        (f"{goal['name']}: {goal['what']}", float(goal["value"]), bool(goal["at_most"]))
        for group in groups
        for goal in group.get("goals", [])
    ]


HEAD = f"{'benchmark':<16} {'value':>10} {'noise':>8}  good  what"


def line(number: Number) -> str:
    """Return a row of the table."""
    good = "small" if number.at_most else "large"
    return f"{number.benchmark:<16} {number.value:>10.4g} {number.noise:>8.2g}  {good}  {number.name}"


def make_data(work: Path) -> None:
    """Make clips, a dataset and its crops, where they are not there yet."""
    work.mkdir(parents=True, exist_ok=True)
    unmask = [sys.executable, "-m", "unmask"]
    call([sys.executable, str(HERE / "clips.py"), "--quick", "--clips", str(work / "clips")])
    if not (work / "sample").exists():
        call([*unmask, "sample", str(work / "sample"), str(PORTRAIT), "--parts", "2"])
    if not (work / "prepared").exists():  # with status 3, since the sample holds a damaged clip on purpose
        call([*unmask, "prepare", str(work / "sample"), "--out", str(work / "prepared"), "--quiet"], may_end_with=3)


def call(command: Sequence[str], may_end_with: int = 0) -> None:
    if subprocess.run(command, timeout=TIMEOUT_SECONDS).returncode not in (0, may_end_with):
        raise SystemExit(f"failed: {' '.join(command)}")


def commit() -> str:
    """Return the commit of this checkout, with a ``+`` where files were changed since; empty without git."""
    try:
        said = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--exclude=*"],
            capture_output=True, text=True, check=True, cwd=HERE, timeout=60,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ""
    return said.stdout.strip()


if __name__ == "__main__":
    main()
