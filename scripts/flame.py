"""Draw where the CPU time of scans goes: a flame graph of each clip, side by side, and a table by stage.

    python scripts/flame.py CLIP ... --out docs/flame.svg > table.md

Each clip is scanned with the bundled model in this process, decoding included (``Limits(isolate=False)``), after a scan
that warms up. A thread looks at the stacks of all others every two milliseconds, and counts for each the CPU time that
it took since the last look; what threads of libraries take (networks, OpenCV) is the process's time beyond these.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from html import escape
from pathlib import Path
from types import FrameType

from unmask import Limits, Scanner

STAGES = {
    "decoding": ("unmask.media.frames:_frames", "unmask.media.frames:open_in_process"),
    "RGB": ("unmask.media.colours:convert",),
    "signatures": ("unmask.media.signature:sign",),
    "shrinking": ("unmask.faces.detect:scaled_frame",),
    "detector": ("unmask.faces.mtcnn:detect", "unmask.faces.mtcnn:detect_around", "unmask.faces.mtcnn:detect_near"),
    "crops": ("unmask.scan.crops:cut",),
    "network": ("unmask.models.batching",),
}
"""Stage -> functions, or modules, in which it is spent; the innermost counts."""
OTHERS = "threads of libraries"
"""Of the network, and of OpenCV."""
LOOK_SECONDS = 0.002
WIDTH_PX, ROW_PX, LEAST_PX, MOST_DEEP = 1200, 16, 1.5, 14
COLOURS = ("#e8a87c", "#e27d60", "#c38d9e", "#85cdca", "#e8c07c", "#a3b18a", "#8ea9db", "#d9d9d9", "#bdbdbd")
Stack = tuple[str, ...]


class Looker:
    """Counts the CPU time of each stack while it is open."""

    def __init__(self) -> None:
        self.seconds: Counter[Stack] = Counter()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Looker:
        self._started = time.process_time()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        beyond = time.process_time() - self._started - self._own - sum(self.seconds.values())
        self.seconds[(OTHERS,)] += max(0.0, beyond)

    def _look(self) -> None:
        last = dict[int, float]()
        while not self._stop.wait(LOOK_SECONDS):
            for ident, frame in sys._current_frames().items():  # noqa: SLF001 - there is no other way
                if ident != threading.get_ident() and (now := _cpu_seconds(ident)) is not None:
                    before = last.get(ident, now)
                    self.seconds[_stack(frame)] += now - before if now >= before else now  # else a new thread
                    last[ident] = now
        self._own = time.thread_time()


def _cpu_seconds(ident: int) -> float | None:
    try:
        return time.clock_gettime(time.pthread_getcpuclockid(ident))
    except OSError:  # it has just ended
        return None


def _stack(frame: FrameType | None) -> Stack:
    """Return the functions of unmask on a stack, the outermost first."""
    names: list[str] = []
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module.startswith("unmask."):
            names.append(f"{module}:{frame.f_code.co_name}")
        frame = frame.f_back
    return tuple(reversed(names))


def stage_of(stack: Stack) -> str:
    """Return the stage that the innermost function of a stack belongs to."""
    if stack == (OTHERS,):
        return OTHERS
    for name in reversed(stack):
        for stage, places in STAGES.items():
            if name in places or name.partition(":")[0] in places:
                return stage
    return "the rest"


def profile(scan: Callable[[], object]) -> Counter[Stack]:
    """Return the CPU seconds of each stack of a scan."""
    scan()
    with Looker() as looker:
        scan()
    return looker.seconds


def draw(profiles: dict[str, Counter[Stack]]) -> str:
    """Return the flame graphs as SVG; widths are CPU time, the same for all clips."""
    scale = WIDTH_PX / sum(sum(each.values()) for each in profiles.values())
    boxes: list[str] = []
    left = 0.0
    for name, seconds in profiles.items():
        total = sum(seconds.values())
        boxes.append(_box(f"{name} {total:.1f} s", left, 0, total * scale, "#ffffff"))
        _draw_level(boxes, seconds, left, 1, scale)
        left += total * scale
    height = ROW_PX * (MOST_DEEP + 1)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH_PX} {height}" font-family="sans-serif"'
    return "\n".join([f'{head} font-size="9">', *boxes, "</svg>\n"])


def _draw_level(boxes: list[str], seconds: Counter[Stack], left: float, row: int, scale: float) -> None:
    groups: dict[str, Counter[Stack]] = {}
    for stack, each in seconds.items():
        if stack:
            groups.setdefault(stack[0], Counter())[stack[1:]] += each
    for name, below in sorted(groups.items()):
        width = sum(below.values()) * scale
        if width >= LEAST_PX and row < MOST_DEEP:
            stages = [*STAGES, OTHERS]
            stage = stage_of((name,))
            colour = COLOURS[stages.index(stage)] if stage in stages else "#f2f2f2"
            boxes.append(_box(name.removeprefix("unmask."), left, row, width, colour))
            _draw_level(boxes, below, left, row + 1, scale)
        left += width


def _box(text: str, left: float, row: int, width: float, colour: str) -> str:
    short = text.rpartition(":")[2] if row else text
    label = escape(short[: int(width / 5)])
    place = f'x="{left:.1f}" y="{row * ROW_PX}" width="{width:.1f}" height="{ROW_PX}"'
    drawn = f'<g><title>{escape(text)}</title><rect {place} fill="{colour}" stroke="#fff"/>'
    return f'{drawn}<text x="{left + 2:.1f}" y="{row * ROW_PX + 11}">{label}</text></g>'


def table(profiles: dict[str, Counter[Stack]]) -> str:
    """Return the CPU seconds by stage as Markdown."""
    stages = [*STAGES, OTHERS, "the rest"]
    lines = [f"| clip | {' | '.join(stages)} | all |", "| --- " * (len(stages) + 2) + "|"]
    for name, seconds in profiles.items():
        by_stage: Counter[str] = Counter()
        for stack, each in seconds.items():
            by_stage[stage_of(stack)] += each
        cells = [f"{by_stage[stage]:.2f}" for stage in stages]
        lines.append(f"| {name} | {' | '.join(cells)} | {sum(by_stage.values()):.2f} |")
    return "\n".join(lines)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("clips", nargs="+", type=Path)
    options.add_argument("--out", type=Path, required=True, help="SVG to write")
    arguments = options.parse_args()
    scanner = Scanner(limits=Limits(isolate=False))
    profiles = {clip.stem: profile(lambda clip=clip: scanner.scan(clip)) for clip in arguments.clips}
    arguments.out.write_text(draw(profiles))
    print(table(profiles))


if __name__ == "__main__":
    main()
