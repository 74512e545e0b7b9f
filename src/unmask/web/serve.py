"""Run the service until it is asked to stop."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import uvicorn
from uvicorn.config import LOGGING_CONFIG

from unmask.errors import UnmaskError
from unmask.web.app import build
from unmask.web.settings import ServeSettings

GRACE_SECONDS = 5
"""Time that requests under way have to end."""
MAX_CONNECTIONS = 400


class ServeError(UnmaskError):
    """The service cannot go on."""


def serve(settings: ServeSettings, on_ready: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; jobs that are under way are done after the next start.

    Args:
        settings: How to run.
        on_ready: Called with the service's address once it answers.

    Raises:
        ServeError: The port is taken, or there can be no scanner.
        UsageError: Another service holds the data folder, or the database cannot be reached.
    """
    guard, app = build(settings)
    config = uvicorn.Config(
        guard, host=settings.host, port=settings.port, log_level="warning", log_config=_logging(), access_log=False,
        server_header=False, proxy_headers=False, ws="none", limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=GRACE_SECONDS, lifespan="on",
    )  # fmt: skip
    server = _Server(config, lambda: on_ready(_address(server, settings)), lambda: app.state.service.board.close())

    def fail() -> None:
        server.should_exit = True

    app.state.on_failure = fail
    server.run()
    service = getattr(app.state, "service", None)
    if service is not None and service.failure:
        raise ServeError(service.failure)


class _Server(uvicorn.Server):
    """Tells when it answers, and sends listeners away before it waits for requests to end."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None], on_stop: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready, self._on_stop = on_ready, on_stop

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_ready()

    async def shutdown(self, sockets: Any = None) -> None:
        self._on_stop()
        await super().shutdown(sockets)


def _address(server: uvicorn.Server, settings: ServeSettings) -> str:
    port = server.servers[0].sockets[0].getsockname()[1] if server.servers else settings.port
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{port}"


def _logging() -> dict[str, Any]:
    config: dict[str, Any] = copy.deepcopy(LOGGING_CONFIG)
    config["handlers"]["default"]["stream"] = "ext://sys.stderr"
    config["loggers"]["unmask"] = {"handlers": ["default"], "level": "WARNING", "propagate": False}
    return config
