"""Let assistants and editors ask: a server of the Model Context Protocol over the jobs of a running service."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import httpx
from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

from unmask._version import __version__
from unmask.errors import UnmaskError
from unmask.net.address import is_address

INSTRUCTIONS = (
    "unmask looks at the faces of a video and says fake, real or inconclusive. fake_probability is 0 for real and 1 "
    "for fake. A score is evidence, not proof: tell the reasons with it, and that voice, background and pictures that "
    "were generated as a whole are not judged."
)
_POLL_SECONDS = 0.25


class AskError(UnmaskError):
    """The service cannot be asked, or refuses."""


class ServiceClient:
    """Asks a running service."""

    def __init__(self, url: str, token: str | None) -> None:
        """Prepare to ask; nothing is sent yet.

        Args:
            url: Address of the service, e.g. ``http://127.0.0.1:8000``.
            token: What it was started with; None for none.
        """
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=120, trust_env=False)

    def ask(self, method: str, path: str, **options: Any) -> Any:
        """Send a request and return the answer's JSON.

        Raises:
            AskError: There is no service, or it refuses.
        """
        try:
            answer = self._http.request(method, path, **options)
        except httpx.TransportError as error:
            what = f"{self._http.base_url} does not answer ({error}); start it with: unmask serve"
            raise AskError(what) from error
        if not answer.is_success:
            raise AskError(answer.json()["detail"])
        return answer.json()

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def hand_in(self, source: str) -> dict[str, Any]:
        """Hand in a file or an https address; return the job.

        Raises:
            AskError: The file cannot be read, or the service refuses it.
        """
        if is_address(source):
            job: dict[str, Any] = self.ask("POST", "/api/jobs", json={"url": source})
            return job
        try:
            with Path(source).open("rb") as file:
                job = self.ask("POST", "/api/jobs", files={"file": (Path(source).name, file)})
        except OSError as error:
            raise AskError(f"cannot read {source}: {error.strerror}") from error
        return job

    def wait(self, job_id: str, seconds: float) -> dict[str, Any]:
        """Return a job once it is finished, or as it is after so many seconds."""
        until = time.monotonic() + seconds
        while True:
            job: dict[str, Any] = self.ask("GET", f"/api/jobs/{job_id}")
            if job["state"] in ("done", "failed") or time.monotonic() > until:
                return job
            time.sleep(_POLL_SECONDS)


def make_server(client: ServiceClient) -> MCPServer[Any]:
    """Return a server with four tools: scan, job, verdict, history."""
    server: MCPServer[Any] = MCPServer("unmask", version=__version__, instructions=INSTRUCTIONS, log_level="WARNING")

    def scan(source: str, wait_seconds: float = 120) -> dict[str, Any]:
        """Judge a video or picture: a path on this machine, or an https address. If it is not finished, ask `job`."""
        return client.wait(client.hand_in(source)["id"], min(max(wait_seconds, 0), 600))

    def job(job_id: str) -> dict[str, Any]:
        """Tell how far a job is, and its label, probability and most important reason once it is done."""
        return client.wait(job_id, 0)

    def verdict(job_id: str) -> dict[str, Any]:
        """Return the whole verdict: reasons, warnings, people, what the file declares of itself; no pictures."""
        row: dict[str, Any] = client.ask("GET", f"/api/jobs/{job_id}/verdict")
        faces = [{key: value for key, value in face.items() if key != "thumbnail_jpeg"} for face in row["faces"]]
        return row | {"pictures": [], "frames": [], "faces": faces}

    def history(search: str = "", label: str = "", limit: int = 20) -> dict[str, Any]:
        """List jobs, newest first: by part of name, address, hash or note; by label fake, real, inconclusive."""
        query: dict[str, Any] = {"search": search, "per_page": min(max(limit, 1), 200)}
        found: dict[str, Any] = client.ask("GET", "/api/jobs", params=query | ({"label": label} if label else {}))
        return found

    for tool in (scan, job, verdict, history):
        server.add_tool(_telling(tool))
    return server


def _telling(tool: Callable[..., Any]) -> Callable[..., Any]:
    """Let an assistant read why a tool failed."""

    @wraps(tool)
    def call(*args: Any, **options: Any) -> Any:
        try:
            return tool(*args, **options)
        except AskError as error:
            raise ToolError(str(error)) from error

    return call
