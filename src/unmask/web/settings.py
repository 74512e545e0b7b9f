"""How the service runs: everything that can be chosen, with its default."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unmask.errors import UsageError

LOOPBACK = ("127.0.0.1", "::1", "localhost")
MIN_TOKEN_LETTERS = 16


def default_data_folder() -> Path:
    """Return where the service keeps its files: ``$XDG_DATA_HOME/unmask``, by default ``~/.local/share/unmask``."""
    home = os.environ.get("XDG_DATA_HOME")
    return (Path(home) if home else Path.home() / ".local" / "share") / "unmask"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    """How the service runs.

    Raises:
        UsageError: A value makes no sense, or the service would be open to others without a token.
    """

    data: Path = field(default_factory=default_data_folder)
    """Folder of the uploaded files, the results and, unless ``database`` names another one, the database."""
    database: str | None = None
    """Address of a PostgreSQL database, ``postgresql://...``; None for SQLite in the data folder."""
    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = 8000
    """Port to listen on; 0 lets the system choose one."""
    token: str | None = field(default=None, repr=False)
    """What a client has to know, at least `MIN_TOKEN_LETTERS` letters; needed when others can reach the service."""
    certificate: Path | None = None
    """TLS certificate, in PEM, with its chain; None for plain http, as within this machine or behind a proxy."""
    key: Path | None = None
    """Private key of the certificate, where it is a file of its own."""
    hosts: tuple[str, ...] = ()
    """Names by which the service may be called besides loopback's and ``host``: any other Host header is refused."""
    origins: tuple[str, ...] = ()
    """Origins of other pages or browser extensions that may use the service, e.g. ``chrome-extension://...``."""
    workers: int | None = None
    """Clips that are scanned at a time, at least 1; None for one per core."""
    queue_limit: int = 100
    """Jobs that wait or run at a time, at most; further ones are refused with 429."""
    client_uploads: int = 4
    """Uploads of one client at a time, at most."""
    max_upload_bytes: int = 2 << 30
    """Length of an upload, or of what is fetched, at most."""
    min_free_bytes: int = 256 << 20
    """Room on the disk that uploads leave free."""
    patience_seconds: float = 30.0
    """Longest silence of a client within an upload."""
    fetch_seconds: float = 1800.0
    """Longest time for fetching one address."""
    keep_days: float | None = None
    """Days after which a finished job is deleted with its files; None keeps it until somebody deletes it."""
    scanner: str = "unmask.web.scan_process:bundled_scanner"
    """Function ``module:name`` that makes the scanner; it gets ``scanner_options``."""
    scanner_options: dict[str, Any] = field(default_factory=dict)
    """JSON-ready keyword arguments of that function."""

    def __post_init__(self) -> None:
        if not self.is_private and not self.token:
            raise UsageError(
                f"{self.host} can be reached from other machines, so clients need a token; name one in the environment "
                "variable UNMASK_TOKEN, or listen on 127.0.0.1"
            )
        if self.token is not None and len(self.token) < MIN_TOKEN_LETTERS:
            raise UsageError(f"the token is too short; use {MIN_TOKEN_LETTERS} letters or more, chosen at random")
        least = {
            "workers": 1 if self.workers is None else self.workers,
            "queue_limit": self.queue_limit,
            "client_uploads": self.client_uploads,
            "max_upload_bytes": self.max_upload_bytes,
        }
        for name, value in least.items():
            if value < 1:
                raise UsageError(f"{name} is {value}; it must be 1 or more")
        if self.database is not None and not self.database.startswith(("postgresql://", "postgres://")):
            raise UsageError(
                "the database is a PostgreSQL address, postgresql://user@host/name; leave it out for SQLite"
            )
        if self.keep_days is not None and self.keep_days <= 0:
            raise UsageError(f"jobs cannot be kept for {self.keep_days} days; name more, or none to keep them")

    @property
    def is_private(self) -> bool:
        """Whether only this machine reaches the service."""
        return self.host in LOOPBACK

    @property
    def allowed_hosts(self) -> frozenset[str]:
        """Names that may stand in a Host header, in lower case, without port."""
        own = () if self.host in ("0.0.0.0", "::", "") else (self.host,)  # noqa: S104 - compared, not listened on
        return frozenset(name.lower() for name in (*LOOPBACK, *own, *self.hosts))
