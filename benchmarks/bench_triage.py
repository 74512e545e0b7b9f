"""Measure a cheap first pass: what key frames alone, and a full scan of the rest, save and cost on clips with labels.

    python -m benchmarks.bench_triage ../shared/data/devset --triage 0.1 0.2

Prints CPU-seconds, AUC of the clips that have a number, and how many labels differ from those of full scans.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from unmask import Scanner
from unmask.datasets import read_index
from unmask.media.server import SERVER
from unmask.metrics import roc_auc
from unmask.scan.base import BaseScanner
from unmask.scan.triage import TriageScanner
from unmask.types import Verdict

RESULTS = Path(__file__).parent / "results" / "triage.json"


def scan(scanner: BaseScanner, paths: Sequence[Path]) -> tuple[list[Verdict], float]:
    """Return the verdicts, and the CPU-seconds that they took."""
    before = cpu_seconds()
    verdicts = [scanner.scan(path) for path in paths]
    return verdicts, cpu_seconds() - before


def cpu_seconds() -> float:
    return time.process_time() + SERVER.cpu_seconds()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path, help="anything that unmask explore reads")
    parser.add_argument("--triage", type=float, nargs="*", default=[0.1], help="bounds of the fake probability")
    parser.add_argument("--clips", type=int, default=0, help="so many clips, spread over the dataset; 0 for all")
    options = parser.parse_args()
    index = read_index(options.dataset)
    clips = [clip for clip in index.clips if clip.label is not None]
    if options.clips:
        clips = [clips[i] for i in np.unique(np.linspace(0, len(clips) - 1, options.clips).astype(int))]
    paths, fake = [index.path_of(clip) for clip in clips], np.array([clip.label == "fake" for clip in clips])
    full = Scanner()
    full.scan(paths[0])  # what is loaded when it is first needed
    contestants: dict[str, BaseScanner] = {"full": full, "keyframes": Scanner(sampling="keyframes")}
    contestants |= {f"triage {most:g}": TriageScanner(full, most) for most in options.triage}
    results, labels = {}, []
    for name, scanner in contestants.items():
        verdicts, seconds = scan(scanner, paths)
        labels = labels or [verdict.label for verdict in verdicts]
        numbers = np.array([np.nan if v.fake_probability is None else v.fake_probability for v in verdicts])
        known = ~np.isnan(numbers)
        both = len(set(fake[known].tolist())) == 2
        results[name] = {
            "cpu_seconds": round(seconds, 1),
            "auc": round(float(roc_auc(fake[known].astype(int), numbers[known])), 4) if both else None,
            "numbers": int(known.sum()),
            "labels_changed": sum(v.label != label for v, label in zip(verdicts, labels, strict=True)),
        }
        print(name, results[name], flush=True)
    RESULTS.write_text(json.dumps({"dataset": options.dataset.name, "clips": len(clips), **results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
