"""Scan mutants whose boxes, elements, packets or chunks lie, and tell what came of them.

    python -m tests.hostile.fuzz_structure 100000 [FIRST_SEED]

One process scans them one by one, as `unmask scan` would. The last lines say how many of each status there were, what
the slowest took, and how much memory this process and the server of decoders have at the start and at the end.

`read_mutants` costs a tenth of that: one confined process does to mutants in turn what a decoder does to its file.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

import numpy as np

from tests.evidence.label_files import TERM, Content, manifest_store, write, xmp
from tests.hostile.factory import QUICK, repack
from tests.hostile.structure import distort
from tests.media.heic_files import write_tiled_heic
from tests.media.odd import write_exif_film
from tests.media_factory import pattern, write_video
from unmask import Scanner
from unmask.errors import InputError
from unmask.isolation.confine import confine
from unmask.media import Limits, SignatureLog
from unmask.media.frames import decode_stored, open_in_process
from unmask.media.memory import nameless_memory
from unmask.media.server import SERVER
from unmask.scan.base import READERS
from unmask.types import Status

ALLOWED = frozenset(get_args(Status)) - {"internal_error"}


class NoFaces:
    """Damaged frames may be large; what is tested is how they come out of the file."""

    def detect(self, image_HW3):
        return []


def write_originals(folder: Path) -> list[Path]:
    """Write small good files, which hold what files may: side data, colours, time stamps, labels, pictures of tiles."""
    images = [pattern(number, (64, 48)) for number in range(8)]
    colours = QUICK | {"x264-params": "colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:cll=1000,400"}
    hdr = {"preset": "ultrafast", "x265-params": "log-level=none:pools=1:frame-threads=1:hdr10=1:max-cll=1000,400"}
    plain = write_video(folder / "plain.mp4", images, rate=10, options=colours, gop=4, tone=True)
    turned = write_video(folder / "turned.mp4", images, rate=10, options=QUICK, orientation=(90, False, False))
    uneven = write_video(folder / "uneven.mp4", images, times=[0, 40, 90, 95, 300, 310, 700, 990], options=QUICK)
    labelled = Content({"software": "ComfyUI"}, c2pa=manifest_store(), xmp=xmp(f'a:DigitalSourceType="{TERM}"'))
    labels = [write(folder / f"labelled.{suffix}", labelled) for suffix in ("mp4", "mov", "mkv", "avi")]
    return [
        plain,
        turned,
        uneven,
        *labels,
        repack(plain, folder / "fast.mp4", movflags="faststart"),
        repack(plain, folder / "pieces.mp4", movflags="frag_keyframe+empty_moov"),
        write_video(folder / "hdr.mp4", images, codec="libx265", options=hdr, pixel_format="yuv420p10le"),
        repack(turned, folder / "turned.mkv"),
        repack(plain, folder / "plain.ts"),
        repack(plain, folder / "plain.mkv"),
        write_exif_film(folder / "exif.avi", range(6), 3),
        write_video(folder / "vp9.webm", images, codec="libvpx-vp9", options={"deadline": "realtime", "cpu-used": "8"}),
        write_tiled_heic(folder / "tiles.heic", pattern(5, (128, 96))),
    ]


@dataclass
class Outcome:
    """What came of some mutants."""

    statuses: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    """Wall time of each."""
    wrong: list[str] = field(default_factory=list)
    """Seed, name and verdict of those that got no proper row."""

    def slowest(self, share: float) -> float:
        """Return the time within which this share of them was done."""
        return sorted(self.seconds)[min(len(self.seconds) - 1, int(share * len(self.seconds)))]


def patient_scanner() -> Scanner:
    """A scanner that looks at eight frames and finds no face."""
    scanner = Scanner(precision="fp32", frames=8, workers=1, limits=Limits(seconds=10))
    scanner.detector = NoFaces()
    return scanner


def scan_mutants(originals: list[Path], scanner: Scanner, folder: Path, seeds: range) -> Iterator[Outcome]:
    """Scan a mutant for each seed; yield what came of all so far after each."""
    outcome, contents = Outcome(), [path.read_bytes() for path in originals]
    for seed in seeds:
        number = seed % len(originals)
        path = folder / f"{seed:06d}_{originals[number].name}"  # enough to make it again
        path.write_bytes(distort(contents[number], originals[number].suffix, seed))
        began = time.monotonic()
        verdict = scanner.scan_input(path)
        outcome.seconds.append(time.monotonic() - began)
        outcome.statuses[verdict.status] += 1
        if verdict.status not in ALLOWED or not verdict.reasons:
            outcome.wrong.append(f"{path.name}: {verdict.status} {verdict.reasons}")
        path.unlink()
        yield outcome


def read_mutants(folder: Path, seeds: range, seconds: float) -> Iterator[str]:
    """Read a mutant for each seed; yield the status of each, ``crashed`` where it brought the process down.

    Args:
        folder: Holds the originals alone.
        seeds: Of the mutants.
        seconds: Time for all of them.
    """
    until, first = time.monotonic() + seconds, seeds.start
    while first < seeds.stop:
        command = [sys.executable, "-m", __name__, "--within", str(folder), str(first), str(seeds.stop)]
        left = max(1.0, until - time.monotonic())
        done = subprocess.run(command, capture_output=True, text=True, timeout=left, check=False)
        statuses = done.stdout.split()
        yield from statuses
        if done.returncode > 0:
            raise AssertionError(f"seed {first + len(statuses)}: {done.stderr[-2000:]}")
        if done.returncode:
            yield "crashed"
        first += len(statuses) + (done.returncode < 0)


def read_within(folder: Path, seeds: range) -> Iterator[str]:
    """Confine this process, read a mutant for each seed, and yield the status of each."""
    paths = sorted(folder.iterdir())
    contents = [path.read_bytes() for path in paths]
    confine({"AS": Limits().memory_bytes, "CORE": 0, "CPU": 600}, files=True)
    for seed in seeds:
        number = seed % len(paths)
        yield _read(distort(contents[number], paths[number].suffix, seed))


def _read(data: bytes) -> str:
    """Do what a decoder does: list the frames, look for labels and traces, decode eight."""
    try:
        with os.fdopen(nameless_memory(0), "w+b") as file:
            file.write(data)
            file.seek(0)
            opened = open_in_process(file, "0" * 64, Limits())
            for read in READERS:
                read(opened)  # in a decoder, what these raise would cost their answer alone
            wanted = np.unique(np.linspace(0, len(opened.index) - 1, 8).astype(np.int64))
            return "ok" if list(decode_stored(opened, wanted, SignatureLog())) else "unreadable"
    except InputError as error:
        return error.status
    except MemoryError:
        return "rejected_limit"


def memory_mb(pid: int | str = "self") -> float:
    """Return the resident memory of a process; 0 where the system does not tell."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def main() -> None:
    if sys.argv[1] == "--within":
        for status in read_within(Path(sys.argv[2]), range(int(sys.argv[3]), int(sys.argv[4]))):
            print(status, flush=True)
        return
    count, first = int(sys.argv[1]), int((sys.argv[2:] or ["0"])[0])
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        originals, scanner = write_originals(folder), patient_scanner()
        servers, at_start, outcome = set(), "", Outcome()
        for outcome in scan_mutants(originals, scanner, folder, range(first, first + count)):
            servers.add(SERVER.pid)
            done = len(outcome.seconds)
            now = f"{memory_mb():.0f} MB here, {memory_mb(SERVER.pid):.0f} MB in the server of decoders"
            at_start = at_start or (now if done == min(1000, count) else "")
            if done % 1000 == 0 or done == count:
                slow = f"p99 {outcome.slowest(0.99):.2f} s, slowest {max(outcome.seconds):.2f} s"
                counts = dict(outcome.statuses.most_common())
                print(f"{done}: {counts}; {slow}; {now}; {len(servers)} servers; wrong: {outcome.wrong}", flush=True)
        print(f"at the start: {at_start}")
    SERVER.stop()
    raise SystemExit(bool(outcome.wrong))


if __name__ == "__main__":
    main()
