"""What closer looks cost and find: a scan with them against one of 32 evenly spread frames, in the same run.

    python -m benchmarks.bench_closer --out benchmarks/results/closer.json

The clips are made on the spot of a public-domain portrait: authentic ones of one shot, and ones of 0.5, 2 and 10
minutes in which 1, 3 or 10 seconds are manipulated, as a shot of its own and as a passage within the shot. The ratio is
one of CPU seconds, with decoding in this process; scans of both kinds alternate and the median counts. The even scan
takes no signatures of frames and knows of no shots.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median

import av
import numpy as np
from examples.make_clips import PORTRAIT, blend_portrait

from unmask import Scanner, Verdict
from unmask.datasets.synthetic import RATE, SIZE_PX, looped_films, read_portrait, with_passage
from unmask.media import Limits, Video
from unmask.types import ImageHW3

LOOP = 75


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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--max-seconds", type=float, default=600, help="leave longer clips out")
    arguments = parser.parse_args()
    here = Limits(isolate=False)
    closer, even = Scanner(limits=here), EvenScanner(limits=here, max_frames=0)
    portrait = read_portrait(PORTRAIT)
    films, rows = looped_films(portrait, blend_portrait(portrait), LOOP), []
    for case in CASES:
        if case.seconds > arguments.max_seconds:
            continue
        with tempfile.TemporaryDirectory() as folder:
            path = write_case(Path(folder) / "clip.mp4", case, films)
            rows.append(measure(case, path, (closer, even), arguments.rounds))
        print(json.dumps(rows[-1]), flush=True)
    if arguments.out:
        facts = {"cpu": platform.processor(), "cores": os.cpu_count(), "rounds": arguments.rounds}
        arguments.out.write_text(json.dumps({"machine": facts, "cases": rows}, indent=1) + "\n")


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


def measure(case: Case, path: Path, scanners: Sequence[Scanner], rounds: int) -> dict[str, object]:
    """Scan a clip with both scanners in turn; return costs and what was found."""
    costs: list[list[float]] = [[], []]
    verdicts = [scanner.scan(path) for scanner in scanners]
    for number in range(2 * rounds):
        which = (number + (number + 1) // 2) % 2  # B A A B
        before = cpu_seconds()
        scanners[which].scan(path)
        costs[which].append(cpu_seconds() - before)
    closer, even = verdicts
    inside = [
        frame.fake_probability
        for frame in closer.frames
        if 0 <= frame.time_seconds - case.start_seconds < case.fake_seconds
    ]
    return asdict(case) | {
        "cpu_ratio": round(median(costs[0]) / median(costs[1]), 3),
        "cpu_seconds": round(median(costs[0]), 3),
        "label": closer.label,
        "label_of_even_frames": even.label,
        "frames": closer.frames_decoded,
        "frames_in_fake": len(inside),
        "mean_in_fake": round(float(np.mean(inside)), 3) if inside else None,
        "max_gap_seconds": closer.max_gap_seconds,
    }


def cpu_seconds() -> float:
    """Return the CPU time of this process, which decodes, too."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    return own.ru_utime + own.ru_stime


if __name__ == "__main__":
    main()
