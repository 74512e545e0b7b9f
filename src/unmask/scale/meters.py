"""What a run looks like from outside: one line a minute, and a file that Prometheus reads."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path

from unmask.scale.lease import Leases
from unmask.scale.rows import SAME, Ended
from unmask.storage.atomic import write_file

LINE_SECONDS, FILE_SECONDS = 60.0, 10.0
"""How often a line is said, and the file written."""
WINDOW_SECONDS = 600.0
"""The time left is guessed from what was done in so long."""

_WELL = ("ok", SAME)


class Meters:
    """Counts what a run does; any thread may call it."""

    def __init__(self, rows: int, say: Callable[[str], None], file: Path | None = None) -> None:
        """Begin.

        Args:
            rows: Rows of the manifest, done ones among them.
            say: Takes one line a minute.
            file: Prometheus' text format goes there; None for nowhere.
        """
        self.rows, self.workers = rows, 0
        self.statuses: Counter[str] = Counter()
        """Rows answered in this run, by status."""
        self.cpu_seconds, self.size_bytes = 0.0, 0
        self.deaths, self.losses = 0, 0
        """Workers that died by themselves, and that were taken away."""
        self._say, self._file, self._lock = say, file, threading.Lock()
        self._started = self._said = self._written = time.monotonic()
        self._past: deque[tuple[float, float]] = deque()

    def count(self, ended: Ended) -> None:
        """Count how a lease ended."""
        with self._lock:
            for commit in ended.commits:
                self.statuses.update(row[2] for row in commit["rows"])
            self.cpu_seconds += ended.spent.cpu_seconds
            self.size_bytes += ended.spent.size_bytes
            self.deaths += bool(ended.suspects)
            self.losses += ended.lost

    def show(self, leases: Leases, *, at_once: bool = False) -> None:
        """Say a line and write the file, where it is time for them."""
        now = time.monotonic()
        self._past.append((now, leases.cost_left))
        while now - self._past[0][0] > WINDOW_SECONDS:
            self._past.popleft()
        if now - self._said >= LINE_SECONDS:
            self._said = now
            self._say(self.line(leases))
        if self._file is not None and (at_once or now - self._written >= FILE_SECONDS):
            self._written = now
            write_file(self._file, self.text(leases).encode())

    def line(self, leases: Leases) -> str:
        """Return one line for people."""
        with self._lock:
            done, seconds = self.statuses.total(), self._seconds()
            left = self._seconds_left(leases)
            bad = [(status, count) for status, count in self.statuses.most_common() if status not in _WELL]
            failed = ", ".join(f"{count} {status}" for status, count in bad)
            return (
                f"{done} rows done, {leases.left} left; {done / seconds:.1f} rows/s, "
                f"{self.cpu_seconds / max(1, done):.2f} CPU-s a row, {self.size_bytes / seconds / 1e6:.1f} MB/s; "
                f"{self.workers} workers; {failed or 'none failed'}; "
                + ("time left unknown" if left is None else f"{_duration(left)} left")
            )

    def _seconds(self) -> float:
        """Return the time since the begin, above 0 also where the clock has coarse steps."""
        return max(time.monotonic() - self._started, 1e-3)

    def text(self, leases: Leases) -> str:
        """Return the counts in Prometheus' text format."""
        with self._lock:
            seconds = self._seconds()
            left = self._seconds_left(leases)
            values: list[tuple[str, str, str, list[tuple[str, float]]]] = [
                ("rows_total", "counter", "Rows answered in this run, by status.",
                 [(f'{{status="{status}"}}', count) for status, count in sorted(self.statuses.items())]),
                ("manifest_rows", "gauge", "Rows of the manifest.", [("", self.rows)]),
                ("rows_left", "gauge", "Rows without an answer.", [("", leases.left)]),
                ("rows_per_second", "gauge", "Rows answered a second, on average.",
                 [("", self.statuses.total() / seconds)]),
                ("cpu_seconds_total", "counter", "CPU time of the workers.", [("", self.cpu_seconds)]),
                ("bytes_total", "counter", "Length of the files answered.", [("", self.size_bytes)]),
                ("workers", "gauge", "Workers that the run has, or waits for.", [("", self.workers)]),
                ("worker_deaths_total", "counter", "Workers that died by themselves.", [("", self.deaths)]),
                ("worker_losses_total", "counter", "Workers that were taken away.", [("", self.losses)]),
                ("rows_returned_total", "counter", "Rows that came back from workers.", [("", leases.returned_rows)]),
                ("seconds_left", "gauge", "Guess of the time left.", [] if left is None else [("", left)]),
            ]  # fmt: skip
        lines = []
        for name, kind, what, samples in values:
            lines += [f"# HELP unmask_{name} {what}", f"# TYPE unmask_{name} {kind}"]
            lines += [f"unmask_{name}{labels} {value:.10g}" for labels, value in samples]
        return "\n".join(lines) + "\n"

    def _seconds_left(self, leases: Leases) -> float | None:
        if not self._past:
            return None
        (then, before), (now, after) = self._past[0], self._past[-1]
        speed = (before - after) / (now - then) if now > then else 0.0
        if not leases.left:
            return 0.0
        return leases.cost_left / speed if speed > 0 else None


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
