"""Measure the rows N1 to N12 of docs/goals.md in short form, one after the other; see `ROWS` for what each takes.

    python benchmarks/rows.py --clips CLIPS --before BEFORE --reference-python PYTHON --models MODELS --data DATA
    python benchmarks/rows.py ... --list              # print the commands and how long each takes
    python benchmarks/rows.py ... --only before starts
    python benchmarks/rows.py ... --quick             # prove that each runs; needs no reference

``--clips`` is a folder of clips.py, ``--before`` a checkout of 7e3142a, ``--models`` a folder of bench_ensemble.py's
random models (made in an hour where it is empty), ``--data`` a folder with the labelled sets devset and devset2. Short
form: few rounds, and clips that show one person and several. Each writes its file in results/ once it is done; one that
fails or takes three times as long is named in the end, and the others go on. Nothing else should run on the machine.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
LARGE = "{models}/tf_efficientnet_b7.ns_jft_in1k-380-"
SEVERAL = ("480p-wide-30fps-1face-gop250", "720p-wide-15fps-3faces-gop30")
"""Clips of the short form of N4, some minutes each: one person, and several."""


@dataclass(frozen=True, slots=True)
class Row:
    """One benchmark."""

    name: str
    """Of its file of results."""
    goals: str
    """Rows of docs/goals.md."""
    minutes: float
    """What it takes on two quiet cores of 2025."""
    command: str
    """Script and options, with places for what is named on the command line."""


ROWS = (
    Row("before", "N1 N2 N3", 5, "bench_before.py --clips {clips} --before {before} --rounds 3"),
    Row("decode", "N9", 3, "bench_decode.py --clips {clips} --rounds 3 --reference-python {reference}"),
    Row("faces", "N10", 5, "bench_faces.py --clips {clips} --rounds 2 --reference-python {reference}"),
    Row("starts", "N12", 1, "bench_process.py --clips {clips} --starts"),
    Row("formats", "N5 N6", 6, f"bench_formats.py --clips {{clips}} --rounds 2 --model {LARGE}{{{{0..6}}}}"),
    Row(
        "adaptive_devset",
        "N8",
        3,
        "bench_adaptive.py --clips {data}/devset --source 'FaceForensics++ clips at c40, the bundled model' --rounds 1",
    ),
    Row(
        "adaptive_devset2",
        "N8",
        6,
        "bench_adaptive.py --clips {data}/devset2 --source 'clips of new kinds, the bundled model' --rounds 1",
    ),
    Row(
        "prepare",
        "N11",
        5,
        f"bench_prepare.py --clips {{clips}} --families {SEVERAL[0]} --fakes 5 --reference-python {{reference}}",
    ),
    Row(
        "ensemble",
        "N4 N7",
        12,
        f"bench_ensemble.py --clips {{several}} --rounds 1 --kept {HERE}/results/reference_scans.json "
        f"--reference-python {{reference}} --model {LARGE}{{{{0..6}}}}",
    ),
)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--clips", type=Path, required=True)
    options.add_argument("--before", type=Path, default=Path("before"))
    options.add_argument("--reference-python", default="python")
    options.add_argument("--models", type=Path, default=Path("bench_models"))
    options.add_argument("--data", type=Path, default=Path("../shared/data"))
    options.add_argument("--out", type=Path, default=HERE / "results")
    options.add_argument("--work", type=Path, default=HERE.parent / "build" / "rows")
    options.add_argument("--only", nargs="+", choices=[row.name for row in ROWS], default=[row.name for row in ROWS])
    options.add_argument("--list", action="store_true")
    options.add_argument("--quick", action="store_true")
    arguments = options.parse_args()
    chosen = [row for row in ROWS if row.name in arguments.only]
    several = arguments.work / "several"
    several.mkdir(parents=True, exist_ok=True)
    for name in SEVERAL:
        link = several / f"{name}.mp4"
        link.unlink(missing_ok=True)
        link.symlink_to((arguments.clips / link.name).resolve())
    failed = [row.name for row in chosen if not run(row, arguments, several)]
    if failed:
        raise SystemExit(f"failed: {' '.join(failed)}; what they said is in {arguments.work}")
    if not (arguments.list or arguments.quick):
        print("now run: python benchmarks/table.py")


def run(row: Row, arguments: argparse.Namespace, several: Path) -> bool:
    """Run one benchmark; return whether it wrote its results."""
    told = {"clips": arguments.clips, "before": arguments.before, "reference": arguments.reference_python}
    told |= {"models": arguments.models, "data": arguments.data, "several": several}
    words = shlex.split(row.command.format(**{name: shlex.quote(str(value)) for name, value in told.items()}))
    words = [each for word in words for each in ([word] if "{0..6}" not in word else numbered(word))]
    out = (arguments.work if arguments.quick else arguments.out) / f"{row.name}.json"
    command = [sys.executable, str(HERE / words[0]), *words[1:], "--out", str(out)]
    if arguments.quick:
        large = command.index("--model") if "--model" in command else len(command)
        small = ["--work", str(arguments.work / "models")] if large < len(command) else []
        command = [*command[:large], *small, "--quick", "--out", str(out)]
    print(f"{row.goals}: {row.minutes:g} min: {shlex.join(command)}", flush=True)
    if arguments.list:
        return True
    started, log = time.perf_counter(), arguments.work / f"{row.name}.log"
    with log.open("w") as file:
        try:
            code = subprocess.run(
                command, check=False, stdout=file, stderr=file, timeout=180 * row.minutes, cwd=HERE.parent
            ).returncode
        except subprocess.TimeoutExpired:
            code = -1
    took = (time.perf_counter() - started) / 60
    print(f"  {'done' if code == 0 else 'failed'} in {took:.1f} min at a load of {os.getloadavg()[0]:.1f}: {log}")
    return code == 0


def numbered(word: str) -> list[str]:
    """Return a word for each of seven models."""
    return [word.replace("{0..6}", str(number)) for number in range(7)]


if __name__ == "__main__":
    main()
