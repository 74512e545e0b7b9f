"""The history as a table."""

from __future__ import annotations

import io
from collections.abc import Sequence

from unmask.report.csv import write_table
from unmask.web.views import JobView

COLUMNS = (
    "name", "sha256", "url", "state", "status", "label", "fake_probability", "reason", "people", "duration_seconds",
    "analyst_label", "analyst_note", "reviewed_at", "created_at", "finished_at",
)  # fmt: skip


def history_csv(jobs: Sequence[JobView], with_header: bool) -> bytes:
    """Return jobs as CSV in UTF-8; texts that a spreadsheet would run have an apostrophe in front."""
    file = io.BytesIO()
    write_table(COLUMNS, map(_cells, jobs), file)
    return file.getvalue() if with_header else file.getvalue().partition(b"\n")[2]


def _cells(job: JobView) -> list[str | float]:
    values = (
        job.name, job.sha256, job.url, job.state, job.status, job.label, job.fake_probability, job.reason, job.people,
        job.duration_seconds, job.review.label, job.review.note, job.review.reviewed_at, job.created_at,
        job.finished_at,
    )  # fmt: skip
    return ["" if value is None else value for value in values]
