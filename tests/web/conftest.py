"""A service with the stub in the place of a scanner, in this process or in one of its own."""

import asyncio
import socket
import threading
from contextlib import contextmanager

import httpx
import pytest
import uvicorn

from tests.web.stub import PICTURE
from unmask.web.app import build
from unmask.web.settings import ServeSettings


def clip(text: str = "", size: int = 2000) -> bytes:
    """Return a file that the stub takes; another text makes another content."""
    return (PICTURE + b"stub:" + text.encode() + b" ").ljust(size, b"\0")


class Running:
    """A service in a thread of this process, and a client of it."""

    def __init__(self, app, client, settings, server):
        self.app, self.client, self.settings, self.server = app, client, settings, server

    @property
    def service(self):
        return self.app.state.service

    def upload(self, content=None, name="clip.mp4", **options):
        content = clip() if content is None else content
        return self.client.post("/api/jobs", files={"file": (name, content)}, **options)

    def wait(self, job_id, seconds=60):
        """Follow a job to its end; return it."""
        with self.client.stream("GET", f"/api/jobs/{job_id}/events", timeout=seconds) as events:
            for _ in events.iter_lines():
                pass
        return self.client.get(f"/api/jobs/{job_id}").json()

    def call(self, coroutine):
        """Run a coroutine in the service's loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.service.loop).result(30)

    def files(self):
        """Return the names of all files of jobs, on their way in or kept."""
        return sorted(
            path.name for folder in ("incoming", "media", "results") for path in (self.settings.data / folder).iterdir()
        )


@contextmanager
def running(settings, address="127.0.0.1"):
    """Run a service for the length of the block."""
    guard, app = build(settings)
    listener = socket.socket()
    listener.bind((address, 0))
    listener.listen()  # who connects before the server answers waits
    config = uvicorn.Config(
        guard, log_level="critical", ws="none", lifespan="on", timeout_graceful_shutdown=2, proxy_headers=False
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        with httpx.Client(base_url=f"http://{address}:{listener.getsockname()[1]}", timeout=60) as client:
            yield Running(app, client, settings, server)
    finally:
        server.should_exit = True
        thread.join()


def stub_settings(folder, **options):
    """Return settings of a service with the stub."""
    scanner = {"log": str(folder / "log"), **options.pop("stub", {})}
    return ServeSettings(
        **{
            "data": folder / "data",
            "scanner": "tests.web.stub:make",
            "scanner_options": scanner,
            "workers": 2,
            "min_free_bytes": 1 << 20,
        }
        | options
    )


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """One service for the tests of a file; each uses content of its own."""
    with running(stub_settings(tmp_path_factory.mktemp("service"), max_upload_bytes=1 << 20)) as service:
        yield service


@pytest.fixture
def log(service):
    """What the stub began and ended: lines."""
    path = service.settings.data.parent / "log"
    return lambda: path.read_text().splitlines() if path.exists() else []
