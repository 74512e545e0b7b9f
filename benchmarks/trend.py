"""What the numbers of `scripts/bench` were, run after run, and which got worse by more than their noise.

    python benchmarks/trend.py [--trend benchmarks/results/trend.jsonl]

The file holds a line for each number of a run: date, commit, machine, benchmark, name, value, noise, and whether small
is good. A value is the median of the repeats of one run, its noise their range. A number got worse where it lies beyond
the median of the earlier runs of the same machine, on its bad side, by more than both noises together, added as
independent errors are; that of the earlier runs is their median. The first run of a machine can have got no worse.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Self

TREND = Path(__file__).parent / "results" / "trend.jsonl"


@dataclass(frozen=True, slots=True)
class Number:
    """What one run found."""

    date: str
    """When the run began, in UTC: it names the run."""
    commit: str
    machine: str
    benchmark: str
    name: str
    value: float
    noise: float
    """Range of the repeats."""
    at_most: bool
    """Whether small is good."""

    @classmethod
    def of_repeats(
        cls, run: tuple[str, str, str], benchmark: str, name: str, values: Sequence[float], at_most: bool
    ) -> Self:
        """Sum up the repeats of one run, which is its date, commit and machine."""
        return cls(*run, benchmark, name, float(median(values)), max(values) - min(values), at_most)

    @property
    def key(self) -> tuple[str, str, str]:
        """What other runs call the same number."""
        return self.machine, self.benchmark, self.name


@dataclass(frozen=True, slots=True)
class Worse:
    """A number that got worse by more than its noise."""

    number: Number
    before: float
    """Median of the earlier runs."""
    noise: float
    """Of both."""

    def __str__(self) -> str:
        now, sign = self.number, "+" if self.number.value > self.before else "-"
        by = f"{sign}{abs(now.value - self.before):.3g}, noise {self.noise:.2g}"
        return f"{now.benchmark}: {now.name}: {self.before:.4g} -> {now.value:.4g} ({by})"


def read(path: Path) -> list[Number]:
    """Return all numbers of a file, in its order; none where there is no file."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [Number(**json.loads(line)) for line in lines if line]


def append(path: Path, numbers: Iterable[Number]) -> None:
    """Add the numbers of a run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        for number in numbers:
            rounded = {"value": float(f"{number.value:.5g}"), "noise": float(f"{number.noise:.2g}")}
            file.write(json.dumps(asdict(number) | rounded) + "\n")


def worse(earlier: Iterable[Number], run: Iterable[Number]) -> list[Worse]:
    """Return the numbers of a run that are worse than earlier ones by more than their noise."""
    known: dict[tuple[str, str, str], list[Number]] = {}
    for number in earlier:
        known.setdefault(number.key, []).append(number)
    found = []
    for number in run:
        others = known.get(number.key)
        if not others:
            continue
        before = float(median(other.value for other in others))
        noise = math.hypot(number.noise, median(other.noise for other in others))
        rise = number.value - before if number.at_most else before - number.value
        if rise > noise:
            found.append(Worse(number, before, noise))
    return found


def last_run(numbers: Sequence[Number]) -> tuple[list[Number], list[Number]]:
    """Return the numbers of all runs but the last, and those of the last."""
    latest = max((number.date for number in numbers), default="")
    return [n for n in numbers if n.date != latest], [n for n in numbers if n.date == latest]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--trend", type=Path, default=TREND)
    found = worse(*last_run(read(options.parse_args().trend)))
    print("\n".join(map(str, found)) if found else "nothing got worse by more than its noise")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
