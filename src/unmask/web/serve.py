"""Run the service until it is asked to stop."""

from __future__ import annotations

import copy
import socket
import time
from collections.abc import Callable
from typing import Any

import uvicorn
from uvicorn.config import LOGGING_CONFIG
from uvicorn.logging import DefaultFormatter

from unmask.errors import UnmaskError
from unmask.web.app import create_app
from unmask.web.connection import PatientConnection
from unmask.web.service import Service
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
    listener = _listen(settings)
    try:
        service = Service(settings)
        guard, _ = create_app(service)
        config = uvicorn.Config(
            guard, log_level="warning", log_config=_logging(), access_log=False, server_header=False,
            proxy_headers=False, ws="none", http=PatientConnection, limit_concurrency=MAX_CONNECTIONS,
            timeout_graceful_shutdown=GRACE_SECONDS, lifespan="on",
            ssl_certfile=settings.certificate, ssl_keyfile=settings.key,
        )  # fmt: skip
        server = _Server(config, lambda: on_ready(_address(listener, settings)), service.board.close)

        def fail() -> None:
            server.should_exit = True

        service.on_failure = fail
        server.run(sockets=[listener])
    finally:
        listener.close()
    if service.failure:
        raise ServeError(service.failure)


def _listen(settings: ServeSettings) -> socket.socket:
    """Take the port before anything else, so that a second service says at once that it cannot have it."""
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
        family, kind, protocol, _, address = found[0]
        listener = socket.socket(family, kind, protocol)  # without the protocol asyncio leaves Nagle's delays on: 40 ms
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(128)
        except BaseException:
            listener.close()
            raise
    except OSError as error:
        raise ServeError(
            f"cannot listen on {settings.host}, port {settings.port}: {error.strerror}; name another one with --port, "
            "or 0 for a free one"
        ) from error
    return listener


def _address(listener: socket.socket, settings: ServeSettings) -> str:
    host, port = listener.getsockname()[:2]
    scheme = "https" if settings.certificate else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


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


class UtcFormatter(DefaultFormatter):
    """Tells when something was, in UTC."""

    converter = staticmethod(time.gmtime)


def _logging() -> dict[str, Any]:
    config: dict[str, Any] = copy.deepcopy(LOGGING_CONFIG)
    config["formatters"]["default"] |= {"()": UtcFormatter, "datefmt": "%Y-%m-%dT%H:%M:%SZ"}
    config["formatters"]["default"]["fmt"] = "%(asctime)s %(levelprefix)s %(message)s"
    config["handlers"]["default"]["stream"] = "ext://sys.stderr"
    config["loggers"]["unmask"] = {"handlers": ["default"], "level": "WARNING", "propagate": False}
    config["loggers"]["unmask.web.guard"] = {"level": "INFO"}  # who came in is told, too
    return config
