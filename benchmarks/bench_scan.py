"""The whole scan: against the sum of its parts (P8), against real time (P14), and against the reference.

    python benchmarks/bench_scan.py --clips CLIPS --out benchmarks/results/scan.json --reference-python PYTHON

P8 is the CPU time of a scan over that of its parts, measured apart in the same run: opening and decoding,
detecting, and the number of crops times what the network takes for one. P14 is a clip's length over the wall time
of its scan, for the ten-second 1080p clips. The reference's decoding and detecting is compared with ours at its
settings (its frames, half size), in CPU seconds. Throughput is that of the whole folder.
"""

from __future__ import annotations

from functools import partial
from itertools import cycle, islice
from typing import Any

import numpy as np

from common import (
    Clip,
    Goal,
    Measure,
    Reference,
    clips_of,
    interleave,
    mean_ratio,
    measure,
    median,
    open_reference,
    parser,
    row,
    write,
)
from unmask import Scanner
from unmask.faces import Detector, crop_face, load_detector
from unmask.media import Limits, open_video, pick_frames, read_frames
from unmask.types import DetectorSpec, Frame

NETWORK_CROPS = 64
LIMITS = Limits(isolate=False)
"""Clips are decoded in this process, whose CPU time is measured."""


def main() -> None:
    arguments = parser(__doc__, reference=True).parse_args()
    scanner, half_size = Scanner(limits=LIMITS), load_detector(DetectorSpec(scale=0.5))
    files = clips_of(arguments)
    clips: dict[str, dict[str, Any]] = {}
    with open_reference(arguments) as reference:
        for clip in files:
            clips[clip.name] = compare(clip, scanner, half_size, reference, arguments.rounds)
            row(clip.name, clips[clip.name])
        shares = [clip["scan_cpu_seconds"] / clip["parts_cpu_seconds"] for clip in clips.values()]
        goals = [Goal.of_clips("P8", "CPU of a scan / its parts", shares, arguments.seed, 1.10, 1.05, at_most=True)]
        large = [clip for clip in clips.values() if clip["shorter_side_px"] == 1080]
        if large:
            speeds = [clip["clip_seconds"] / clip["scan_wall_seconds"] for clip in large]
            what = "1080p clip seconds / seconds of its scan"
            goals.append(Goal.of_clips("P14", what, speeds, arguments.seed, 2.0, 5.0, at_most=False))
        seconds = [clip["scan_cpu_seconds"] / clip["clip_seconds"] for clip in clips.values()]
        goals.append(Goal.watched("N1", "CPU seconds of scanning a second of a clip", median(seconds)))
        more: dict[str, Any] = {
            "precision": scanner.settings["precision"],
            "floors": {"parts_cpu_seconds": median(clip["parts_cpu_seconds"] for clip in clips.values())},
        }
        if reference is not None:
            ratios = [clip["reference_cpu_seconds"] / clip["ours_cpu_seconds"] for clip in clips.values()]
            value, bound = mean_ratio(ratios, arguments.seed, at_most=False)
            more["reference_decode_and_detect_over_ours"] = {"value": value, "bound": bound}
            print(f"reference decode + detect CPU / ours, same frames and size: {value:.3g}, bound {bound:.3g}")
        if not arguments.quick:
            more["throughput"] = throughput(files, clips, arguments.rounds)
            print(*more["throughput"].items(), sep="\n")
        write(arguments, goals, clips, reference, **more)


def compare(
    clip: Clip, scanner: Scanner, half_size: Detector, reference: Reference | None, rounds: int
) -> dict[str, Any]:
    """Return the median costs of the scan, of its parts, and of decoding and detecting as the reference does."""
    frames = decode(clip, scanner)
    spec = scanner.cards[0].crop
    faces = [(frame, face) for frame in frames for face in scanner.detector.detect(frame.image_HW3)]
    crops = [crop_face(frame.image_HW3, face, spec) for frame, face in faces if face.side_px >= spec.min_side_px]
    if not crops:
        raise SystemExit(f"{clip.name}: no face was found; take another clip")
    sample = np.stack(list(islice(cycle(crops), NETWORK_CROPS)))

    def detect() -> None:
        for frame in frames:
            scanner.detector.detect(frame.image_HW3)

    def theirs() -> Measure:
        assert reference is not None
        answer = reference.ask(op="scan", path=str(clip.path))
        return Measure(answer["wall_seconds"], answer["cpu_seconds"])

    contestants = {
        "scan": lambda: measure(partial(scanner.scan, clip.path))[0],
        "decode": lambda: measure(partial(decode, clip, scanner))[0],
        "detect": lambda: measure(detect)[0],
        "network": lambda: measure(lambda: scanner.networks[0].score(sample))[0],
        "ours": lambda: measure(partial(decode_and_detect, clip, half_size))[0],
    } | ({"reference": theirs} if reference is not None else {})
    interleave(1, *contestants.values())  # warm up: kernels are compiled for each new size
    runs = dict(zip(contestants, interleave(rounds, *contestants.values()), strict=True))
    cpu = {f"{name}_cpu_seconds": median(run.cpu_seconds for run in each) for name, each in runs.items()}
    per_crop = cpu.pop("network_cpu_seconds") / NETWORK_CROPS
    with open_video(clip.path, LIMITS) as video:
        facts = video.facts
    return {
        "scan_wall_seconds": median(run.wall_seconds for run in runs["scan"]),
        **cpu,
        "crops": len(crops),
        "crop_cpu_seconds": per_crop,
        "parts_cpu_seconds": cpu["decode_cpu_seconds"] + cpu["detect_cpu_seconds"] + len(crops) * per_crop,
        "clip_seconds": facts.duration_seconds,
        "shorter_side_px": min(facts.width, facts.height),
    }


def decode(clip: Clip, scanner: Scanner) -> list[Frame]:
    """Read the frames of a scan."""
    with open_video(clip.path, LIMITS) as video:
        return list(read_frames(video, scanner.sampler.pick(video)))


def decode_and_detect(clip: Clip, detector: Detector) -> None:
    """Do what the reference does before its network."""
    with open_video(clip.path, LIMITS) as video:
        for frame in read_frames(video, pick_frames(video, 32, "reference")):
            detector.detect(frame.image_HW3)


def throughput(files: list[Clip], clips: dict[str, dict[str, Any]], rounds: int) -> dict[str, float]:
    """Return seconds of video judged in a second of wall time, with one worker and with two."""
    seconds = sum(clip["clip_seconds"] for clip in clips.values())
    scanners = [Scanner(workers=workers) for workers in (1, 2)]

    def run(scanner: Scanner) -> float:
        cost, _ = measure(lambda: list(scanner.scan_many([clip.path for clip in files])))
        return float(seconds / cost.wall_seconds)

    one, two = interleave(max(2, rounds // 2), *(partial(run, scanner) for scanner in scanners))
    return {"one_worker": median(one), "two_workers": median(two), "two_over_one": median(two) / median(one)}


if __name__ == "__main__":
    main()
