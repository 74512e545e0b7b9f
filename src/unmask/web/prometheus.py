"""What `/metrics` says, in Prometheus' text form (version 0.0.4)."""

from __future__ import annotations

import resource
from collections import Counter
from collections.abc import Iterator, Mapping

from starlette.types import Scope

from unmask.web.jobs import STATES

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Requests:
    """Counts answers by method and status."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, int]] = Counter()

    def count(self, scope: Scope, status: int) -> None:
        """Count one answer."""
        method = scope["method"] if scope["method"] in ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS") else "other"
        self.counts[method, status] += 1


def metrics_text(
    requests: Requests, jobs: Mapping[str, int], finished: Mapping[str, int], process_starts: int, free_bytes: int
) -> str:
    """Return all metrics as text.

    Args:
        requests: Answers so far.
        jobs: State -> jobs that are in it now.
        finished: State -> jobs that were finished since the start.
        process_starts: How often the scanning process was started.
        free_bytes: Room on the disk.
    """
    own = resource.getrusage(resource.RUSAGE_SELF)

    def lines() -> Iterator[str]:
        yield from _head("unmask_http_requests_total", "counter", "Answers by method and status.")
        for (method, status), count in sorted(requests.counts.items()):
            yield f'unmask_http_requests_total{{method="{method}",status="{status}"}} {count}'
        yield from _head("unmask_jobs", "gauge", "Jobs by state.")
        for state in STATES:
            yield f'unmask_jobs{{state="{state}"}} {jobs.get(state, 0)}'
        yield from _head("unmask_jobs_finished_total", "counter", "Jobs that were finished since the start.")
        for outcome, count in finished.items():
            yield f'unmask_jobs_finished_total{{state="{outcome}"}} {count}'
        for name, kind, help_text, value in (
            ("unmask_scan_process_starts_total", "counter", "Starts of the scanning process.", process_starts),
            ("unmask_disk_free_bytes", "gauge", "Room on the disk of the data folder.", free_bytes),
            ("process_cpu_seconds_total", "counter", "CPU time of the server.", own.ru_utime + own.ru_stime),
            ("process_max_resident_memory_bytes", "gauge", "Largest memory of the server.", own.ru_maxrss * 1024),
        ):
            yield from _head(name, kind, help_text)
            yield f"{name} {value}"

    return "\n".join(lines()) + "\n"


def _head(name: str, kind: str, help_text: str) -> tuple[str, str]:
    return f"# HELP {name} {help_text}", f"# TYPE {name} {kind}"
