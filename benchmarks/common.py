"""What the benchmarks share: the clips, the reference process, interleaved rounds, ratios with bounds, results."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np

Result = TypeVar("Result")

QUICK_ROUNDS = 2
"""Runs of each contestant with ``--quick``: `scripts/bench` repeats the whole."""


@dataclass(frozen=True, slots=True)
class Clip:
    """A file to measure with."""

    name: str
    path: Path
    spec: dict[str, Any]
    """How it was made, as `clips.ClipSpec`; empty for a found video."""


@dataclass(frozen=True, slots=True)
class Measure:
    """What one run cost."""

    wall_seconds: float
    cpu_seconds: float
    """Of all threads of the process."""


@dataclass(frozen=True, slots=True)
class Goal:
    """A measured value beside what it should be."""

    name: str
    what: str
    value: float
    bound: float
    """The one-sided 95 % bound on the bad side; the value itself where it is no mean over clips."""
    goal: float | None
    """None where a number is only watched, see `trend.py`."""
    stretch: float | None
    at_most: bool
    """Whether small is good."""

    @classmethod
    def single(cls, name: str, what: str, value: float, goal: float, stretch: float | None, at_most: bool) -> Self:
        """Judge one value."""
        return cls(name, what, value, value, goal, stretch, at_most)

    @classmethod
    def watched(cls, name: str, what: str, value: float, at_most: bool = True) -> Self:
        """Return a value without a goal."""
        return cls(name, what, value, value, None, None, at_most)

    @classmethod
    def of_clips(
        cls, name: str, what: str, ratios: Sequence[float], seed: int, goal: float, stretch: float | None, at_most: bool
    ) -> Self:
        """Judge the mean of the clips' ratios by its bound."""
        return cls(name, what, *mean_ratio(ratios, seed, at_most), goal, stretch, at_most)

    @property
    def met(self) -> bool:
        """Whether the bound reaches the goal, if there is one."""
        if self.goal is None:
            return True
        return self.bound <= self.goal if self.at_most else self.bound >= self.goal

    def to_dict(self) -> dict[str, Any]:
        """Return what is written to the results."""
        return asdict(self) | {"met": self.met}

    def __str__(self) -> str:
        if self.goal is None:
            return f"{self.name:<4}{self.value:8.3f}  {self.what}"
        sign = "<=" if self.at_most else ">="
        stretch = "" if self.stretch is None else f" (stretch {self.stretch:g})"
        verdict = "met" if self.met else "MISSED"
        number = f"{self.value:8.3f}  bound {self.bound:8.3f}"
        return f"{self.name:<4}{number}  goal {sign} {self.goal:g}{stretch}  {verdict}: {self.what}"


