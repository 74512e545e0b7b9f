"""Fetching a file that may be large, over a line that may break: resumed, bounded, over https only.

`download` fetches what the user trusts, such as a published model, from wherever their machine can reach.
`fetch_public` fetches what a stranger may have named: from public addresses alone, which are looked at when the
connection is made, so that neither a redirect nor a name that changes its address leads into the user's own network.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import queue
import re
import shutil
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http.client import HTTPMessage, HTTPResponse
from pathlib import Path
from typing import IO, Any, cast
from urllib.error import HTTPError
from urllib.parse import quote, urlsplit, urlunsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    build_opener,
)

from unmask._version import __version__
from unmask.errors import DISK_FAULTS, DownloadError, UsageError

Report = Callable[[int, int | None], None]
"""Is told the bytes that are there and the bytes in all, None when the server does not say."""

TIMEOUT_SECONDS = 30
ATTEMPTS = 4
PAUSE_SECONDS = 1.0

SPACE_FACTOR = 3
"""Free disk wanted for a model's file, in its lengths: for itself, and for the network in two forms."""
_MODEL_CURE = "for the file and the model made from it; free some, or set UNMASK_HOME to a folder on a larger disk"
_VIDEO_CURE = "for the time of its scan; free some, or set TMPDIR to a folder on a larger disk"

PATIENCE_SECONDS, SLOWEST_BYTES_A_SECOND = 60.0, 20_000
"""A public download may take the former, and longer as long as it is no slower than the latter."""

_CHUNK_BYTES = 1 << 20
_CONNECT_SECONDS = 5.0
_SLICE_SECONDS = 0.5
"""How often somebody who waits looks up."""
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_FAILURES = (OSError, http.client.HTTPException, ValueError)


