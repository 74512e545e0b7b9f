"""What a process costs: peak memory of a scan (P9) and how soon the first answer comes (P13, N12).

    python benchmarks/bench_process.py --clips CLIPS --out benchmarks/results/process.json

P9 is the peak resident memory of a fresh process while it scans one clip, beyond what is resident after the
model was loaded and a tiny clip was scanned. P13 is the wall time of ``unmask --help`` and of ``unmask scan`` until its
first line, both in new processes, with the files in the page cache; N12 is the same with the first three seconds of the
clip. Its floors: a new interpreter, one that imports the libraries of a scan, decoding the frames of these seconds that
others refer to, and the network on all cores for one face in each of 32 frames. ``--starts`` measures N12 alone. Linux
only.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np

from bench_decode import decode_all
from common import Clip, Goal, clips_of, interleave, load_clips, measure, median, row, status_mb, write
from common import parser as common_parser
from unmask.models import load_network, model_folder

FIRST = "1080p-wide-30fps-1face-gop250"
"""Clip of the first verdict."""
SHORT_SECONDS, FRAMES = 3, 32
LIBRARIES = "import av, cv2, numpy, pydantic, typer, unmask.runtime.openvino; print()"
LIMITS_MB = {FIRST: (300, 150), "1080p-10minutes": (300, 150), "4k-10seconds": (600, 300)}
"""Clip -> goal and stretch goal."""
PROGRAM = Path(sys.executable).with_name("unmask")


def main() -> None:
    if sys.argv[1:2] == ["child"]:
        child(*sys.argv[2:])
        return
    options = common_parser(__doc__)
    options.add_argument("--starts", action="store_true", help="only N12")
    arguments = options.parse_args()
    clips = {clip.name: clip for use in ("speed", "memory") for clip in load_clips(arguments.clips, use)}
    limits, first = LIMITS_MB, FIRST
    if arguments.quick:
        first = clips_of(arguments)[0].name
        limits = {first: LIMITS_MB[FIRST]}
    goals, peaks = memory(clips, {} if arguments.starts else limits, 1 if arguments.quick else 3)
    goals += [
        goal for goal in starts(clips[first].path, arguments.rounds) if goal.name == "N12" or not arguments.starts
    ]
    write(arguments, goals, peaks)


def memory(
    clips: dict[str, Clip], limits: dict[str, tuple[int, int]], processes: int
) -> tuple[list[Goal], dict[str, dict[str, float]]]:
    """Scan each clip in processes of their own; the highest peak of them counts."""
    goals, peaks = [], {}
    for name, (must, stretch) in limits.items():
        command = [sys.executable, __file__, "child", str(clips["tiny"].path), str(clips[name].path)]
        runs = [
            subprocess.run(command, check=True, capture_output=True, text=True).stdout.split() for _ in range(processes)
        ]
        resident, peak = (max(float(run[i]) for run in runs) for i in (0, 1))
        beyond = max(float(run[1]) - float(run[0]) for run in runs)
        peaks[name] = {"resident_mb": resident, "peak_mb": peak, "beyond_mb": beyond}
        row(name, peaks[name])
        what = f"peak memory beyond the loaded model, MB, {name}"
        goals.append(Goal.single("P9", what, beyond, must, stretch, at_most=True))
    return goals, peaks


def child(tiny: str, clip: str) -> None:
    """Print resident memory after a tiny scan, and the peak during the real one, in MB."""
    from unmask import Scanner

    scanner = Scanner()
    scanner.scan(tiny)
    Path("/proc/self/clear_refs").write_text("5")  # from here on the peak counts anew
    resident = status_mb("VmRSS")
    verdict = scanner.scan(clip)
    assert verdict.status == "ok", verdict.reasons
    print(resident, status_mb("VmHWM"))


def starts(clip: Path, rounds: int) -> list[Goal]:
    """Time new processes until they have answered."""
    with tempfile.TemporaryDirectory() as folder:
        short = Path(folder) / clip.name
        cut(clip, short)
        commands: dict[str, list[Any]] = {
            "--help": [PROGRAM, "--help"],
            "first verdict": [PROGRAM, "scan", clip],
            "first verdict of three seconds": [PROGRAM, "scan", short],
            "floor: a new interpreter": [sys.executable, "-c", "print()"],
            "floor: with Typer, which reads the command line": [sys.executable, "-c", "import typer; print()"],
            "floor: with the libraries of a scan": [sys.executable, "-c", LIBRARIES],
        }
        network = load_network(model_folder("bundled"))
        black_NSS3 = np.zeros((FRAMES, network.card.crop.size_px, network.card.crop.size_px, 3), np.uint8)
        contestants = {name: partial(first_line, command) for name, command in commands.items()} | {
            "floor: decoding three seconds": partial(wall_seconds, partial(decode_all, short, "NONREF")),
            "floor: the network": partial(wall_seconds, partial(network.score, black_NSS3)),
        }
        interleave(1, *contestants.values())  # warm up: the files come into the page cache
        seconds = dict(zip(contestants, map(median, interleave(rounds, *contestants.values())), strict=True))
    limits = [
        ("P13", "--help", 0.4, 0.2),
        ("P13", "first verdict", 4.0, 2.5),
        ("N12", "--help", 0.15, None),
        ("N12", "first verdict of three seconds", 1.5, None),
    ]
    return [
        Goal.single(name, f"{what}, seconds from a new process", seconds[what], must, stretch, at_most=True)
        for name, what, must, stretch in limits
    ] + [Goal.watched("N12", f"{what}, seconds", seconds[what]) for what in seconds if what.startswith("floor")]


def wall_seconds(function: Callable[[], Any]) -> float:
    """Return the seconds that a function takes."""
    return measure(function)[0].wall_seconds


def cut(clip: Path, short: Path) -> None:
    """Write the first three seconds of a clip as they are encoded."""
    with av.open(str(clip)) as source, av.open(str(short), "w") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.dts is not None and packet.dts * stream.time_base < SHORT_SECONDS:
                packet.stream = copy
                target.mux(packet)


def first_line(command: list[Any]) -> float:
    """Return seconds until a command has printed its first line."""

    def run() -> None:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert process.stdout is not None
        if not process.stdout.readline():
            raise SystemExit(f"{command} printed nothing")
        finished.append(process)

    finished: list[subprocess.Popen[bytes]] = []
    cost = measure(run)[0]
    finished[0].communicate()
    return cost.wall_seconds


if __name__ == "__main__":
    main()