class Options(argparse.ArgumentParser):
    """Options of a benchmark, all of which know ``--quick``: a first impression in less than a minute."""

    def __init__(self, doc: str | None) -> None:
        super().__init__(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
        self.add_argument(
            "--quick", action="store_true", help="one clip, few runs: less than a minute, see scripts/bench"
        )

    def parse_args(self, *args: Any, **kwargs: Any) -> Any:
        """Return the arguments; with ``--quick`` there are few rounds."""
        arguments = super().parse_args(*args, **kwargs)
        if arguments.quick and "rounds" in arguments:
            arguments.rounds = min(arguments.rounds, QUICK_ROUNDS)
        return arguments


def parser(doc: str | None, reference: bool = False) -> Options:
    """Return a parser with the options that most benchmarks take."""
    options = Options(doc)
    options.add_argument("--clips", type=Path, required=True, help="folder of clips.py, or any folder of videos")
    options.add_argument("--out", type=Path, required=True, help="JSON file to write")
    options.add_argument("--seed", type=int, default=0, help="of the bootstrap")
    options.add_argument("--rounds", type=int, default=6, help="runs of each contestant; the median counts")
    options.add_argument("--source", default="", help="what a folder without clips.json holds, in words")
    if reference:
        options.add_argument("--reference-python", help="the reference environment's interpreter; --quick needs none")
    return options


def load_clips(folder: Path, use: str = "speed") -> list[Clip]:
    """Return the clips that `clips.py` made for ``use``, or all videos of another folder."""
    description = folder / "clips.json"
    if not description.exists():
        return [Clip(path.stem, path, {}) for path in sorted(folder.iterdir()) if path.is_file()]
    specs = json.loads(description.read_text())["clips"]
    return [Clip(spec["name"], folder / f"{spec['name']}.mp4", spec) for spec in specs if spec["use"] == use]


def clips_of(arguments: argparse.Namespace, use: str = "speed") -> list[Clip]:
    """Return the clips to measure with; with ``--quick`` one of them."""
    return spread(load_clips(arguments.clips, use), 1 if arguments.quick else None)


def spread(items: Sequence[Result], most: int | None) -> list[Result]:
    """Return at most so many of the items, evenly over the list; None for all."""
    count = min(most or len(items), len(items))
    return [items[i] for i in np.linspace(0, len(items) - 1, count).astype(int)]


def measure(function: Callable[[], Result]) -> tuple[Measure, Result]:
    """Call a function and time it."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = function()
    return Measure(time.perf_counter() - wall, time.process_time() - cpu), result


def interleave(rounds: int, *contestants: Callable[[], Result]) -> list[list[Result]]:
    """Call the contestants in the order A B B A A B ... and return each one's results."""
    results: list[list[Result]] = [[] for _ in contestants]
    for turn in range(rounds):
        order = range(len(contestants)) if turn % 2 == 0 else reversed(range(len(contestants)))
        for i in order:
            results[i].append(contestants[i]())
    return results


def median(values: Iterable[float]) -> float:
    """Return the median as a plain number."""
    return float(np.median(list(values)))


def mean_ratio(ratios: Sequence[float], seed: int, at_most: bool) -> tuple[float, float]:
    """Return the geometric mean of the clips' ratios and its one-sided 95 % bootstrap bound over clips."""
    logs = np.log(ratios)
    means = np.random.default_rng(seed).choice(logs, (10_000, len(logs))).mean(axis=1)
    return float(np.exp(logs.mean())), float(np.exp(np.quantile(means, 0.95 if at_most else 0.05)))


class LineProcess:
    """A process that answers each line with a line, until there are no more."""

    def __init__(self, *command: str) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask_line(self, line: str) -> str:
        """Send one line and wait for its answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(line, file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError("the other process ended; its message is above")
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


class Reference(LineProcess):
    """The challenge winner's pipeline in a process of its own, see `reference.py`."""

    def __init__(self, python: str, *options: str) -> None:
        super().__init__(python, str(Path(__file__).with_name("reference.py")), *options)
        self.environment: dict[str, str] = self.ask(op="environment")["environment"]

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send one request and wait for its answer."""
        answer: dict[str, Any] = json.loads(self.ask_line(json.dumps(request)))
        return answer


@contextmanager
def open_reference(arguments: argparse.Namespace, *options: str) -> Iterator[Reference | None]:
    """Start the reference; with ``--quick`` there need be none.

    Raises:
        SystemExit: No interpreter was named.
    """
    if arguments.reference_python is not None:
        with Reference(arguments.reference_python, *options) as reference:
            yield reference
    elif arguments.quick:
        yield None
    else:
        raise SystemExit("name the interpreter of the reference with --reference-python, or leave it out with --quick")


def versions(*packages: str) -> dict[str, str]:
    """Return Python's version and those of installed packages."""
    return {"python": platform.python_version()} | {package: version(package) for package in packages}


def write(
    arguments: argparse.Namespace,
    goals: Sequence[Goal],
    clips: dict[str, Any],
    reference: Reference | None = None,
    **more: Any,
) -> None:
    """Print the goals and write everything to ``--out``."""
    description = arguments.clips / "clips.json"
    source = json.loads(description.read_text())["source"] if description.exists() else arguments.source
    environment: dict[str, Any] = {"processor": processor(), "cores": os.cpu_count()}
    environment |= versions("unmask", "numpy", "av", "opencv-python-headless", "openvino")
    if reference is not None:
        environment["reference"] = reference.environment
    content = {
        "goals": [goal.to_dict() for goal in goals],
        **more,
        "clips": clips,
        "source": source,
        "seed": arguments.seed,
        "rounds": arguments.rounds,
        "environment": environment,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(_rounded(content), indent=1) + "\n")
    print("\n".join(map(str, goals)))


def row(name: str, values: dict[str, float]) -> None:
    """Print one clip's line."""
    print(f"{name:<34}" + "  ".join(f"{key} {value:.3g}" for key, value in values.items()), flush=True)


@contextmanager
def one_opencv_thread() -> Iterator[None]:
    """Keep OpenCV on one thread, as the comparison demands."""
    import cv2

    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    yield
    cv2.setNumThreads(threads)


def status_mb(key: str) -> float:
    """Return a line of this process's memory accounts, on Linux."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 1024


def processor() -> str:
    """Return the CPU's name and its instruction sets."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    features = next((line for line in lines if line.startswith("flags")), "").split()
    known = [name for name in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16") if name in features]
    return " ".join([names[0] if names else platform.processor(), *known])


def cores_and_processor() -> str:
    """Return what names a kind of machine: two of a kind may be compared."""
    return f"{processor()}, {os.cpu_count()} cores"


def _rounded(value: Any) -> Any:
    """Five digits are more than the measurement knows."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, (list, tuple)) else value
