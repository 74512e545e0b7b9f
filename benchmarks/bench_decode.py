"""Decoding 32 spread frames: our reader against OpenCV's grab-all (P5) and against ffmpeg's full decode (P6).

    python benchmarks/bench_decode.py --clips CLIPS --out benchmarks/results/decode.json --reference-python PYTHON

CPU seconds a clip. Ours is opening, listing the packets, decoding the first frame, then the 32 RGB frames, as a
scan does it; the sha256 of the file, which `open_video` also takes, is measured apart and left out, since the
others do not compute it. The frames must be those of the reference, bit by bit. ffmpeg decodes all frames and
converts none. The floors are PyAV's full decode without conversion, and its decode of those frames alone that others
refer to (N9).
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import av

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
    one_opencv_thread,
    open_reference,
    parser,
    row,
    write,
)
from unmask.media import Limits, open_video, pick_frames, read_frames
from unmask.types import Frame

FFMPEG = shutil.which("ffmpeg")

KINDS = (("1080p", 0.60), ("720p", 0.62), ("480p", 0.75))
"""Sizes of clips, and the goal N9 of each."""


def main() -> None:
    arguments = parser(__doc__, reference=True).parse_args()
    clips: dict[str, dict[str, Any]] = {}
    files = clips_of(arguments)
    with open_reference(arguments) as reference, one_opencv_thread():
        for clip in files:
            if reference is not None:
                check_frames(clip, reference)
            clips[clip.name] = costs = compare(clip, reference, arguments.rounds)
            row(clip.name, costs)
        seed = arguments.seed
        what = "decode CPU / the reference reader's"
        above_floor, _ = mean_ratio(shares(clips, "null_decode"), seed, at_most=True)
        goals = [Goal.watched("P5", "decode CPU / a full decode that looks at no frame", above_floor)]
        if reference is not None:
            goals.append(Goal.of_clips("P5", what, shares(clips, "reference"), seed, 0.62, 0.55, at_most=True))
        for kind, goal in KINDS if reference is not None else ():
            if of_kind := {name: costs for name, costs in clips.items() if name.startswith(kind)}:
                ratios = shares(of_kind, "reference")
                goals.append(Goal.of_clips("P5", f"{what}, {kind} alone", ratios, seed, 0.62, 0.55, at_most=True))
                floors = [c["reference_frames_cpu_seconds"] / c["reference_cpu_seconds"] for c in of_kind.values()]
                floor, _ = mean_ratio(floors, seed, at_most=True)
                told = f"{what}, {kind} alone; the frames that others refer to take {floor:.2f}"
                goals.append(Goal.of_clips("N9", told, ratios, seed, max(goal, floor), None, at_most=True))
        defaults = {clip.name: clips[clip.name] for clip in files if is_x264_default(clip)}
        notes: dict[str, Any] = {"floors": {"ours_over_null_decode": above_floor}}
        if FFMPEG is None or not defaults:
            notes["skipped"] = {"P6": "needs ffmpeg, and clips with x264's default settings"}
        else:
            what = "decode CPU / ffmpeg -threads 1 -f null, x264's default settings"
            goals.append(Goal.of_clips("P6", what, shares(defaults, "ffmpeg"), seed, 0.75, 0.70, at_most=True))
            notes["ffmpeg"] = subprocess.check_output([FFMPEG, "-version"], text=True).splitlines()[0]
        write(arguments, goals, clips, reference, **notes)


def check_frames(clip: Clip, reference: Reference) -> None:
    """Stop unless both readers give the same pixels."""
    theirs = reference.ask(op="decode", path=str(clip.path))
    indices, hashes = [], []
    for frame in decode(clip.path):
        indices.append(frame.index)
        hashes.append(hashlib.sha256(frame.image_HW3.tobytes()).hexdigest())
    if indices != theirs["indices"] or hashes != theirs["sha256"]:
        equal = sum(a == b for a, b in zip(hashes, theirs["sha256"], strict=False))
        raise SystemExit(f"{clip.name}: {equal} of {theirs['frames']} frames are equal to the reference's")


def compare(clip: Clip, reference: Reference | None, rounds: int) -> dict[str, float]:
    """Return each contestant's median CPU seconds."""
    contestants = {
        "ours": lambda: measure(partial(stream, clip.path))[0],
        "null_decode": lambda: measure(partial(decode_all, clip.path))[0],
        "reference_frames": lambda: measure(partial(decode_all, clip.path, "NONREF"))[0],
        "sha256": lambda: measure(partial(digest, clip.path))[0],
    }
    if reference is not None:
        contestants["reference"] = lambda: _cost(reference.ask(op="decode", path=str(clip.path)))
    if FFMPEG is not None:
        contestants["ffmpeg"] = partial(run_ffmpeg, FFMPEG, clip.path)
    results = interleave(rounds, *contestants.values())
    medians = {
        f"{name}_cpu_seconds": median(result.cpu_seconds for result in runs)
        for name, runs in zip(contestants, results, strict=True)
    }
    medians["ours_cpu_seconds"] -= medians["sha256_cpu_seconds"]
    return medians


def decode(path: Path) -> Iterator[Frame]:
    """Yield the reference's 32 frames."""
    with open_video(path, Limits(isolate=False)) as video:  # CPU time is that of this process
        yield from read_frames(video, pick_frames(video, 32, "reference"))


def stream(path: Path) -> None:
    """Look at one frame after the other, as a scan does; the reference's reader keeps all 32, as the winner's did."""
    for _ in decode(path):
        pass


def decode_all(path: Path, skip: str = "DEFAULT") -> None:
    """Decode all frames on one thread and look at none; ``NONREF`` skips those that no other frame refers to."""
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        stream.codec_context.skip_frame = skip
        for _ in container.decode(stream):
            pass


def digest(path: Path) -> None:
    """Hash the file."""
    with path.open("rb") as file:
        hashlib.file_digest(file, "sha256")


def run_ffmpeg(program: str, path: Path) -> Measure:
    """Let ffmpeg decode everything; its start counts as well."""
    started = time.perf_counter()
    command = [program, "-v", "error", "-nostdin", "-threads", "1", "-i", str(path), "-an", "-f", "null", "-"]
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return Measure(time.perf_counter() - started, usage.ru_utime + usage.ru_stime)


def is_x264_default(clip: Clip) -> bool:
    """Whether x264 coded the clip with its default settings; of found videos, what x264 itself wrote down."""
    if clip.spec:
        return (clip.spec["codec"], clip.spec["preset"], clip.spec["gop"]) == ("libx264", "medium", 250)
    return bool(re.search(rb"x264.*subme=7 .*bframes=3 .*b_pyramid=2 .*keyint=250 ", clip.path.read_bytes()))


def shares(clips: dict[str, dict[str, Any]], other: str) -> list[float]:
    """Return each clip's CPU time of ours over another contestant's."""
    return [clip["ours_cpu_seconds"] / clip[f"{other}_cpu_seconds"] for clip in clips.values()]


def _cost(answer: dict[str, Any]) -> Measure:
    return Measure(answer["wall_seconds"], answer["cpu_seconds"])


if __name__ == "__main__":
    main()
