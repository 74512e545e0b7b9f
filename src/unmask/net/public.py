"""Fetch what a stranger may have named: over https, from public hosts alone.

The address behind a host's name is looked at when the connection is made, and that very address is connected to, so
that neither a redirect nor a name that changes its address leads into the user's own network.
"""

from __future__ import annotations

import http.client
import queue
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http.client import HTTPResponse
from pathlib import Path
from typing import IO, Any, cast
from urllib.request import HTTPDefaultErrorHandler, HTTPErrorProcessor, HTTPSHandler, OpenerDirector, Request

from unmask.errors import DownloadError, UsageError
from unmask.net.address import check_address, is_public
from unmask.net.bounded import Allowance, BoundedResponse
from unmask.net.download import HttpsRedirects, PartialFile, fetch

PATIENCE_SECONDS, MIN_BYTES_PER_SECOND = 60.0, 20_000
"""A public download may take the former, and longer as long as it is no slower than the latter."""

_CONNECT_SECONDS = 5.0
_SLICE_SECONDS = 0.5
"""Longest wait before the patience is checked again."""
_VIDEO_CURE = "for the time of its scan; free some, or set TMPDIR to a folder on a larger disk"


def fetch_public(
    url: str,
    file: IO[bytes],
    max_bytes: int,
    is_given_up: Callable[[], bool] = lambda: False,
    may_reach: Callable[[str], bool] = is_public,
) -> None:
    """Fetch a file over https from the public internet; without proxies, which hide the address that is reached.

    Args:
        url: Address of the file.
        file: An open, empty file in the folder for temporary files.
        max_bytes: Largest file that is fetched; little more is received, whatever the server sends around it.
        is_given_up: Called about twice a second; True ends the download.
        may_reach: Tells whether a connection to an IP address may be made; for tests.

    Raises:
        DownloadError: It cannot be fetched, is too large or too slow, or lies within a private network.
    """
    try:
        check_address(url, loopback=False)
    except UsageError as error:
        raise DownloadError(str(error)) from error
    opener = OpenerDirector()  # without the handlers of http, ftp, file and data, and without proxies
    https = _PublicHandler(_Patience(is_given_up), Allowance(url, max_bytes), may_reach)
    for handler in (https, HttpsRedirects(loopback=False), HTTPDefaultErrorHandler(), HTTPErrorProcessor()):
        opener.add_handler(handler)
    fetch(url, opener, PartialFile(file, Path(tempfile.gettempdir()), _VIDEO_CURE), max_bytes, lambda *_: None)


class _Patience:
    """How long a public download may take; raises DownloadError once that is over, or once it is given up."""

    def __init__(self, is_given_up: Callable[[], bool]) -> None:
        self._is_given_up, self._started, self._bytes = is_given_up, time.monotonic(), 0

    def count(self, size_bytes: int) -> None:
        self._bytes += size_bytes

    def check(self) -> None:
        if self._is_given_up():
            raise DownloadError("the download was given up")
        seconds = time.monotonic() - self._started
        if seconds > PATIENCE_SECONDS + self._bytes / MIN_BYTES_PER_SECOND:
            raise DownloadError(
                f"the download is too slow: {self._bytes} bytes in {seconds:.0f} seconds; fetch it yourself, and name "
                "the file",
                "timeout",
            )


class _PublicHandler(HTTPSHandler):
    """Opens https through `_PublicConnection`."""

    def __init__(self, patience: _Patience, allowance: Allowance, may_reach: Callable[[str], bool]) -> None:
        super().__init__()
        self._connection = partial(_PublicConnection, patience=patience, allowance=allowance, may_reach=may_reach)

    def https_open(self, req: Request) -> HTTPResponse:
        return self.do_open(self._connection, req)


class _PublicConnection(http.client.HTTPSConnection):
    """Connects to addresses that were looked at, and to no others."""

    def __init__(
        self,
        host: str,
        *,
        patience: _Patience,
        allowance: Allowance,
        may_reach: Callable[[str], bool],
        **options: Any,
    ) -> None:
        super().__init__(host, **options)
        self.response_class = partial(BoundedResponse, allowance=allowance)  # type: ignore[assignment]
        self._patience, self._may_reach = patience, may_reach
        self._tls = ssl.create_default_context()
        self._tls.sslsocket_class = _PatientSocket

    def connect(self) -> None:
        self.sock = self._reach()  # whoever opens the connection closes this where what follows fails
        self.sock.settimeout(_SLICE_SECONDS)
        wrapped = self._tls.wrap_socket(self.sock, server_hostname=self.host, do_handshake_on_connect=False)
        self.sock = sock = cast(_PatientSocket, wrapped)
        sock.patience = self._patience
        while not self._has_shaken_hands(sock):
            self._patience.check()

    @staticmethod
    def _has_shaken_hands(sock: ssl.SSLSocket) -> bool:
        with suppress(TimeoutError):
            sock.do_handshake()
            return True
        return False

    def _reach(self) -> socket.socket:
        """Connect to the first IP address of the host that may be reached; the name is not looked up again."""
        failure: OSError | None = None
        for family, kind, protocol, _, address in _look_up(self.host, self.port, self._patience):
            if not self._may_reach(str(address[0])):
                continue
            self._patience.check()
            connected = socket.socket(family, kind, protocol)
            try:
                connected.settimeout(_CONNECT_SECONDS)
                connected.connect(address)
            except OSError as error:
                connected.close()
                failure = error
            else:
                return connected
        raise failure or DownloadError(
            f"{self.host} lies within this machine or a private network, where nothing is fetched from; fetch it "
            "yourself, and name the file"
        )


class _PatientSocket(ssl.SSLSocket):
    """Receives in slices of time, and checks the patience in between."""

    patience: _Patience

    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:
        while True:
            self.patience.check()
            with suppress(TimeoutError):
                count = super().recv_into(buffer, nbytes, flags)
                self.patience.count(count)
                return count


def _look_up(host: str, port: int, patience: _Patience) -> list[Any]:
    """Return what `socket.getaddrinfo` does, in a thread that can be left behind."""
    answers: queue.SimpleQueue[list[Any] | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
        except (OSError, ValueError, OverflowError) as error:
            answers.put(error if isinstance(error, OSError) else OSError(f"{host!r} cannot be a host's name"))

    threading.Thread(target=ask, name="unmask-name", daemon=True).start()
    while True:
        patience.check()
        with suppress(queue.Empty):
            answer = answers.get(timeout=_SLICE_SECONDS)
            break
    if isinstance(answer, OSError):
        raise answer
    return answer
