"""What closer looks cost and find: a scan with them against one of 32 evenly spread frames, in the same run.

    python -m benchmarks.bench_closer --clips FOLDER --out benchmarks/results/closer.json

The clips are made of a public-domain portrait, and kept in FOLDER: authentic ones of one shot, and ones of 0.5, 2 and
10 minutes in which 1, 3 or 10 seconds are manipulated, as a shot of its own and as a passage within the shot. What is
manipulated is ``found`` where the clip is called fake, ``named`` where it is called inconclusive and the person's
passage lies in it, else ``missed``. The cost is measured on the authentic clips: a ratio of CPU seconds, with decoding
in this process; scans of both kinds alternate and the median counts. The even scan takes no signatures of frames and
knows of no shots.
"""

from __future__ import annotations

import json
import os
import resource
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import av
import numpy as np
from benchmarks.common import Goal, Options, processor, versions
from examples.make_clips import PORTRAIT, blend_portrait

from unmask import Scanner, Verdict
from unmask.datasets.synthetic import RATE, SIZE_PX, looped_films, read_portrait, with_passage
from unmask.media import Limits, Video
from unmask.storage.atomic import scratch_folder
from unmask.types import ImageHW3

LOOP = 75
QUICK_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Case:
    """One clip."""

    seconds: float
    """Its length."""
    fake_seconds: float = 0.0
    """Length of what is manipulated, 0 for an authentic clip."""
    is_shot: bool = True
    """Whether it is a shot of its own."""

    @property
    def start_seconds(self) -> float:
        """When it starts."""
        return 0.37 * self.seconds + 0.3


CASES = (
    Case(10),
    Case(30),
    Case(120),
    Case(600),
    *(Case(seconds, fake, shot) for seconds in (30, 120, 600) for fake in (1, 3, 10) for shot in (True, False)),
)


class EvenScanner(Scanner):
    """Looks at evenly spread frames alone."""

    def scan_video(self, video: Video, draft: Verdict) -> Verdict:
        """Judge a video whose frames have no signatures."""
        return super().scan_video(replace(video, decode=lambda indices, _=None: video.decode(indices)), draft)


def main() -> None:
    """Run all cases and print a line for each."""
    parser = Options(__doc__)
    parser.add_argument("--clips", type=Path, required=True, help="folder; clips that lie in it are not made again")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--max-seconds", type=float, default=600, help="leave longer clips out")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.max_seconds = QUICK_SECONDS
    arguments.clips.mkdir(parents=True, exist_ok=True)
    here = Limits(isolate=False)
    closer, even = Scanner(limits=here), EvenScanner(limits=here, max_frames=0)
    portrait = read_portrait(PORTRAIT)
    films, rows = looped_films(portrait, blend_portrait(portrait), LOOP), []
    for case in CASES:
        if case.seconds > arguments.max_seconds:
            continue
        path = arguments.clips / f"{case.seconds}_{case.fake_seconds}_{int(case.is_shot)}.mp4"
        if not path.exists():
            with scratch_folder(arguments.clips) as folder:
                write_case(folder / path.name, case, films).rename(path)
        row = asdict(case) | look(case, closer.scan(path))
        rows.append(row if case.fake_seconds else row | costs(path, (closer, even), arguments.rounds))
        print(json.dumps(rows[-1]), flush=True)
    if arguments.out:
        environment = {"processor": processor(), "cores": os.cpu_count()} | versions(
            "unmask", "numpy", "av", "openvino"
        )
        costs_most = max(row["cpu_ratio"] for row in rows if "cpu_ratio" in row)
        what = "CPU of a scan with closer looks / of evenly spread frames, at most"
        goal = Goal.single("closer", what, costs_most, 2, None, at_most=True)
        source = f"{len(rows)} clips made of a public-domain portrait, {arguments.rounds} rounds"
        report = {"goals": [goal.to_dict()], "met": met(rows), "cases": rows, "source": source}
        report["environment"] = environment
        arguments.out.write_text(json.dumps(report, indent=1) + "\n")


def met(rows: Sequence[dict[str, Any]]) -> dict[str, object]:
    """Count what is found, and say whether costs are within their bounds."""
    made = [row for row in rows if row["fake_seconds"]]
    cost = {f"{row['seconds']} s": row["cpu_ratio"] for row in rows if "cpu_ratio" in row}
    return {
        "manipulated_clips": len(made),
        **{name: sum(row["found"] == name for row in made) for name in ("found", "named", "missed")},
        "authentic_called_real": [row["label"] for row in rows if not row["fake_seconds"]].count("real"),
        "cost_of_one_shot_at_most_1.05": cost.get("10 s", 0) <= 1.05,
        "cost_at_most_2": max(cost.values(), default=0) <= 2,
    }


def write_case(path: Path, case: Case, films: dict[str, list[ImageHW3]]) -> Path:
    """Encode a clip with x264's defaults but for the preset."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = *SIZE_PX, "yuv420p"
        frames, first, length = (round(time * RATE) for time in (case.seconds, case.start_seconds, case.fake_seconds))
        for name, place in with_passage("elsewhere" if case.is_shot else "twin", frames, first, length, LOOP):
            image = films[name][place]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return path


def look(case: Case, verdict: Verdict) -> dict[str, Any]:
    """Return what was found in a clip."""
    end_seconds = case.start_seconds + case.fake_seconds
    inside = [
        frame.fake_probability for frame in verdict.frames if case.start_seconds <= frame.time_seconds < end_seconds
    ]
    passages = [person.passage for person in verdict.faces if person.passage is not None]
    is_named = any(
        passage.start_seconds < end_seconds and passage.end_seconds > case.start_seconds for passage in passages
    )
    found = {"fake": "found", "inconclusive": "named" if is_named else "missed"}.get(verdict.label or "", "missed")
    return {
        "label": verdict.label,
        "found": found if case.fake_seconds else None,
        "fake_probability": round(verdict.fake_probability or 0.0, 3),
        "frames": verdict.frames_decoded,
        "frames_in_fake": len(inside),
        "mean_in_fake": round(float(np.mean(inside)), 3) if inside else None,
        "max_gap_seconds": round(verdict.max_gap_seconds or 0.0, 2),
    }


def costs(path: Path, scanners: Sequence[Scanner], rounds: int) -> dict[str, float]:
    """Scan a clip with both scanners in turn; return what the first costs, and beside the second."""
    seconds: list[list[float]] = [[], []]
    for number in range(2 * rounds):
        which = (number + 1) // 2 % 2  # A B B A
        before = cpu_seconds()
        scanners[which].scan(path)
        seconds[which].append(cpu_seconds() - before)
    closer, even = (median(taken) for taken in seconds)
    return {"cpu_ratio": round(closer / even, 3), "cpu_seconds": round(closer, 3)}


def cpu_seconds() -> float:
    """Return the CPU time of this process, which decodes, too."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    return own.ru_utime + own.ru_stime


if __name__ == "__main__":
    main()