def is_address(text: str) -> bool:
    """Whether this is an address, not a file."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", text) is not None


def check_address(url: str, *, loopback: bool = True) -> None:
    """Refuse addresses that are not https; plain http may stay within this machine.

    Raises:
        UsageError: It is something else.
    """
    with suppress(ValueError):  # brackets that do not match
        parts = urlsplit(url)
        if (parts.scheme == "https" and parts.hostname) or (loopback and _is_loopback(url)):
            return
    raise UsageError(f"{url[:200]!r} is no https address, and only those are fetched; name one, or a file")


def is_public(ip: str) -> bool:
    """Whether an IP address belongs to the public internet, also where IPv6 only wraps an older address."""
    address = ipaddress.ip_address(ip)
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if address.is_site_local:
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved)


def download(url: str, path: Path, report: Report, most_bytes: int) -> None:
    """Fetch a file. What an earlier, broken attempt left in ``path`` with ``.part`` behind it is gone on with.

    Args:
        url: Where from, see `check_address`; so must all be that it redirects to.
        path: Where to; its folder is made.
        report: Is told how far it is.
        most_bytes: More are not fetched.

    Raises:
        DownloadError: It cannot be fetched, is too large, or does not fit on the disk.
        UsageError: The address is not one that is fetched.
    """
    check_address(url)
    path.parent.mkdir(parents=True, exist_ok=True)
    name = path.with_name(f"{path.name}.part")
    opener = build_opener(_Redirects(loopback=_is_loopback(url)), *([ProxyHandler({})] if _is_loopback(url) else []))
    mark = name.with_name(f"{name.name}.json")
    try:
        with name.open("a+b") as file:
            _fetch(url, opener, _Part(file, name.parent, _MODEL_CURE, SPACE_FACTOR, mark), most_bytes, report)
    except BaseException:
        if name.exists() and not name.stat().st_size:
            name.unlink()
            mark.unlink(missing_ok=True)
        raise
    mark.unlink(missing_ok=True)
    name.replace(path)


def fetch_public(
    url: str,
    file: IO[bytes],
    most_bytes: int,
    is_given_up: Callable[[], bool] = lambda: False,
    may_reach: Callable[[str], bool] = is_public,
) -> None:
    """Fetch a file over https from the public internet; without proxies, behind which nobody sees who is reached.

    Args:
        url: Where from.
        file: An open, empty file in the folder for temporary files.
        most_bytes: More are not fetched.
        is_given_up: Is asked about twice a second; True ends it.
        may_reach: Whether a connection to an IP address may be made; for tests.

    Raises:
        DownloadError: It cannot be fetched, is too large or too slow, or lies within a private network.
    """
    try:
        check_address(url, loopback=False)
    except UsageError as error:
        raise DownloadError(str(error)) from error
    opener = OpenerDirector()  # without the handlers of http, ftp, file and data, and without proxies
    https = _PublicHandler(_Patience(is_given_up), may_reach)
    for handler in (https, _Redirects(loopback=False), HTTPDefaultErrorHandler(), HTTPErrorProcessor()):
        opener.add_handler(handler)
    _fetch(url, opener, _Part(file, Path(tempfile.gettempdir()), _VIDEO_CURE), most_bytes, lambda *_: None)


def _fetch(url: str, opener: OpenerDirector, part: _Part, most_bytes: int, report: Report) -> None:
    """Fetch what is missing, in a few attempts."""
    for attempt in range(ATTEMPTS):
        before = part.length
        try:
            with _open(opener, url, part) as response:
                _copy(response, part, most_bytes, report)
            return
        except HTTPError as error:
            error.close()
            if error.code != 416 or not before:  # a part that the server does not know how to continue
                raise DownloadError(f"{url}: the server answers {error.code} {error.reason}") from error
            part.begin("")
        except _FAILURES as error:
            if isinstance(error, OSError) and error.errno in DISK_FAULTS:
                raise DownloadError(f"cannot keep {url}: {error.strerror}; room is needed {part.cure}") from error
            if attempt == ATTEMPTS - 1 or not (before or part.length):
                raise DownloadError(f"cannot fetch {url}: {getattr(error, 'reason', None) or error}") from error
            time.sleep(PAUSE_SECONDS)


class _Part:
    """What has come so far of a file, and the mark (ETag) that the server gave it."""

    def __init__(
        self, file: IO[bytes], folder: Path, cure: str, space_factor: int = 1, mark_file: Path | None = None
    ) -> None:
        self.file, self.folder, self.cure, self.space_factor = file, folder, cure, space_factor
        self._mark_file = mark_file
        self.mark = self._saved_mark()

    @property
    def length(self) -> int:
        return self.file.seek(0, 2)

    def begin(self, mark: str) -> None:
        """Start anew with a file of this mark."""
        self.file.truncate(0)
        self.mark = "" if mark.startswith("W/") else mark
        if self._mark_file is not None:
            self._mark_file.write_text(json.dumps(self.mark))

    def _saved_mark(self) -> str:
        try:
            mark: Any = json.loads(self._mark_file.read_text()) if self._mark_file else ""
        except (OSError, ValueError):
            return ""
        return mark if isinstance(mark, str) and mark.isprintable() else ""


def _open(opener: OpenerDirector, url: str, part: _Part) -> HTTPResponse:
    headers = {"User-Agent": f"unmask/{__version__}", "Accept-Encoding": "identity"}
    if part.mark and part.length:
        # If-Range: a file that was replaced meanwhile comes whole, so that no two halves are put together.
        headers |= {"Range": f"bytes={part.length}-", "If-Range": part.mark}
    request = Request(_percent_encoded(url), headers=headers)  # noqa: S310 - checked
    response: HTTPResponse = opener.open(request, timeout=TIMEOUT_SECONDS)
    return response


def _percent_encoded(url: str) -> str:
    """Encode what people type and servers do not take; what is encoded already stays."""
    parts = urlsplit(url)
    path, query = (quote(text, "/%:@!$&'()*+,;=~?", errors="surrogateescape") for text in (parts.path, parts.query))
    return urlunsplit(parts._replace(path=path, query=query, fragment=""))


def _copy(response: HTTPResponse, part: _Part, most_bytes: int, report: Report) -> None:
    """Write what comes; raise OSError when it breaks off."""
    start = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    if response.status != 206:
        part.begin(response.headers.get("ETag", ""))
    elif start is None or int(start[1]) != part.length:
        raise DownloadError(f"{response.url} continues at another place than was asked for; try again later")
    done = part.length
    length = response.headers.get("Content-Length", "")
    total = done + int(length) if length.isdecimal() else None
    _check_size(response.url, total or 0, most_bytes)
    if total is not None and (free := shutil.disk_usage(part.folder).free) < part.space_factor * total - done:
        needed = part.space_factor * total - done
        raise DownloadError(
            f"{part.folder} has {free / 1e9:.1f} GB free; {needed / 1e9:.1f} GB are needed, {part.cure}"
        )
    while chunk := response.read1(_CHUNK_BYTES):
        done += len(chunk)
        _check_size(response.url, done, most_bytes)
        part.file.write(chunk)
        report(done, total)
    part.file.flush()  # a full disk shows itself here
    if total is not None and done != total:
        raise ConnectionError(
            f"the connection broke after {done} of {total} bytes; run it again, it goes on from there"
        )


def _check_size(url: str, size_bytes: int, most_bytes: int) -> None:
    if size_bytes > most_bytes:
        raise DownloadError(
            f"{url} has {size_bytes} bytes or more; more than {most_bytes} are not fetched", "rejected_limit"
        )


class _Redirects(HTTPRedirectHandler):
    """Follows to https only, and within this machine where the download began there."""

    def __init__(self, *, loopback: bool) -> None:
        self.loopback = loopback

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        try:
            check_address(newurl, loopback=self.loopback)
        except UsageError as error:
            raise DownloadError(f"{req.full_url} leads to another address, but {error}") from error
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _Patience:
    """How long a public download may take; raises DownloadError once that is over, or nobody waits any more."""

    def __init__(self, is_given_up: Callable[[], bool]) -> None:
        self._is_given_up, self._started, self._bytes = is_given_up, time.monotonic(), 0

    def heard(self, count: int) -> None:
        self._bytes += count

    def check(self) -> None:
        if self._is_given_up():
            raise DownloadError("the download was given up")
        seconds = time.monotonic() - self._started
        if seconds > PATIENCE_SECONDS + self._bytes / SLOWEST_BYTES_A_SECOND:
            raise DownloadError(
                f"the download is too slow: {self._bytes} bytes in {seconds:.0f} seconds; fetch it yourself, and name "
                "the file",
                "timeout",
            )


class _PublicHandler(HTTPSHandler):
    """Opens https through `_PublicConnection`."""

    def __init__(self, patience: _Patience, may_reach: Callable[[str], bool]) -> None:
        super().__init__()
        self._connection = partial(_PublicConnection, patience=patience, may_reach=may_reach)

    def https_open(self, req: Request) -> HTTPResponse:
        return self.do_open(self._connection, req)


class _PublicConnection(http.client.HTTPSConnection):
    """Connects to addresses that were looked at, and to no others."""

    def __init__(self, host: str, *, patience: _Patience, may_reach: Callable[[str], bool], **options: Any) -> None:
        super().__init__(host, **options)
        self._patience, self._may_reach = patience, may_reach
        self._tls = ssl.create_default_context()
        self._tls.sslsocket_class = _PatientSocket

    def connect(self) -> None:
        connected = self._reach()
        connected.settimeout(_SLICE_SECONDS)
        try:
            wrapped = self._tls.wrap_socket(connected, server_hostname=self.host, do_handshake_on_connect=False)
            self.sock = sock = cast(_PatientSocket, wrapped)
            sock.patience = self._patience
            while not self._has_shaken_hands(sock):
                self._patience.check()
        except BaseException:
            connected.close()
            raise

    @staticmethod
    def _has_shaken_hands(sock: ssl.SSLSocket) -> bool:
        with suppress(TimeoutError):
            sock.do_handshake()
            return True
        return False

    def _reach(self) -> socket.socket:
        """Connect to the first address of the host that may be reached, by number: names are not asked for again."""
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
    """Waits in slices, and looks up in between."""

    patience: _Patience

    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:
        while True:
            self.patience.check()
            with suppress(TimeoutError):
                count = super().recv_into(buffer, nbytes, flags)
                self.patience.heard(count)
                return count


def _look_up(host: str, port: int, patience: _Patience) -> list[Any]:
    """Return what `socket.getaddrinfo` does, in a thread that nobody has to wait for."""
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


def _is_loopback(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname in _LOOPBACK
