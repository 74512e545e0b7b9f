"""A job: one file or address that was handed in, and how far it is."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, fields
from typing import Any, Literal, Self

from unmask.web.database import Row

State = Literal["fetching", "queued", "running", "done", "failed"]
STATES: tuple[State, ...] = ("fetching", "queued", "running", "done", "failed")
OPEN: tuple[State, ...] = ("fetching", "queued", "running")
"""States of jobs that are not finished."""
RETRIED = ("internal_error", "crashed", "timeout")
"""Statuses that may not lie with the file: it is judged anew when it is handed in again."""
GOOD = ("ok", "ok_partial")
"""Statuses of jobs that are done; all others have failed."""


def new_id() -> str:
    """Return an id that nobody can guess: 128 random bits in 22 letters, digits, ``-`` and ``_``."""
    return secrets.token_urlsafe(16)


@dataclass(frozen=True, slots=True)
class Job:
    """One row of the table of jobs. Times are seconds since 1970, UTC."""

    id: str
    """See `new_id`."""
    name: str
    """Name of the file as it was handed in, without folders."""
    url: str | None
    """Where it is fetched from; None for an upload."""
    sha256: str | None
    """Hash of its content, 64 hex digits; None until it was fetched."""
    size_bytes: int | None
    """Its length; None until it was fetched."""
    settings_hash: str
    """`BaseScanner.settings_hash` of the scanner that it was handed to; with ``sha256`` the key of the result."""
    state: State
    """How far it is."""
    status: str | None
    """Status of the verdict, see `unmask.types.Status`; None until the job is finished."""
    label: str | None
    """``fake``, ``real``, ``inconclusive``; None without a verdict."""
    fake_probability: float | None
    """0 real to 1 fake; None without a verdict."""
    reason: str | None
    """The most important reason, a sentence."""
    people: int | None
    """People who were judged."""
    duration_seconds: float | None
    """Length of the clip."""
    created_at: float
    """When it was handed in."""
    started_at: float | None
    """When its scan began last."""
    finished_at: float | None
    """When it was finished."""
    attempts: int
    """Scans that were begun since the service started."""
    review_label: str | None
    """The analyst's own verdict: ``fake``, ``real``, ``inconclusive``."""
    review_note: str
    """The analyst's note."""
    reviewed_at: float | None
    """When the analyst wrote last."""

    @classmethod
    def of_row(cls, row: Row) -> Self:
        """Return the job of a row."""
        return cls(**{name: row[name] for name in COLUMNS})

    @property
    def is_finished(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in ("done", "failed")

    @property
    def key(self) -> str | None:
        """Name of its result: content and settings."""
        return None if self.sha256 is None else f"{self.sha256}-{self.settings_hash}"


COLUMNS = tuple(item.name for item in fields(Job))
"""Columns of the table that a `Job` shows; the leases are the store's own."""


def failure(status: str, reason: str) -> dict[str, Any]:
    """Return the summary of a job without a verdict: the keys that a finished job has."""
    return {
        "status": status,
        "label": None,
        "fake_probability": None,
        "reason": reason,
        "people": None,
        "duration_seconds": None,
    }
