"""Put the service together: routes, page, guard."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp

from unmask._version import __version__
from unmask.web import invid, routes
from unmask.web.guard import PAGE_POLICY, Guard
from unmask.web.prometheus import CONTENT_TYPE, Requests, metrics_text
from unmask.web.service import Service
from unmask.web.upload import DISK_FULL

log = logging.getLogger(__name__)

STATIC = Path(__file__).parent / "static"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".json": "application/json",
}
"""Suffix -> media type of the page's files; no others are served."""

DESCRIPTION = "Is the face in this video real? Hand in a clip, follow its scan, read the verdict."


def create_app(service: Service) -> tuple[ASGIApp, FastAPI]:
    """Return the application as it is served, guarded, and within it the one that knows routes and OpenAPI.

    It starts the service when it starts, and stops it when it stops.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await service.start()
        try:
            yield
        finally:
            await service.stop()

    app = FastAPI(
        title="unmask", version=__version__, description=DESCRIPTION, lifespan=lifespan, docs_url=None, redoc_url=None,
        swagger_ui_oauth2_redirect_url=None, redirect_slashes=False,
    )  # fmt: skip
    requests = Requests()
    app.state.service, app.state.uploads, app.state.requests = service, dict[str, int](), requests
    app.include_router(routes.router)
    app.include_router(invid.router)
    _add_page(app)
    _add_health(app)
    app.add_exception_handler(RequestValidationError, _explain)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(OSError, _disk)
    app.add_exception_handler(sqlite3.OperationalError, _database)
    app.add_exception_handler(Exception, _fault)
    guard = Guard(app, service.settings, requests.count)
    app.state.guard = guard
    return guard, app


def _add_page(app: FastAPI) -> None:
    def send(path: Path) -> Response:
        headers = {"Content-Security-Policy": PAGE_POLICY, "Cache-Control": "no-cache"}
        return FileResponse(path, media_type=_TYPES[path.suffix], headers=headers)

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return send(STATIC / "index.html")

    names = {path.name: path for path in STATIC.iterdir() if path.suffix in _TYPES}

    @app.get("/static/{name}", include_in_schema=False)
    async def static(name: str) -> Response:
        return send(names[name]) if name in names else JSONResponse({"detail": "there is no such file"}, 404)


def _add_health(app: FastAPI) -> None:
    @app.get("/healthz", tags=["service"], responses={503: {"description": "The service cannot go on."}})
    async def healthz(request: Request) -> JSONResponse:
        """Tell whether the service works: ``ok``, ``loading`` the model, or ``failing``."""
        service = routes.service_of(request)
        status = "failing" if service.failure else "ok" if service.ready.is_set() else "loading"
        return JSONResponse({"status": status}, 503 if service.failure else 200)

    @app.get("/metrics", tags=["service"], response_class=PlainTextResponse, responses=routes.problems())
    async def metrics(request: Request) -> PlainTextResponse:
        """Tell numbers in Prometheus' text form."""
        service = routes.service_of(request)
        counts = await asyncio.to_thread(service.store.counts)
        text = metrics_text(
            request.app.state.requests, counts, service.finished, service.scans.starts, service.files.free_bytes()
        )
        return PlainTextResponse(text, media_type=CONTENT_TYPE)


async def _explain(_: Request, error: Exception) -> Response:
    """Say in a sentence what does not fit; what was sent is not repeated."""
    assert isinstance(error, RequestValidationError)
    told = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
    return _json(422, "; ".join(told)[:1000])


async def _gone(_: Request, __: Exception) -> Response:
    """Answer a client that is not there any more."""
    return _json(400, "the request ended before it was whole")


async def _disk(_: Request, error: Exception) -> Response:
    """Answer when a file cannot be written or read; its name is not told."""
    assert isinstance(error, OSError)
    return _json(507 if error.errno == 28 else 500, f"the disk of the service failed: {error.strerror}")


async def _database(_: Request, error: Exception) -> Response:
    """Answer when SQLite cannot write."""
    if "full" in str(error):
        return _json(507, DISK_FULL)
    log.error("the database failed: %s", error)
    return _json(500, "the database of the service failed; its log says why")


async def _fault(_: Request, __: Exception) -> Response:
    """Answer when unmask is at fault; the log has all of it."""
    return _json(500, "unmask failed, not you; the service's log says why")


def _json(status: int, message: str) -> Response:
    content: Any = json.dumps({"detail": message}, ensure_ascii=True)
    return Response(content, status, media_type="application/json")
