"""Training in two processes against one: samples a second (P15).

    python benchmarks/bench_train.py --data PREPARED --out benchmarks/results/train.json

The same steps of the same network on CPUs, gloo, one thread a process; the runs take turns A B B A and the median
counts. A step of two processes holds twice the samples, so perfect scaling is 2. Start-up and the first steps are left
out: the rate is that between two lines of the log.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from common import Goal, Options, interleave, median, processor, versions

RECIPE = Path(__file__).parents[1] / "recipes" / "tiny.toml"
STEPS, LEFT_OUT, BATCH = 24, 4, 16


def main() -> None:
    options = Options(__doc__)
    options.add_argument("--data", type=Path, required=True, help="folder of unmask prepare")
    options.add_argument("--out", type=Path, required=True, help="JSON file to write")
    options.add_argument("--rounds", type=int, default=4, help="runs of each; the median counts")
    arguments = options.parse_args()
    if arguments.quick:
        arguments.rounds = 1
    one, two = interleave(arguments.rounds, lambda: rate(arguments.data, 1), lambda: rate(arguments.data, 2))
    ratios = [b / a for a, b in zip(one, two, strict=True)]
    draws = np.median(np.random.default_rng(0).choice(ratios, (2000, len(ratios))), axis=1)
    goal = Goal(
        "P15",
        "samples a second of two processes / one",
        median(ratios),
        float(np.quantile(draws, 0.05)),
        1.7,
        1.9,
        False,
    )
    content: dict[str, Any] = {
        "goals": [goal.to_dict()],
        "samples_per_second": {"one": one, "two": two},
        "recipe": "tiny", "batch_size": BATCH, "steps": STEPS - LEFT_OUT, "seed": 0, "rounds": arguments.rounds,
        "source": "crops of unmask prepare",
        "environment": {"processor": processor(), "cores": os.cpu_count(), **versions("unmask", "torch", "numpy")},
    }  # fmt: skip
    arguments.out.write_text(json.dumps(content, indent=1) + "\n")
    print(goal)


def rate(data: Path, processes: int) -> float:
    """Return samples a second of a run."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", processes] if processes > 1 else []
        changes = ["epochs=1", f"batches_per_epoch={STEPS}", f"batch_size={BATCH}", "optimizer.ema_decay=0.9"]
        options = ["--data", data, "--out", out, "--device", "cpu", "-q", *(x for c in changes for x in ("--set", c))]
        command = [sys.executable, *launch, "-m", "unmask", "train", RECIPE, *options]
        run = subprocess.Popen(
            list(map(str, command)), env=os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        )
        stamps: list[float] = []
        while run.poll() is None:
            log = out / "log.jsonl"
            lines = log.read_text().count('"event":"step"') if log.exists() else 0
            stamps += [time.perf_counter()] * (lines - len(stamps))
            time.sleep(0.005)
        if run.returncode:
            raise RuntimeError(f"training in {processes} processes ended with {run.returncode}")
        shutil.rmtree(out)
    return (STEPS - 1 - LEFT_OUT) * BATCH * processes / (stamps[STEPS - 1] - stamps[LEFT_OUT])


if __name__ == "__main__":
    main()
