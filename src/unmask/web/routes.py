"""The routes of the service's own API, under ``/api``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Annotated, Any, Literal, cast
from urllib.parse import quote

from fastapi import APIRouter, Body, HTTPException, Query, Request, Response
from fastapi import Path as PathParameter
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from pydantic import ValidationError

from unmask._version import __version__
from unmask.errors import UsageError
from unmask.web.exports import history_csv
from unmask.web.files import REPORT, THUMBNAIL, VERDICT
from unmask.web.guard import (
    COOKIE,
    FILE_POLICY,
    REPORT_POLICY,
    SECURE_COOKIE,
    SESSION_SECONDS,
    Guard,
    client_of,
    same_token,
    too_many,
)
from unmask.web.jobs import Job, State
from unmask.web.kinds import media_type
from unmask.web.service import NotReadyError, QueueFullError, Service
from unmask.web.store import Search, Sort
from unmask.web.upload import UploadError, patiently, receive
from unmask.web.views import About, Address, JobList, JobView, LabelName, Problem, Review, Token

JobId = Annotated[str, PathParameter(pattern=r"^[A-Za-z0-9_-]{22}$", examples=["3vYtq0T0XbJxZb1pJ0T6Ew"])]
RETRY_SECONDS = 10
"""When a client whose job was refused may try again."""
_EXPORT_PAGE = 500

router = APIRouter(prefix="/api", tags=["jobs"])


Answers = dict[int | str, dict[str, Any]]


def problems(*statuses: int) -> Answers:
    """Return the answers that OpenAPI tells besides the good one."""
    always = (400, 401, 403, 421, 422, 429)
    return {status: {"model": Problem} for status in sorted({*always, *statuses})}


def body(kind: str, *statuses: int, good: int = 200, what: str = "The file.") -> Answers:
    """Return the answers of a route that gives a file or a stream of a media type, and its problems."""
    schema = {"type": "object"} if kind == "application/json" else {"type": "string"}
    good_answer: Answers = {good: {"content": {kind: {"schema": schema}}, "description": what}}
    return good_answer | problems(*statuses)


def service_of(request: Request) -> Service:
    """Return the service that answers a request."""
    return cast(Service, request.app.state.service)


@contextmanager
def refusals() -> Iterator[None]:
    """Turn the errors of handing something in into answers."""
    try:
        yield
    except UploadError as error:
        raise HTTPException(error.status, str(error)) from error
    except QueueFullError as error:
        raise HTTPException(429, str(error), {"Retry-After": str(RETRY_SECONDS)}) from error
    except NotReadyError as error:
        raise HTTPException(503, str(error), {"Retry-After": str(RETRY_SECONDS)}) from error
    except UsageError as error:
        raise HTTPException(422, str(error)) from error


async def find(request: Request, job_id: str) -> Job:
    """Return a job, or answer 404."""
    job = await service_of(request).get(job_id)
    if job is None:
        raise HTTPException(404, "there is no such job; it may have been deleted")
    return job


async def take_upload(request: Request) -> tuple[Job, bool]:
    """Receive a file and hand it in; see `Service.submit`."""
    service, client = service_of(request), client_of(request.scope)
    uploads: dict[str, int] = request.app.state.uploads
    if uploads.get(client, 0) >= service.settings.client_uploads:
        raise HTTPException(429, "too many uploads at a time; wait for one to end", {"Retry-After": "5"})
    uploads[client] = uploads.get(client, 0) + 1
    try:
        with refusals():
            incoming = await receive(request, service.files, service.settings)
            try:
                return await service.submit(incoming)
            finally:
                incoming.path.unlink(missing_ok=True)
    finally:
        uploads[client] -= 1
        if not uploads[client]:
            del uploads[client]


async def take_address(request: Request, url: str) -> tuple[Job, bool]:
    """Hand an address in; see `Service.submit_address`."""
    with refusals():
        return await service_of(request).submit_address(url)


_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            },
            "application/json": {
                "schema": Address.model_json_schema(),
                "example": {"url": "https://example.org/clip.mp4"},
            },
        },
    }
}


@router.post(
    "/jobs", status_code=202, response_model=JobView, openapi_extra=_FORM,
    responses=problems(408, 413, 415, 503, 507)
    | {200: {"model": JobView, "description": "The same content was handed in before."}},
)  # fmt: skip
async def submit(request: Request) -> JSONResponse:
    """Hand in a file (form field ``file``) or an https address (JSON)."""
    if request.headers.get("content-type", "").partition(";")[0].strip() == "application/json":
        job, known = await take_address(request, (await _address(request)).url)
    else:
        job, known = await take_upload(request)
    view = await service_of(request).view(job)
    return JSONResponse(view.model_dump(), 200 if known else 202, {"Location": f"/api/jobs/{job.id}"})


Text = Annotated[str, Query(max_length=200, pattern=r"^[^\x00]*$", description="Part of name, address, hash or note.")]
States = Annotated[list[State] | None, Query(description="States to show; repeat.")]
Labels = Annotated[list[LabelName] | None, Query(description="The analyst's, else the machine's; repeat.")]


@router.get("/jobs", responses=problems())
async def history(
    request: Request,
    search: Text = "",
    state: States = None,
    label: Labels = None,
    sort: Annotated[Sort, Query(description="Column; - for falling order.")] = "-created_at",
    page: Annotated[int, Query(ge=1, le=100_000)] = 1,
    per_page: Annotated[int, Query(ge=1, le=200)] = 50,
) -> JobList:
    """List the history."""
    wanted = Search(search, tuple(state or ()), tuple(label or ()), sort)
    return await service_of(request).list_jobs(wanted, page, per_page)


@router.get("/jobs/{job_id}", responses=problems(404))
async def job(request: Request, job_id: JobId) -> JobView:
    """Tell how far a job is."""
    return await service_of(request).view(await find(request, job_id))


@router.delete("/jobs/{job_id}", status_code=204, responses=problems(404))
async def delete(request: Request, job_id: JobId) -> Response:
    """Delete a job with its file, result and note; a scan that is under way is dropped."""
    if not await service_of(request).delete(job_id):
        raise HTTPException(404, "there is no such job; it may have been deleted")
    return Response(status_code=204)


@router.put("/jobs/{job_id}/review", responses=problems(404))
async def review(request: Request, job_id: JobId, review: Annotated[Review, Body()]) -> JobView:
    """Write the analyst's own verdict and note; both are replaced."""
    service = service_of(request)
    written = await service.review(job_id, review.label, review.note)
    if written is None:
        raise HTTPException(404, "there is no such job; it may have been deleted")
    return await service.view(written)


