"""The table of jobs: a durable queue and a history. A job is leased, and its lease renewed, while it is scanned."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from unmask.web.database import Database, Row
from unmask.web.jobs import COLUMNS, GOOD, OPEN, RETRIED, Job, State, new_id

LEASE_SECONDS = 30.0
"""How long a lease holds without a heartbeat."""

Sort = Literal["-created_at", "created_at", "name", "-name", "label", "-label", "fake_probability", "-fake_probability"]
SORTS: tuple[Sort, ...] = get_args(Sort)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, url TEXT, sha256 TEXT, size_bytes BIGINT, settings_hash TEXT NOT NULL,
  state TEXT NOT NULL, status TEXT, label TEXT, fake_probability DOUBLE PRECISION, reason TEXT, people INTEGER,
  duration_seconds DOUBLE PRECISION, created_at DOUBLE PRECISION NOT NULL, started_at DOUBLE PRECISION,
  finished_at DOUBLE PRECISION, attempts INTEGER NOT NULL DEFAULT 0, review_label TEXT,
  review_note TEXT NOT NULL DEFAULT '', reviewed_at DOUBLE PRECISION, lease_until DOUBLE PRECISION
)"""
_INDEXES = (
    "CREATE INDEX IF NOT EXISTS jobs_by_key ON jobs (sha256, settings_hash)",
    "CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs (state, created_at)",
    "CREATE INDEX IF NOT EXISTS jobs_by_time ON jobs (created_at)",
)
_SHOWN = ", ".join(COLUMNS)
_OPEN = ", ".join(f"'{state}'" for state in OPEN)
_RETRIED = ", ".join(f"'{status}'" for status in RETRIED)


@dataclass(frozen=True, slots=True)
class Search:
    """Which jobs a list shows, and in which order."""

    text: str = ""
    """Part of the name, address, hash or note, upper and lower case alike."""
    states: tuple[State, ...] = ()
    """States to show; empty for all."""
    labels: tuple[str, ...] = ()
    """Labels to show: the analyst's where there is one, else the machine's; empty for all."""
    sort: Sort = "-created_at"
    """Column to sort by; ``-`` for falling order. Jobs without a value come last."""


