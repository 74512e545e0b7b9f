"""Count how often `unmask compare` is right: fakes beside their originals, copies beside theirs, and strangers.

The clips are those of a folder with devset/, devset2/ and videos/, see docs/how-to/compare.md. A hash of what a clip
shows puts it into one of two parts: constants are chosen by looking at one, the other is counted (`part_of`). Rows are
kept in --work, so that a run that was stopped, or that --seconds ended, goes on; results are written from all rows.

    python benchmarks/bench_compare.py --data ../shared/data --work work --out benchmarks/results/compare.json
    python benchmarks/bench_compare.py --data ../shared/data --work work --part chosen --out chosen.json
    python benchmarks/bench_compare.py --data ../shared/data --work work --memory --out benchmarks/results/compare.json
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import itertools
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

import unmask
from common import Goal, Options, clips_of, processor, status_mb, versions
from unmask.comparison.alignment import align
from unmask.comparison.fingerprint import Fingerprint, fingerprint
from unmask.media import open_video
from unmask.runtime.parallel import cores
from unmask.runtime.scheduling import kept_scheduling

Image = NDArray[np.uint8]
FRAMES = unmask.ScanOptions().frames
"""Pairs of frames of a comparison: what users have."""
LIMITS = unmask.Limits(isolate=False)
"""The clips are decoded in this process; memory is measured as users have it."""
STRANGERS, MARKED_STRANGERS = 480, 60
"""Pairs of clips that are not the same footage, and of such that one channel marked and framed in black bars."""
COPY_SECONDS = 6.0
COPIES_OF_AUTHENTIC, COPIES_OF_FAKE = 2, 1
"""Copies of one clip: each takes the next ones of `COPIES`, so that all are tried equally often."""
PARTS = ("chosen", "counted")
FAKES = ("fake", "fake at c40")


@dataclass(frozen=True, slots=True)
class Made:
    """How a copy is made."""

    change: Callable[[Image], Image] = lambda image: image
    """Changes each frame."""
    codec: str = "libx264"
    crf: int = 26
    start_seconds: float = 0.0
    rate: float | None = None
    """Frames a second of the copy; None for the source's."""
    keeps_time: bool = True
    """With another rate: frames are repeated or left out, so that it runs as fast; otherwise it runs faster."""


def crop(image: Image) -> Image:
    height, width = image.shape[:2]
    return image[height // 20 : height - height // 20, width // 20 : width - width // 20]


def half(image: Image) -> Image:
    return cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)


def mirror(image: Image) -> Image:
    return image[:, ::-1]


