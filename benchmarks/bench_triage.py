"""Measure a cheap first pass on clips with labels: what key frames alone, and a cheap look first, save and cost.

    python -m benchmarks.bench_triage ../shared/data/devset --triage 0.1 0.2 --authentic ../shared/data/videos/grid_*

Prints CPU-seconds, AUC of the clips that have a number, and how many labels differ from those of full scans. "real" is
how many clips were said to be authentic, "short" how many got fewer frames than in a full scan.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.common import Goal, Options
from numpy.typing import NDArray

from unmask import Scanner
from unmask.datasets import read_index
from unmask.media.server import SERVER
from unmask.metrics import roc_auc
from unmask.scan.base import BaseScanner
from unmask.scan.triage import with_triage
from unmask.types import Verdict

RESULTS = Path(__file__).parent / "results" / "triage.json"


@dataclass(frozen=True, slots=True)
class Scan:
    """What came of a clip, and what it cost."""

    verdict: Verdict
    cpu_seconds: float


def scan(scanner: BaseScanner, paths: Sequence[Path]) -> list[Scan]:
    """Scan clips, one after the other."""
    scans = []
    for path in paths:
        before = cpu_seconds()
        verdict = scanner.scan(path)
        scans.append(Scan(verdict, cpu_seconds() - before))
    return scans


def measure(scans: Sequence[Scan], full: Sequence[Scan], fake: NDArray[np.bool_]) -> dict[str, Any]:
    """Return cost, AUC, and how many labels differ from those of full scans."""
    verdicts = [each.verdict for each in scans]
    numbers = np.array([np.nan if v.fake_probability is None else v.fake_probability for v in verdicts])
    known = ~np.isnan(numbers)
    both = len(set(fake[known].tolist())) == 2
    return {
        "cpu_seconds": round(sum(each.cpu_seconds for each in scans), 3),
        "frames": sum(v.frames_asked for v in verdicts),
        "auc": round(float(roc_auc(fake[known].astype(int), numbers[known])), 4) if both else None,
        "numbers": int(known.sum()),
        "real": sum(v.label == "real" for v in verdicts),
        "short": sum(v.frames_asked < each.verdict.frames_asked for v, each in zip(verdicts, full, strict=True)),
        "labels_changed": sum(v.label != each.verdict.label for v, each in zip(verdicts, full, strict=True)),
    }


def cpu_seconds() -> float:
    return time.process_time() + SERVER.cpu_seconds()


def main() -> None:
    parser = Options(__doc__)
    parser.add_argument("dataset", type=Path, help="anything that unmask explore reads")
    parser.add_argument("--triage", type=float, nargs="*", default=[0.1], help="bounds of the fake probability")
    parser.add_argument("--authentic", type=Path, nargs="*", default=[], help="further clips, known to be authentic")
    parser.add_argument("--clips", type=int, default=0, help="so many clips, spread over the dataset; 0 for all")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    if options.quick:
        options.clips, options.triage = 4, [0.1]
    index = read_index(options.dataset)
    clips = [clip for clip in index.clips if clip.label is not None]
    if options.clips:
        clips = [clips[i] for i in np.unique(np.linspace(0, len(clips) - 1, options.clips).astype(int))]
    paths = [*(index.path_of(clip) for clip in clips), *options.authentic]
    fake = np.array([clip.label == "fake" for clip in clips] + [False] * len(options.authentic))
    scanner = Scanner()
    scanner.scan(paths[0])  # what is loaded when it is first needed
    full = scan(scanner, paths)
    contestants = {"keyframes": Scanner(sampling="keyframes")}
    contestants |= {f"triage {most:g}": with_triage(scanner, most) for most in options.triage}
    results = {"full": measure(full, full, fake)}
    print("full", results["full"], flush=True)
    for name, contestant in contestants.items():
        results[name] = measure(scan(contestant, paths), full, fake)
        print(name, results[name], flush=True)
    facts = {"dataset": options.dataset.name, "clips": len(paths), "fake": int(fake.sum())}
    goals = [
        Goal.watched(
            "N3", f"CPU of a full scan / of one by {name}", results["full"]["cpu_seconds"] / each["cpu_seconds"], False
        ).to_dict()
        for name, each in results.items()
        if name != "full"
    ]
    options.out.write_text(json.dumps(facts | results | {"goals": goals}, indent=1) + "\n")


if __name__ == "__main__":
    main()
