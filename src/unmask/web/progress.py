"""How far the jobs are that are under way, and how long they will take."""

from __future__ import annotations

import time

_TELLING_SHARE = 0.05
"""From here on what is done tells how long the rest takes."""
_MOST = 0.99
"""A job is done when its verdict is there, not when its last frame is."""


class Progress:
    """The jobs under way; all methods are called in one event loop."""

    def __init__(self) -> None:
        self._under_way: dict[str, tuple[float, float]] = {}  # job -> share done, moment of its start

    def begin(self, job_id: str) -> None:
        """Count a job as under way, from now on."""
        self._under_way[job_id] = 0.0, time.monotonic()

    def note(self, job_id: str, decoded: int, asked: int) -> None:
        """Remember how many frames of a job were decoded, of those that were asked for; a share never falls."""
        before, since = self._under_way.get(job_id, (0.0, time.monotonic()))
        self._under_way[job_id] = max(before, min(decoded / max(asked, 1), _MOST)), since

    def forget(self, job_id: str) -> None:
        """Count a job as under way no more."""
        self._under_way.pop(job_id, None)

    def jobs(self) -> list[str]:
        """Return the ids of the jobs under way."""
        return list(self._under_way)

    def of(self, job_id: str) -> tuple[float | None, float | None]:
        """Return the share of a job that is done, and the seconds that are left; None where that is not known."""
        if job_id not in self._under_way:
            return None, None
        share, since = self._under_way[job_id]
        left = (time.monotonic() - since) * (1 - share) / share if share >= _TELLING_SHARE else None
        return share, None if left is None else round(left, 1)
