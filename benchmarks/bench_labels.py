"""What it costs a clip to look for declared labels, and for traces of how it was written.

    python benchmarks/bench_labels.py --clips CLIPS --out benchmarks/results/labels.json

Each clip is opened once, in this process; then its readers are called again and again, and the least time counts: it is
what the decoder of a scan does beside listing the frames.
"""

from __future__ import annotations

import time

import numpy as np

from common import Clip, Goal, clips_of, parser, row, write
from unmask.evidence.labels import read_labels
from unmask.evidence.traces import read_traces
from unmask.media.frames import OpenFile, open_in_process
from unmask.media.limits import Limits
from unmask.media.readers import Reader
from unmask.media.regular import open_regular

GOAL_MS = 3.0
READERS = {"labels_ms": read_labels, "traces_ms": read_traces}


def main() -> None:
    arguments = parser(__doc__).parse_args()
    clips = {clip.name: cost(clip, arguments.rounds) for clip in clips_of(arguments)}
    most = float(np.max([clip["labels_ms"] for clip in clips.values()]))
    what = f"milliseconds for the labels of a clip, the worst of {len(clips)}"
    write(arguments, [Goal.single("E2", what, most, GOAL_MS, None, at_most=True)], clips)


def cost(clip: Clip, rounds: int) -> dict[str, float]:
    """Return the least time that each reader took, in milliseconds."""
    with open_regular(clip.path) as file:
        opened = open_in_process(file, "0" * 64, Limits())
        costs = {name: 1000 * least(reader, opened, rounds) for name, reader in READERS.items()}
    row(clip.name, costs)
    return costs


def least(reader: Reader, opened: OpenFile, rounds: int) -> float:
    """Return the least time of some calls in seconds."""
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        reader(opened)
        times.append(time.perf_counter() - started)
    return min(times)


if __name__ == "__main__":
    main()
