"""A service with the stub in the place of a scanner, in this process or in one of its own."""

import asyncio
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest
import uvicorn

from tests.web.stub import PICTURE
from unmask.web.app import create_app
from unmask.web.connection import PatientConnection
from unmask.web.service import Service
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
        return asyncio.run_coroutine_threadsafe(coroutine, self.service._tasks[0].get_loop()).result(30)

    def files(self):
        """Return the names of all files of jobs, on their way in or kept."""
        return sorted(
            path.name for folder in ("incoming", "media", "results") for path in (self.settings.data / folder).iterdir()
        )


@contextmanager
def running(settings, address="127.0.0.1"):
    """Run a service for the length of the block."""
    guard, app = create_app(Service(settings))
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind((address, 0))
    listener.listen()  # who connects before the server answers waits
    config = uvicorn.Config(
        guard,
        http=PatientConnection,
        log_level="critical",
        ws="none",
        lifespan="on",
        timeout_graceful_shutdown=2,
        ssl_certfile=settings.certificate,
        proxy_headers=False,
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


def raw(service, request: bytes, seconds=20, then=b"") -> bytes:
    """Send bytes as they are, then perhaps more, and return all that comes until the other side closes."""
    port = service.client.base_url.port
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        with suppress(OSError):
            connection.sendall(request + then)
        answer = b""
        with suppress(OSError):
            while part := connection.recv(1 << 16):
                answer += part
    return answer


def form(content: bytes, name="clip.mp4") -> bytes:
    """Return the body of a form with one file; its boundary is ``edge``."""
    head = f'--edge\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
    return head + content + b"\r\n--edge--\r\n"


def head(length: int | None, path="/api/jobs") -> bytes:
    """Return the head of a request that sends a form, in chunks where there is no length."""
    how = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    return (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{how}\r\n"
        "Content-Type: multipart/form-data; boundary=edge\r\n\r\n"
    ).encode()


@pytest.fixture(scope="module")
def postgres(tmp_path_factory):
    """Start PostgreSQL from Debian's packages; give its address."""
    bins = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not bins:
        pytest.skip("PostgreSQL is not installed; on Debian: apt-get install postgresql")
    user = "postgres" if os.getuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="unmask-pg"))  # short: it holds a socket, and its user must reach it
    if user:
        shutil.chown(folder, user)

    def run(name, *args):
        command = [str(bins[-1].with_name(name)), *args]
        subprocess.run(command, check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off -c max_connections=20"
    try:
        run("initdb", "-D", str(folder / "db"), "-A", "trust", "-U", "unmask", "--no-sync", "-E", "UTF8")
        run("pg_ctl", "-D", str(folder / "db"), "-w", "-l", str(folder / "log"), "-o", options, "start")
        try:
            yield f"postgresql:///postgres?host={folder}&user=unmask"
        finally:
            run("pg_ctl", "-D", str(folder / "db"), "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
