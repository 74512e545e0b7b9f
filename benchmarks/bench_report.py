"""What the pictures of a report cost: scans that keep them against scans that do not, and the length of the page.

    python benchmarks/bench_report.py --clips clips --out benchmarks/results/report.json

The ratio is one of CPU seconds of whole scans: clips are decoded in the scanning process.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from common import Clip, Goal, clips_of, interleave, measure, median, parser, row, spread, write
from unmask import Limits, Scanner, Verdict

COST_GOAL, COST_STRETCH, PAGE_GOAL_BYTES = 1.05, 1.03, 250_000


def main() -> None:
    """Measure, print and write the results."""
    options = parser(__doc__)
    options.add_argument("--most", type=int, help="clips to look at, at most")
    arguments = options.parse_args()
    limits = Limits(isolate=False)
    scanners = [Scanner(precision="fp32", pictures=pictures, limits=limits) for pictures in (True, False)]
    found = {
        clip.name: measure_clip(clip, scanners, arguments.rounds)
        for clip in spread(clips_of(arguments), arguments.most)
    }
    ratios = [values["with_pictures"] / values["without"] for values in found.values()]
    longest = max(values["page_bytes"] for values in found.values())
    goals = [
        Goal.of_clips(
            "R1",
            "CPU of a scan that keeps pictures over one that does not",
            ratios,
            arguments.seed,
            COST_GOAL,
            COST_STRETCH,
            at_most=True,
        ),
        Goal.single("R2", "length of the longest page in bytes", longest, PAGE_GOAL_BYTES, None, at_most=True),
    ]
    write(arguments, goals, found, precision=scanners[0].settings["precision"])


def measure_clip(clip: Clip, scanners: list[Scanner], rounds: int) -> dict[str, float]:
    """Scan a clip in turns, after a round of warming up; the medians count."""
    for scanner in scanners:
        scanner.scan(clip.path)
    runs = interleave(
        rounds, *(lambda scanner=scanner: measure(lambda: scanner.scan(clip.path)) for scanner in scanners)
    )
    kept, none = (median(cost.cpu_seconds for cost, _ in results) for results in runs)
    values = {"with_pictures": kept, "without": none, "page_bytes": page_bytes(runs[0][0][1])}
    row(clip.name, values)
    return values


def page_bytes(verdict: Verdict) -> int:
    """Return the length of a verdict's page."""
    with tempfile.TemporaryDirectory() as folder:
        return verdict.save(Path(folder) / "page.html").stat().st_size


if __name__ == "__main__":
    main()
