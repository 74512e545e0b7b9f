"""The routes of the video deepfake service that the InVID-WeVerify plug-in asks, as an adapter over the same jobs.

The plug-in (github.com/AFP-Medialab/verification-plugin, ``Deepfake/Hooks/useGetDeepfake.jsx`` and
``Results/DeepfakeResultsVideo.jsx``, May 2026) posts a file or an address with the names of services, asks every three
seconds until the status is COMPLETED, and reads one report for each service. It shows a chart over shots; here each
person is one, from first to last sighting.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request
from pydantic import BaseModel, Field

from unmask.web.files import VERDICT
from unmask.web.jobs import Job
from unmask.web.routes import JobId, find, problems, service_of, take_address, take_upload

router = APIRouter(tags=["InVID"])

_STATUS = {"fetching": "PROCESSING", "queued": "PROCESSING", "running": "PROCESSING", "done": "COMPLETED"}
_ANSWERED = ("no_face",)
"""Statuses of failed jobs that the plug-in has words for: a report without a prediction is "no face detected"."""


class InvidJob(BaseModel):
    """How far a job is, in the plug-in's words."""

    id: str
    status: str = Field(description="PROCESSING, COMPLETED or FAILED.")


class InvidShot(BaseModel):
    """One person, in the place of a shot."""

    prediction: float = Field(description="0 real to 1 fake.")
    shot_start: int = Field(description="Seconds.")
    shot_end: int = Field(description="Seconds.")
    shot_image: str = Field(description="Picture as a data: address; empty where there is none.")
    face_image_paths: list[str]
    face_predictions: list[float]


class InvidReport(BaseModel):
    """What one service says."""

    prediction: float | None = Field(description="Highest of all shots; null where no face was judged.")
    video_path: str
    results: list[InvidShot]


Services = Annotated[
    str, Query(max_length=200, pattern=r"^[a-z0-9_]+(,[a-z0-9_]+)*$", description="Names, with commas between.")
]


_UPLOAD = {
    "requestBody": {
        "content": {
            "multipart/form-data": {
                "schema": {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}}
            }
        }
    }
}


@router.post("/videos/jobs", responses=problems(408, 413, 503, 507), openapi_extra=_UPLOAD)
async def submit(
    request: Request,
    services: Services = "deepfake_video",  # noqa: ARG001 - all of them get the same report
    url: Annotated[
        str | None, Query(max_length=4096, description="Address to fetch; without it a file is sent.")
    ] = None,
) -> InvidJob:
    """Hand in a file or an address."""
    try:
        job, _ = await (take_upload(request) if url is None else take_address(request, url))
    except HTTPException as error:
        if error.status_code == 415:  # the plug-in has texts for 413 and 422
            raise HTTPException(422, error.detail) from error
        raise
    return _job(job)


@router.get("/videos/jobs/{job_id}", responses=problems(404))
@router.get("/jobs/{job_id}", responses=problems(404), include_in_schema=False)
async def status(request: Request, job_id: JobId) -> InvidJob:
    """Tell how far a job is."""
    return _job(await find(request, job_id))


@router.get("/videos/reports/{job_id}", responses=problems(404, 409))
@router.get("/reports/{job_id}", responses=problems(404, 409), include_in_schema=False)
async def report(request: Request, job_id: JobId) -> dict[str, InvidReport]:
    """Return one report for each service that the plug-in knows; all say the same."""
    job = await find(request, job_id)
    if _job(job).status != "COMPLETED" or job.key is None:
        raise HTTPException(409, "there is no report of this job yet, or it has failed")
    path = service_of(request).files.result_folder(job.key) / VERDICT
    row = await asyncio.to_thread(_read, path)
    video = str(request.url_for("video", job_id=job.id))
    made = InvidReport(prediction=row["fake_probability"], video_path=video, results=_shots(row))
    return {f"{name}_report": made for name in ("deepfake_video", "faceswap_fsfm")}


def _job(job: Job) -> InvidJob:
    answered = job.state == "failed" and job.status in _ANSWERED
    return InvidJob(id=job.id, status="COMPLETED" if answered else _STATUS.get(job.state, "FAILED"))


def _read(path: Path) -> Mapping[str, Any]:
    row: Mapping[str, Any] = json.loads(path.read_bytes())
    return row


def _shots(row: Mapping[str, Any]) -> list[InvidShot]:
    scenes = {each["person"]: each["scene"] for each in row["pictures"]}

    def shot(face: Mapping[str, Any]) -> InvidShot:
        scene = scenes.get(face["person"])
        return InvidShot(
            prediction=face["fake_probability"],
            shot_start=math.floor(face["start_seconds"]),
            shot_end=math.ceil(face["end_seconds"]),
            shot_image=_picture(scene["jpeg"]) if scene else "",
            face_image_paths=[_picture(face["thumbnail_jpeg"])],
            face_predictions=[face["fake_probability"]],
        )

    return [shot(face) for face in row["faces"]]


def _picture(jpeg: str) -> str:
    return f"data:image/jpeg;base64,{jpeg}"