class Store:
    """The table of jobs in a database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        for statement in (_SCHEMA, *_INDEXES):
            database.write(statement)

    def submit(
        self, name: str, settings_hash: str, queue_limit: int, *, sha256: str | None, size_bytes: int | None,
        url: str | None = None,
    ) -> Job | None:  # fmt: skip
        """Add a job; None when the queue is full."""
        rows = self._database.write(
            "INSERT INTO jobs (id, name, url, sha256, size_bytes, settings_hash, state, created_at) "
            "SELECT :id, :name, :url, :sha256, :size_bytes, :settings_hash, :state, :now "
            f"WHERE (SELECT count(*) FROM jobs WHERE state IN ({_OPEN})) < :queue_limit RETURNING {_SHOWN}",
            id=new_id(), name=name, url=url, sha256=sha256, size_bytes=size_bytes, settings_hash=settings_hash,
            state="fetching" if sha256 is None else "queued", now=time.time(), queue_limit=queue_limit,
        )  # fmt: skip
        return _first(rows)

    def find_same(self, settings_hash: str, *, sha256: str | None = None, url: str | None = None) -> Job | None:
        """Return the job of the same content, or the unfinished one of the same address; not one to be tried anew."""
        wanted = "sha256 = :sha256" if sha256 else f"url = :url AND state IN ({_OPEN})"
        rows = self._database.read(
            f"SELECT {_SHOWN} FROM jobs WHERE {wanted} AND settings_hash = :settings_hash "
            f"AND (status IS NULL OR status NOT IN ({_RETRIED})) ORDER BY created_at LIMIT 1",
            settings_hash=settings_hash, **({"sha256": sha256} if sha256 else {"url": url}),
        )  # fmt: skip
        return _first(rows)

    def find_answer(self, job: Job) -> Job | None:
        """Return another job that has the answer for the same content and settings."""
        rows = self._database.read(
            f"SELECT {_SHOWN} FROM jobs WHERE sha256 = :sha256 AND settings_hash = :settings_hash AND id <> :id "
            f"AND status IS NOT NULL AND status NOT IN ({_RETRIED}) LIMIT 1",
            sha256=job.sha256, settings_hash=job.settings_hash, id=job.id,
        )  # fmt: skip
        return _first(rows)

    def get(self, job_id: str) -> Job | None:
        """Return a job, None where there is none."""
        return _first(self._database.read(f"SELECT {_SHOWN} FROM jobs WHERE id = :id", id=job_id))

    def lease(self, state: Literal["fetching", "queued"]) -> Job | None:
        """Take the oldest job that waits, or whose lease has run out; None where there is none."""
        taken = {"fetching": "fetching", "queued": "running"}[state]
        free = "(state = :state AND lease_until IS NULL) OR (state = :taken AND lease_until < :now)"
        rows = self._database.write(
            "UPDATE jobs SET state = :taken, started_at = :now, lease_until = :until, attempts = attempts + 1 "
            f"WHERE id = (SELECT id FROM jobs WHERE {free} ORDER BY created_at, id LIMIT 1) AND ({free}) "
            f"RETURNING {_SHOWN}",
            state=state, taken=taken, now=time.time(), until=time.time() + LEASE_SECONDS,
        )  # fmt: skip
        return _first(rows)

    def renew(self, job_ids: Sequence[str]) -> None:
        """Let the leases of these jobs hold on."""
        for job_id in job_ids:
            self._database.write(
                "UPDATE jobs SET lease_until = :until WHERE id = :id AND lease_until IS NOT NULL",
                id=job_id, until=time.time() + LEASE_SECONDS,
            )  # fmt: skip

    def release(self, job_id: str) -> Job | None:
        """Put a job back that was leased."""
        rows = self._database.write(
            "UPDATE jobs SET state = CASE state WHEN 'running' THEN 'queued' ELSE state END, lease_until = NULL "
            f"WHERE id = :id AND state IN ({_OPEN}) RETURNING {_SHOWN}",
            id=job_id,
        )  # fmt: skip
        return _first(rows)

    def take_over(self, settings_hash: str) -> None:
        """Put back what an earlier server had leased, and let this one's scanner do all that is unfinished.

        Only for the one server of a database: it knows that no other one lives. That it was killed is no fault of the
        jobs, so their attempts do not count.
        """
        self._database.write(
            "UPDATE jobs SET state = CASE state WHEN 'running' THEN 'queued' ELSE state END, lease_until = NULL, "
            f"attempts = 0, settings_hash = :settings_hash WHERE state IN ({_OPEN})",
            settings_hash=settings_hash,
        )  # fmt: skip

    def fetched(self, job_id: str, sha256: str, size_bytes: int) -> Job | None:
        """Queue a job whose address was fetched; None where it was deleted meanwhile."""
        rows = self._database.write(
            "UPDATE jobs SET state = 'queued', lease_until = NULL, started_at = NULL, attempts = 0, sha256 = :sha256, "
            f"size_bytes = :size_bytes WHERE id = :id AND state = 'fetching' RETURNING {_SHOWN}",
            id=job_id, sha256=sha256, size_bytes=size_bytes,
        )  # fmt: skip
        return _first(rows)

    def finish(self, job_id: str, summary: Row) -> Job | None:
        """Write the outcome of a job that is not finished; None where it was deleted meanwhile.

        Args:
            job_id: The job.
            summary: ``status``, ``label``, ``fake_probability``, ``reason``, ``people`` and ``duration_seconds``.
        """
        rows = self._database.write(
            "UPDATE jobs SET state = :state, finished_at = :now, lease_until = NULL, status = :status, label = :label, "
            "fake_probability = :fake_probability, reason = :reason, people = :people, "
            f"duration_seconds = :duration_seconds WHERE id = :id AND state IN ({_OPEN}) RETURNING {_SHOWN}",
            id=job_id, state="done" if summary["status"] in GOOD else "failed", now=time.time(), **summary,
        )  # fmt: skip
        return _first(rows)

    def review(self, job_id: str, label: str | None, note: str) -> Job | None:
        """Write the analyst's verdict and note; None where there is no such job."""
        rows = self._database.write(
            "UPDATE jobs SET review_label = :label, review_note = :note, reviewed_at = :now "
            f"WHERE id = :id RETURNING {_SHOWN}",
            id=job_id, label=label, note=note, now=time.time(),
        )  # fmt: skip
        return _first(rows)

    def delete(self, job_id: str) -> Job | None:
        """Delete a job and return it; None where there is none."""
        return _first(self._database.write(f"DELETE FROM jobs WHERE id = :id RETURNING {_SHOWN}", id=job_id))

    def finished_before(self, moment: float) -> list[Job]:
        """Return the jobs that were finished before a moment."""
        return [
            Job.of_row(row)
            for row in self._database.read(f"SELECT {_SHOWN} FROM jobs WHERE finished_at < :moment", moment=moment)
        ]

    def is_used(self, sha256: str, settings_hash: str | None = None) -> bool:
        """Tell whether some job has this content, and these settings if they are named."""
        with_settings = "" if settings_hash is None else " AND settings_hash = :settings_hash"
        values = {"sha256": sha256} | ({} if settings_hash is None else {"settings_hash": settings_hash})
        return bool(self._database.read(f"SELECT 1 FROM jobs WHERE sha256 = :sha256{with_settings} LIMIT 1", **values))

    def keys(self) -> set[tuple[str, str]]:
        """Return content and settings of all jobs whose file is there."""
        rows = self._database.read("SELECT DISTINCT sha256, settings_hash FROM jobs WHERE sha256 IS NOT NULL")
        return {(row["sha256"], row["settings_hash"]) for row in rows}

    def list_jobs(self, search: Search, limit: int, offset: int = 0) -> tuple[list[Job], int]:
        """Return a page of the history, and how many jobs the search finds in all."""
        where, values = _where(search)
        column, order = search.sort.removeprefix("-"), "DESC" if search.sort.startswith("-") else "ASC"
        column = f"lower({column})" if column == "name" else column
        total = self._database.read(f"SELECT count(*) AS total FROM jobs WHERE {where}", **values)[0]["total"]
        rows = self._database.read(
            f"SELECT {_SHOWN} FROM jobs WHERE {where} "
            f"ORDER BY {column} IS NULL, {column} {order}, created_at DESC, id LIMIT :limit OFFSET :offset",
            limit=limit, offset=offset, **values,
        )  # fmt: skip
        return [Job.of_row(row) for row in rows], total

    def waiting(self) -> list[str]:
        """Return the ids of the jobs that are queued, in the order in which they will be scanned."""
        rows = self._database.read("SELECT id FROM jobs WHERE state = 'queued' ORDER BY created_at, id")
        return [row["id"] for row in rows]

    def counts(self) -> dict[str, int]:
        """Return how many jobs there are in each state."""
        rows = self._database.read("SELECT state, count(*) AS jobs FROM jobs GROUP BY state")
        return {row["state"]: row["jobs"] for row in rows}

    def close(self) -> None:
        """Close the database."""
        self._database.close()


def _first(rows: Sequence[Row]) -> Job | None:
    return Job.of_row(rows[0]) if rows else None


def _where(search: Search) -> tuple[str, dict[str, Any]]:
    """Return a condition and its values."""
    conditions, values = ["1 = 1"], dict[str, Any]()
    if search.text:
        escaped = search.text.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        values["pattern"] = f"%{escaped}%"
        columns = ("name", "coalesce(url, '')", "coalesce(sha256, '')", "review_note")
        conditions.append("(" + " OR ".join(f"lower({c}) LIKE :pattern ESCAPE '\\'" for c in columns) + ")")
    for name, column, wanted in (
        ("state", "state", search.states),
        ("label", "coalesce(review_label, label)", search.labels),
    ):
        if wanted:
            values |= {f"{name}_{i}": value for i, value in enumerate(wanted)}
            conditions.append(f"{column} IN ({', '.join(f':{name}_{i}' for i in range(len(wanted)))})")
    return " AND ".join(conditions), values
