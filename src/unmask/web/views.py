"""What the service says of a job, and what clients may send, as OpenAPI shows it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from unmask.web.jobs import Job, State

LabelName = Literal["fake", "real", "inconclusive"]
Note = Annotated[str, StringConstraints(max_length=10_000, pattern=r"^[^\x00]*$")]

_EXAMPLE: dict[str, Any] = {
    "id": "3vYtq0T0XbJxZb1pJ0T6Ew",
    "name": "clip.mp4",
    "url": None,
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "size_bytes": 1843201,
    "state": "done",
    "progress": 1.0,
    "seconds_left": None,
    "position": None,
    "status": "ok",
    "label": "fake",
    "fake_probability": 0.93,
    "reason": "Person 1 looks manipulated from 0.0 s to 9.9 s: fake probability 0.93 over 32 frames (threshold 0.89).",
    "people": 1,
    "duration_seconds": 10.0,
    "created_at": "2026-11-26T10:00:12.000Z",
    "started_at": "2026-11-26T10:00:12.100Z",
    "finished_at": "2026-11-26T10:00:15.400Z",
    "review": {"label": None, "note": "", "reviewed_at": None},
    "has_result": True,
}


class ReviewView(BaseModel):
    """The analyst's own verdict beside the machine's."""

    label: LabelName | None
    note: str
    reviewed_at: str | None


class JobView(BaseModel):
    """One file or address that was handed in."""

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE})

    id: str = Field(description="Cannot be guessed; names the job in every address.")
    name: str = Field(description="Name of the file, without folders.")
    url: str | None = Field(description="Where it is fetched from; null for an upload.")
    sha256: str | None = Field(description="Hash of its content; null until it was fetched.")
    size_bytes: int | None
    state: State = Field(description="fetching, queued, running, done (there is a verdict), failed (see status).")
    progress: float | None = Field(description="0 to 1 while it runs, 1 when it is finished, else null.")
    seconds_left: float | None = Field(description="Estimate while it runs; null where there is none.")
    position: int | None = Field(description="Place in the queue, from 1; null unless it is queued.")
    status: str | None = Field(description="Status of the verdict, as in `unmask scan --json`; null until finished.")
    label: LabelName | None
    fake_probability: float | None = Field(description="0 real to 1 fake.")
    reason: str | None = Field(description="The most important reason, a sentence.")
    people: int | None
    duration_seconds: float | None
    created_at: str = Field(description="UTC, ISO 8601.")
    started_at: str | None
    finished_at: str | None
    review: ReviewView
    has_result: bool = Field(description="Whether verdict, report and CSV can be asked for.")


class JobList(BaseModel):
    """One page of the history."""

    jobs: list[JobView]
    total: int = Field(description="Jobs that the search finds, on all pages.")
    page: int
    per_page: int


class Address(BaseModel):
    """An address to fetch and scan."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"url": "https://example.org/clip.mp4"}})

    url: Annotated[str, StringConstraints(max_length=4096, pattern=r"^https://[A-Za-z0-9._~:/?#\[\]!$&'()*+,;=%-]+$")]


class Review(BaseModel):
    """The analyst's own verdict and note; both are replaced."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"label": "real", "note": "Broadcast master, seen on air."}}
    )

    label: LabelName | None = None
    note: Note = ""


class Token(BaseModel):
    """What a client has to know."""

    model_config = ConfigDict(extra="forbid")

    token: Annotated[str, StringConstraints(max_length=1000)]


class Problem(BaseModel):
    """What went wrong, and what to do."""

    model_config = ConfigDict(json_schema_extra={"example": {"detail": "There is no such job."}})

    detail: str


class About(BaseModel):
    """What a page needs to know of the service."""

    version: str
    max_upload_bytes: int
    queue_limit: int
    keep_days: float | None
    ready: bool = Field(description="Whether the model is loaded; jobs can be handed in before.")
    settings_hash: str | None = Field(description="Of models and settings; verdicts with the same hash compare.")


def utc(moment: float | None) -> str | None:
    """Return seconds since 1970 as text, e.g. ``2026-11-26T10:00:12.000Z``."""
    if moment is None:
        return None
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def job_view(
    job: Job, progress: float | None = None, seconds_left: float | None = None, position: int | None = None
) -> JobView:
    """Return what the service says of a job."""
    return JobView(
        id=job.id,
        name=job.name,
        url=job.url,
        sha256=job.sha256,
        size_bytes=job.size_bytes,
        state=job.state,
        progress=1.0 if job.is_finished else progress,
        seconds_left=None if job.is_finished else seconds_left,
        position=position if job.state == "queued" else None,
        status=job.status,
        label=job.label,  # type: ignore[arg-type] # the database keeps text
        fake_probability=job.fake_probability,
        reason=job.reason,
        people=job.people,
        duration_seconds=job.duration_seconds,
        created_at=utc(job.created_at) or "",
        started_at=utc(job.started_at),
        finished_at=utc(job.finished_at),
        review=ReviewView(label=job.review_label, note=job.review_note, reviewed_at=utc(job.reviewed_at)),  # type: ignore[arg-type]
        has_result=job.is_finished and job.people is not None,
    )