_EVENTS = {
    200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}, "description": "Server-sent events."}
}


@router.get(
    "/jobs/{job_id}/events",
    response_class=StreamingResponse,
    responses=body("text/event-stream", 404, 503, what="Server-sent events."),
)
async def job_events(request: Request, job_id: JobId) -> StreamingResponse:
    """Follow one job; the stream ends with it."""
    service = service_of(request)
    await find(request, job_id)

    async def look() -> dict[str, Any] | None:
        job = await service.get(job_id)
        return None if job is None else (await service.view(job)).model_dump()

    return _stream(service, service.board.listen(job_id, look))


@router.get(
    "/events", response_class=StreamingResponse, responses=body("text/event-stream", 503, what="Server-sent events.")
)
async def events(request: Request) -> StreamingResponse:
    """Follow all jobs."""
    service = service_of(request)
    return _stream(service, service.board.listen())


def _stream(service: Service, texts: AsyncIterator[str]) -> StreamingResponse:
    if service.board.is_full:
        raise HTTPException(503, "too many clients listen; close a page", {"Retry-After": str(RETRY_SECONDS)})
    return StreamingResponse(texts, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


@router.get(
    "/jobs/{job_id}/verdict", response_class=FileResponse,
    responses=body("application/json", 404, 409),
)  # fmt: skip
async def verdict(request: Request, job_id: JobId) -> Response:
    """Return the verdict, as ``unmask scan --json --maps --timing`` writes it (docs/verdict.schema.json)."""
    found = await find(request, job_id)
    path = _result(request, found, VERDICT)
    return _file(path, "application/json", f"{found.name}.verdict.json", FILE_POLICY)


@router.get(
    "/jobs/{job_id}/report", response_class=FileResponse,
    responses=body("text/html", 404, 409),
)  # fmt: skip
async def report(request: Request, job_id: JobId, download: bool = False) -> Response:
    """Return the report as ``unmask scan --html`` writes it: one page without script, to be shown in a frame."""
    found = await find(request, job_id)
    path = _result(request, found, REPORT)
    kind: Literal["attachment", "inline"] = "attachment" if download else "inline"
    return _file(path, "text/html; charset=utf-8", f"{found.name}.html", REPORT_POLICY, kind)


@router.get(
    "/jobs/{job_id}/thumbnail", response_class=FileResponse,
    responses=body("image/jpeg", 404, 409),
)  # fmt: skip
async def thumbnail(request: Request, job_id: JobId) -> Response:
    """Return a picture of the most suspicious person; 404 where nobody is seen."""
    found = await find(request, job_id)
    path = _result(request, found, THUMBNAIL)
    return _file(path, "image/jpeg", f"{found.name}.jpg", FILE_POLICY, "inline")


@router.get(
    "/jobs/{job_id}/video", response_class=FileResponse,
    responses=body("video/*", 404) | body("video/*", good=206, what="A part.") | problems(416),
)  # fmt: skip
async def video(request: Request, job_id: JobId) -> Response:
    """Return the file that was handed in, whole or in parts (Range); to be played, or saved."""
    found = await find(request, job_id)
    path = service_of(request).files.media_file(found.sha256) if found.sha256 else None
    if path is None or not path.is_file():
        raise HTTPException(404, "the file of this job is not here yet, or could not be fetched")
    kind = await asyncio.to_thread(media_type, path)
    return _file(path, kind, found.name, FILE_POLICY)


@router.get(
    "/export.csv", response_class=StreamingResponse,
    responses=body("text/csv"),
)  # fmt: skip
async def export(request: Request, search: Text = "", state: States = None, label: Labels = None) -> StreamingResponse:
    """Return the history as a table: the machine's verdicts beside the analyst's and the notes."""
    wanted, service = Search(search, tuple(state or ()), tuple(label or ()), "created_at"), service_of(request)

    async def pages() -> AsyncIterator[bytes]:
        for page in count(1):
            jobs = (await service.list_jobs(wanted, page, _EXPORT_PAGE)).jobs
            yield history_csv(jobs, with_header=page == 1)
            if len(jobs) < _EXPORT_PAGE:
                return

    headers = {"Content-Disposition": 'attachment; filename="unmask.csv"'}
    return StreamingResponse(pages(), media_type="text/csv; charset=utf-8", headers=headers)


@router.get("/about", responses=problems(), tags=["service"])
async def about(request: Request) -> About:
    """Tell version and limits."""
    service = service_of(request)
    return About(
        version=__version__,
        max_upload_bytes=service.settings.max_upload_bytes,
        queue_limit=service.settings.queue_limit,
        keep_days=service.settings.keep_days,
        ready=service.ready.is_set() and service.failure is None,
        settings_hash=service.scans.settings_hash or None,
    )


@router.post("/session", status_code=204, responses=problems(), tags=["service"])
async def session(request: Request, given: Annotated[Token, Body()]) -> Response:
    """Give a browser that knows the token a cookie, so that it can show pictures and listen to events."""
    token, guard, client = service_of(request).settings.token, _guard(request), client_of(request.scope)
    if token is not None:
        if (wait := guard.wait_seconds(client)) > 0:
            return too_many(wait)
        if not same_token(given.token, token):
            guard.count_failure(client)
            raise HTTPException(401, "this is not the token that the service was started with")
    answer = Response(status_code=204)
    if token is not None:
        secure = request.url.scheme == "https"
        cookie = guard.begin_session(request.headers, client)
        name = SECURE_COOKIE if secure else COOKIE
        answer.set_cookie(name, cookie, int(SESSION_SECONDS), httponly=True, samesite="strict", secure=secure)
    return answer


@router.delete("/session", status_code=204, responses=problems(), tags=["service"])
async def end_session(request: Request) -> Response:
    """End the session; a cookie that somebody kept opens nothing any more."""
    _guard(request).end_session(request.headers, client_of(request.scope))
    answer = Response(status_code=204, headers={"Clear-Site-Data": '"cache", "storage"'})
    for name in (COOKIE, SECURE_COOKIE):
        answer.delete_cookie(name, httponly=True, samesite="strict", secure=name == SECURE_COOKIE)
    return answer


def _guard(request: Request) -> Guard:
    return cast(Guard, request.app.state.guard)


async def _address(request: Request) -> Address:
    body = b""
    with refusals():
        async for chunk in patiently(request, service_of(request).settings.patience_seconds):
            body += chunk
            if len(body) > 1 << 16:
                raise HTTPException(413, "an address is short; this is no address")
    try:
        return Address.model_validate_json(body)
    except ValidationError as error:
        raise HTTPException(422, 'send {"url": "https://..."}') from error


def _result(request: Request, job: Job, name: str) -> Path:
    if not job.is_finished:
        raise HTTPException(409, f"the job is {job.state}; ask again when it is done")
    path = service_of(request).files.result_folder(job.key) / name if job.key else None
    if path is None or not path.is_file():
        raise HTTPException(404, "this job has no such result; its reason says why")
    return path


def _file(
    path: Path, kind: str, name: str, policy: str, disposition: Literal["attachment", "inline"] = "attachment"
) -> FileResponse:
    safe = quote(name, safe="")
    headers: Mapping[str, str] = {
        "Content-Security-Policy": policy,
        "Content-Disposition": f"{disposition}; filename*=UTF-8''{safe}",
        "Cache-Control": "private, no-cache",
    }
    return FileResponse(path, media_type=kind, headers=headers)
