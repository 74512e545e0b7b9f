"""Count all that a server sends, headers and what no caller sees included, and stop at a bound.

A body has a length that its reader checks; but a redirect may have a body, too, and around a body there are headers,
interim responses, sizes of chunks with extensions, and trailers, each of which a server can send without end.
"""

from __future__ import annotations

import http.client
import io
import socket
from functools import partial
from typing import Any
from urllib.request import HTTPHandler, HTTPSHandler, Request

from unmask.errors import DownloadError

_OVERHEAD_BYTES, _OVERHEAD_SHARE = 1 << 20, 64
"""What may come beside the file: the former, and one byte for so many of the file."""


class Allowance:
    """How much may be received for one file, over all attempts and redirects."""

    def __init__(self, url: str, max_bytes: int) -> None:
        self._url, self._max_bytes = url, max_bytes
        self._left = max_bytes + max_bytes // _OVERHEAD_SHARE + _OVERHEAD_BYTES

    def take(self, size_bytes: int) -> None:
        """Count received bytes.

        Raises:
            DownloadError: They are too many.
        """
        self._left -= size_bytes
        if self._left < 0:
            raise DownloadError(
                f"{self._url}: the server sends more than the {self._max_bytes} bytes that a file may have, or sends "
                "it over and over",
                "rejected_limit",
            )


class BoundedResponse(http.client.HTTPResponse):
    """A response of which every byte is counted."""

    def __init__(self, sock: socket.socket, *args: Any, allowance: Allowance, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp = io.BufferedReader(_Counted(self.fp.detach(), allowance))


class BoundedHttp(HTTPHandler):
    """Opens http and reads `BoundedResponse`."""

    def __init__(self, allowance: Allowance) -> None:
        super().__init__()
        self._allowance = allowance

    def http_open(self, req: Request) -> http.client.HTTPResponse:
        """Open a request; see the base class."""
        return self.do_open(partial(_bounded, http.client.HTTPConnection, self._allowance), req)


class BoundedHttps(HTTPSHandler):
    """Opens https and reads `BoundedResponse`."""

    def __init__(self, allowance: Allowance) -> None:
        super().__init__()
        self._allowance = allowance

    def https_open(self, req: Request) -> http.client.HTTPResponse:
        """Open a request; see the base class."""
        return self.do_open(partial(_bounded, http.client.HTTPSConnection, self._allowance), req)


def _bounded(
    kind: type[http.client.HTTPConnection], allowance: Allowance, host: str, **options: Any
) -> http.client.HTTPConnection:
    """Return a connection whose responses are counted."""
    connection = kind(host, **options)
    connection.response_class = partial(BoundedResponse, allowance=allowance)  # type: ignore[assignment]
    return connection


class _Counted(io.RawIOBase):
    """Reads from a raw stream and counts."""

    def __init__(self, raw: io.RawIOBase, allowance: Allowance) -> None:
        self._raw, self._allowance = raw, allowance

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        count = self._raw.readinto(buffer)
        if count:
            self._allowance.take(count)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()