def bars(image: Image) -> Image:
    height, width = image.shape[:2]
    return cv2.copyMakeBorder(image, height // 6, height // 6, width // 10, width // 10, cv2.BORDER_CONSTANT)


def mark(image: Image) -> Image:
    image, height = np.ascontiguousarray(image), image.shape[0]
    cv2.putText(
        image, "CHANNEL 7", (height // 20, height // 8), cv2.FONT_HERSHEY_SIMPLEX, height / 350, (255, 255, 255), 2
    )
    cv2.rectangle(image, (0, int(height * 0.86)), (image.shape[1], height), (180, 20, 20), -1)
    return image


def chained(*changes: Callable[[Image], Image]) -> Callable[[Image], Image]:
    def change(image: Image) -> Image:
        for each in changes:
            image = each(image)
        return image

    return change


COPIES = {
    "x264 crf 40": Made(crf=40),
    "hevc": Made(codec="libx265", crf=32),
    "vp9": Made(codec="libvpx-vp9", crf=40),
    "mirror": Made(mirror),
    "crop 10 %": Made(crop),
    "scale 0.5": Made(half),
    "rate 25 -> 30": Made(rate=30),
    "25 -> 30, faster": Made(rate=30, keeps_time=False),
    "offset 2 s": Made(start_seconds=2.0),
    "black bars": Made(bars),
    "watermark": Made(mark),
    "mirror, crop, crf 36": Made(chained(mirror, crop), crf=36),
    "bars, mark, hevc, offset 2 s": Made(chained(mark, bars), "libx265", 32, 2.0),
    "crop, scale 0.5, rate 30, offset 2 s, crf 32": Made(chained(crop, half), crf=32, start_seconds=2.0, rate=30),
    "mirror, scale 0.5, bars, mark, vp9": Made(chained(mirror, mark, half, bars), "libvpx-vp9", 38),
}
"""Name -> transformation, singly and in chains."""
C40, MARKED = "x264 crf 40", "bars, mark, hevc, offset 2 s"
"""How both clips of a fake at c40, and of marked strangers, are copied."""


def make_copy(source: Path, target: Path, made: Made) -> None:
    """Write a copy of some seconds of a clip. A copy of 30 frames a second is made of the clip at 25."""
    with open_video(source, LIMITS) as video:
        times = video.index.times_seconds
        known = float(video.facts.frame_rate or 25)
        rate = 25.0 if made.rate else known
        start = min(made.start_seconds, times[-1] / 3)  # of a short clip, two thirds are left
        moments = np.arange(start, min(start + COPY_SECONDS, times[-1]), 1 / rate)
        if made.rate and made.keeps_time:
            shown = np.arange(moments[0], moments[-1], 1 / made.rate)
            moments = moments[np.minimum(np.searchsorted(moments, shown + 1e-6) - 1, len(moments) - 1).clip(0)]
        wanted = np.searchsorted(times, moments - 1e-6).clip(0, len(times) - 1)
        frames = {f.index: f.image_HW3 for f in unmask.read_frames(video, np.unique(wanted))}
    options = {"crf": str(made.crf), "preset": "veryfast"}
    if made.codec == "libvpx-vp9":
        options = {"crf": str(made.crf), "b": "0", "cpu-used": "8", "deadline": "realtime"}
    if made.codec == "libx265":
        options["x265-params"] = "log-level=none:pools=none:frame-threads=1"
    with kept_scheduling(), av.open(str(target), "w") as container:
        stream = None
        for position, index in enumerate(wanted.tolist()):
            image = made.change(frames[min(frames, key=lambda at: abs(at - index))])
            image = np.ascontiguousarray(image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2])
            if stream is None:
                speed = Fraction(made.rate or known).limit_denominator(1001)
                stream = container.add_stream(made.codec, rate=speed, options=options)
                stream.height, stream.width, stream.pix_fmt = image.shape[0], image.shape[1], "yuv420p"
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = position, 1 / speed
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def fakes(data: Path) -> Iterator[tuple[str, str]]:
    """Yield each fake of the development sets whose original is there, and that original."""
    with (data / "devset" / "labels_videos.csv").open() as file:
        for row in csv.DictReader(file):
            if row["original"]:
                yield f"devset/{row['file']}", f"devset/videos/real/{row['original']}"
    for path in sorted((data / "devset2" / "videos" / "fake").glob("*__swap.mp4")):
        yield f"devset2/videos/fake/{path.name}", f"devset2/videos/real/{path.name.replace('__swap', '__orig')}"


def footage(name: str) -> str:
    """Return what all clips of the same footage share: only clips that differ in it are strangers."""
    stem = Path(name).stem
    if name.startswith("devset/"):
        return stem if stem[0].isdecimal() else "/".join(stem.split("_")[1:])
    if "would_you_like_a_cup_of_tea" in stem:  # one film, with the lips of other sentences
        return "would_you_like_a_cup_of_tea"
    if stem == "sadtalker_hdtf_WDA_AlexandriaOcasioCortez_000":
        return "video_retalking_3"  # one recording, cut and encoded by two projects
    if "Quiz" in stem:
        return "are_you" if stem.endswith(("are_you_well", "how_are_you")) else stem
    for start in ("EDTalk_demo", "liveportrait_d10", *(f"video_retalking_{i}" for i in range(1, 6))):
        if stem.startswith(start):
            return start
    return stem.replace("__swap", "").replace("__orig", "")


def related(one: str, other: str) -> bool:
    """Tell whether two clips are, or may be, the same footage."""
    a, b = footage(one).split("/"), footage(other).split("/")
    return bool(set(a) & set(b))


def part_of(name: str) -> str:
    """Return the part of a clip: that of the hash of what it shows, of a fake that of its original."""
    stem = Path(name).stem
    shows = stem.split("_")[1] if name.startswith("devset/videos/fake/") else footage(name)
    return PARTS[hashlib.sha256(shows.encode()).digest()[0] % 2]


def authentic(data: Path) -> list[str]:
    """Return the authentic clips, one of each footage."""
    names = [*sorted(data.glob("devset*/videos/real/*")), *sorted(data.glob("videos/*"))]
    return sorted({footage(name): name for name in (str(path.relative_to(data)) for path in names)}.values())


def strangers(data: Path, part: str, seed: int) -> list[tuple[str, str]]:
    """Return pairs of clips that are not the same footage; every third is of one collection, often of one scene."""
    found = (path for kind in ("mp4", "mpg") for path in sorted(data.glob(f"**/*.{kind}")))
    names = [name for name in (str(path.relative_to(data)) for path in found) if part_of(name) == part]
    pairs = [(a, b) for a in names for b in names if a < b and not related(a, b)]
    random.Random(seed).shuffle(pairs)
    near = [pair for pair in pairs if Path(pair[0]).stem.split("_")[0] == Path(pair[1]).stem.split("_")[0]]
    chosen = dict.fromkeys([*near[: STRANGERS // 3], *pairs])
    return list(chosen)[:STRANGERS]


@cache
def scanner() -> unmask.Scanner:
    return unmask.Scanner(frames=FRAMES, pictures=False, limits=LIMITS)


@cache
def print_of(path: str) -> Fingerprint:
    with open_video(path, LIMITS) as video:
        return fingerprint(video)


def run(data: Path, work: Path, job: dict[str, Any]) -> dict[str, Any]:
    """Do one comparison."""
    suspect, original = data / job["suspect"], data / job["original"]
    if job["copy"]:
        suspect = copied(suspect, work, job["copy"])
    if job["kind"] in ("fake at c40", "marked strangers"):
        original = copied(original, work, job["copy"])
    started = time.process_time()
    if job["kind"] in ("strangers", "marked strangers"):
        found = align(print_of(str(suspect)), print_of(str(original)))
        outcome = "not_the_same_footage" if found is None else "aligned"
        row = job | {"outcome": outcome} | ({} if found is None else {"likeness": found.line.likeness})
        return row | {"cpu_seconds": round(time.process_time() - started, 2)}
    comparison = unmask.compare(suspect, original, scanner())
    row = job | {"outcome": comparison.outcome, "cpu_seconds": round(time.process_time() - started, 2)}
    if comparison.alignment is not None:
        by = comparison.alignment
        row |= {"offset": by.offset_seconds, "rate": by.rate, "likeness": by.likeness, "mirrored": by.mirrored}
    if comparison.faces:
        face = comparison.faces[0]
        row |= {
            key: getattr(face, key)
            for key in ("difference", "background_difference", "excess", "score_difference", "frames")
        }
    return row


def copied(source: Path, work: Path, copy: str) -> Path:
    """Return a copy of a clip, made where it is not there yet."""
    target = work / f"{source.parent.name}-{source.stem}-{list(COPIES).index(copy)}.mkv"
    if not target.exists():
        half_done = work / f"{os.getpid()}.mkv"
        make_copy(source, half_done, COPIES[copy])
        half_done.rename(target)
    return target


def jobs(data: Path, part: str, seed: int) -> list[dict[str, Any]]:
    """Return the comparisons of a part: fakes, then all else in an order that says nothing, so that a run may end."""
    listed = []

    def add(kind: str, suspect: str, original: str, copy: str | None = None) -> None:
        listed.append({"kind": kind, "suspect": suspect, "original": original, "copy": copy})

    turning = itertools.cycle(COPIES)
    pairs = [pair for pair in fakes(data) if part_of(pair[0]) == part]
    clips = [name for name in authentic(data) if part_of(name) == part]
    for suspect, original in pairs:
        add("fake", suspect, original)
        if suspect.startswith("devset2/"):
            add("fake at c40", suspect, original, C40)
    for name in clips * COPIES_OF_AUTHENTIC:
        add("copy", name, name, next(turning))
    for suspect, original in pairs * COPIES_OF_FAKE:
        add("copy of a fake", suspect, original, next(turning))
    for one, other in sorted(strangers(data, part, seed)):
        add("strangers", one, other)
    marked = [(a, b) for a in clips for b in clips if a < b and not related(a, b)]
    for one, other in sorted(random.Random(seed).sample(marked, MARKED_STRANGERS)):
        add("marked strangers", one, other, MARKED)
    return sorted(listed, key=lambda job: (job["kind"] not in FAKES, hashlib.sha256(repr(job).encode()).digest()))


RIGHT = {
    "copy": "unchanged",
    "copy of a fake": "changed",
    "strangers": "not_the_same_footage",
    "marked strangers": "not_the_same_footage",
}
"""The right answer; of a fake beside its original: that its face is changed, and that it scores higher."""


def is_right(row: dict[str, Any]) -> bool:
    """Tell whether an answer is right."""
    if row["kind"] in RIGHT:
        return bool(row["outcome"] == RIGHT[row["kind"]])
    return row["outcome"] == "changed" and row["score_difference"] > 0


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return how many answers are right, by kind of pair and by copy, and how far scores of copies lie apart."""

    def told(group: Sequence[dict[str, Any]]) -> dict[str, Any]:
        right, outcomes = sum(map(is_right, group)), Counter(row["outcome"] for row in group)
        return {"pairs": len(group), "right": right, "share": round(right / len(group), 4), "outcomes": outcomes}

    def grouped(key: Callable[[dict[str, Any]], str | None]) -> dict[str, Any]:
        names = dict.fromkeys(name for row in rows if (name := key(row)))
        return {name: told([row for row in rows if key(row) == name]) for name in names}

    copies = [row for row in rows if row["kind"] == "copy" and "score_difference" in row]
    apart = [abs(row["score_difference"]) for row in copies]
    c40 = [row for row in rows if row["kind"] == "fake at c40" or row["suspect"].startswith("devset/videos/fake/")]
    return {
        "kinds": grouped(lambda row: row["kind"]),
        "c40": told([row for row in c40 if row["kind"] in FAKES]),
        "fakes that score higher": sum(row.get("score_difference", 0) > 0 for row in rows if row["kind"] in FAKES),
        "copies": grouped(lambda row: row["copy"] if row["kind"].startswith("copy") else None),
        "score difference of copies, 95 % below": round(float(np.percentile(apart, 95)), 3) if apart else None,
    }


def memory(data: Path, work: Path) -> dict[str, float]:
    """Return the peak memory of comparing six seconds with an original of ten minutes, in MB."""
    original, suspect = work / "ten-minutes.mp4", work / "six-seconds.mp4"
    source = data / "devset2/videos/real/Tim_Chrys_1__orig.mp4"
    if not original.exists():
        with av.open(str(source)) as clip, av.open(str(original), "w") as long:
            stream = long.add_stream_from_template(clip.streams.video[0])
            packets = [packet for packet in clip.demux(video=0) if packet.dts is not None]
            length = clip.streams.video[0].duration or 0
            for turn in range(44):
                for packet in packets:
                    again = av.Packet(bytes(packet))
                    again.pts, again.dts = packet.pts + turn * length, packet.dts + turn * length
                    again.time_base, again.is_keyframe, again.stream = packet.time_base, packet.is_keyframe, stream
                    long.mux(again)
        make_copy(source, suspect, Made(crf=30, start_seconds=3.0))
    return compared_apart(suspect, original)


def compared_apart(suspect: Path, original: Path) -> dict[str, float]:
    """Compare in a process of its own."""
    command = [sys.executable, __file__, "child", str(suspect), str(original)]
    resident, peak, seconds = map(
        float, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    )
    return {"resident_mb": resident, "peak_mb": peak, "beyond_mb": peak - resident, "seconds": seconds}


def first_impression(arguments: argparse.Namespace) -> None:
    """Compare six seconds of a clip with all of it: time and memory."""
    [clip] = clips_of(arguments)
    suspect = arguments.work / f"{clip.name}-six-seconds.mp4"
    if not suspect.exists():
        make_copy(clip.path, suspect, Made(crf=30, start_seconds=3.0))
    cost = compared_apart(suspect, clip.path)
    goals = [
        Goal.watched("A3", "seconds of a comparison", cost["seconds"]),
        Goal.watched("A3", "peak memory of a comparison beyond the model, MB", cost["beyond_mb"]),
    ]
    arguments.out.write_text(json.dumps({"goals": [goal.to_dict() for goal in goals]}, indent=1) + "\n")
    print(*goals, sep="\n")


def child(suspect: str, original: str) -> None:
    """Print resident memory once the model is loaded, the peak while comparing, in MB, and the time."""
    judge = unmask.Scanner(frames=FRAMES, pictures=False)
    Path("/proc/self/clear_refs").write_text("5")
    resident, started = status_mb("VmRSS"), time.perf_counter()
    found = unmask.compare(suspect, original, judge)
    assert found.outcome == "unchanged", found.reasons
    print(resident, status_mb("VmHWM"), time.perf_counter() - started)


def main() -> None:
    if sys.argv[1:2] == ["child"]:
        child(*sys.argv[2:])
        return
    parser = Options(__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with devset/, devset2/ and videos/")
    parser.add_argument("--clips", type=Path, help="folder of clips, of which --quick takes one")
    parser.add_argument("--work", type=Path, required=True, help="folder for copies and rows")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--part", choices=PARTS, default="counted", help="of the clips")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after as many")
    parser.add_argument("--kinds", nargs="*", help="only these kinds of pairs")
    parser.add_argument("--memory", action="store_true", help="measure memory with an original of ten minutes")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    if arguments.quick:
        first_impression(arguments)
        return
    before = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
    measured = memory(arguments.data, arguments.work) if arguments.memory else before.get("memory")
    rows = before.get("rows", []) if arguments.memory else compared(arguments)
    result = summary(rows) | {
        "memory": measured,
        "source": f"{arguments.data.name}: devset, devset2 and videos, see docs/how-to/compare.md",
        "part": arguments.part,
        "seed": arguments.seed,
        "frames": FRAMES,
        "rows": [
            {key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()} for row in rows
        ],
        "environment": {"processor": processor(), "cores": cores()}
        | versions("unmask", "numpy", "av", "opencv-python-headless", "openvino"),
    }
    arguments.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps({key: result[key] for key in ("kinds", "c40", "copies")}, indent=1))


def compared(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Do what is left of the comparisons of a part; return all rows."""
    log = arguments.work / f"{arguments.part}.jsonl"
    rows = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    done = {(row["kind"], row["suspect"], row["original"], row["copy"]) for row in rows}
    deadline = time.monotonic() + arguments.seconds
    with log.open("a") as file:
        for job in jobs(arguments.data, arguments.part, arguments.seed):
            is_wanted = not arguments.kinds or job["kind"] in arguments.kinds
            if is_wanted and tuple(job.values()) not in done and time.monotonic() < deadline:
                rows.append(run(arguments.data, arguments.work, job))
                file.write(json.dumps(rows[-1]) + "\n")
                file.flush()
                print(rows[-1], flush=True)
    return rows


if __name__ == "__main__":
    main()
