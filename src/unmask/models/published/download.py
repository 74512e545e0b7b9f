"""Fetching a file that may be large, over a line that may break: resumed, bounded, over https only."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import time
from collections.abc import Callable
from http.client import HTTPMessage, HTTPResponse
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, ProxyHandler, Request, build_opener

from unmask._version import __version__
from unmask.errors import DownloadError, UsageError
from unmask.models.published.checkpoint import MAX_FILE_BYTES

Report = Callable[[int, int | None], None]
"""Is told the bytes that are there and the bytes in all, None when the server does not say."""

TIMEOUT_SECONDS = 30
ATTEMPTS = 4
PAUSE_SECONDS = 1.0

SPACE_FACTOR = 3
"""Free disk wanted for a file, in its lengths: for itself, and for the network in two forms."""

_CHUNK_BYTES = 1 << 20
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_FAILURES = (OSError, http.client.HTTPException)


def is_address(text: str) -> bool:
    """Whether this is an address, not a file."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", text) is not None


def check_address(url: str, *, loopback: bool = True) -> None:
    """Refuse addresses that are not https; plain http may stay within this machine.

    Raises:
        UsageError: It is something else.
    """
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return
    if not (loopback and _is_loopback(url)):
        raise UsageError(f"{url[:200]!r} is no https address, and only those are fetched; name one, or a file")


def download(url: str, path: Path, report: Report) -> None:
    """Fetch a file. What an earlier, broken attempt left in ``path`` with ``.part`` behind it is gone on with.

    Args:
        url: Where from, see `check_address`; so must all be that it redirects to.
        path: Where to; its folder is made.
        report: Is told how far it is.

    Raises:
        DownloadError: It cannot be fetched, is too large, or does not fit on the disk.
        UsageError: The address is not one that is fetched.
    """
    check_address(url)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    opener = build_opener(_Redirects(url), *([ProxyHandler({})] if _is_loopback(url) else []))
    for attempt in range(ATTEMPTS):
        before = _length(part)
        try:
            with _open(opener, url, part) as response, _opened_part(part, response) as file:
                _copy(response, file, part, report)
            break
        except HTTPError as error:
            if error.code != 416 or not before:  # a part that the server does not know how to continue
                raise DownloadError(f"{url}: the server answers {error.code} {error.reason}") from error
            part.unlink()
        except _FAILURES as error:
            if attempt == ATTEMPTS - 1 or not (before or _length(part)):
                raise DownloadError(f"cannot fetch {url}: {getattr(error, 'reason', None) or error}") from error
            time.sleep(PAUSE_SECONDS)
    _mark_of(part).unlink(missing_ok=True)
    part.replace(path)


class _Redirects(HTTPRedirectHandler):
    """Follows to https only, and within this machine where the download began there."""

    def __init__(self, start: str) -> None:
        self.loopback = _is_loopback(start)

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        try:
            check_address(newurl, loopback=self.loopback)
        except UsageError as error:
            raise DownloadError(f"{req.full_url} leads to another address, but {error}") from error
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _open(opener: OpenerDirector, url: str, part: Path) -> HTTPResponse:
    headers = {"User-Agent": f"unmask/{__version__}", "Accept-Encoding": "identity"}
    mark = _read_mark(part)
    if mark and _length(part):
        # If-Range: a file that was replaced meanwhile comes whole, so that no two halves are put together.
        headers |= {"Range": f"bytes={_length(part)}-", "If-Range": mark}
    response: HTTPResponse = opener.open(Request(url, headers=headers), timeout=TIMEOUT_SECONDS)  # noqa: S310 - checked
    return response


def _opened_part(part: Path, response: HTTPResponse) -> IO[bytes]:
    """Open the part to go on with, or anew."""
    start = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    goes_on = response.status == 206
    if goes_on and (start is None or int(start[1]) != _length(part)):
        raise DownloadError(f"{response.url} continues at another place than was asked for; try again later")
    if not goes_on:
        mark = response.headers.get("ETag", "")
        _mark_of(part).write_text(json.dumps("" if mark.startswith("W/") else mark))
    return part.open("ab" if goes_on else "wb")


def _copy(response: HTTPResponse, file: IO[bytes], part: Path, report: Report) -> None:
    """Write what comes; raise OSError when it breaks off."""
    done = _length(part)
    length = response.headers.get("Content-Length", "")
    total = done + int(length) if length.isdigit() else None
    free = shutil.disk_usage(part.parent).free
    if (total or 0) > MAX_FILE_BYTES:
        raise DownloadError(f"{response.url} has {total} bytes; more than {MAX_FILE_BYTES} are not fetched")
    if total is not None and free < SPACE_FACTOR * total - done:
        raise DownloadError(
            f"{part.parent} has {free / 1e9:.1f} GB free; {(SPACE_FACTOR * total - done) / 1e9:.1f} GB are needed, "
            "for the file and the model made from it; free some, or set UNMASK_HOME to a folder on a larger disk"
        )
    while chunk := response.read(_CHUNK_BYTES):
        done += len(chunk)
        if done > MAX_FILE_BYTES:
            raise DownloadError(f"{response.url} has more than {MAX_FILE_BYTES} bytes; it is not fetched")
        file.write(chunk)
        report(done, total)
    if total is not None and done != total:
        raise ConnectionError(
            f"the connection broke after {done} of {total} bytes; run it again, it goes on from there"
        )


def _mark_of(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _read_mark(part: Path) -> str:
    try:
        mark: Any = json.loads(_mark_of(part).read_text())
    except (OSError, ValueError):
        return ""
    return mark if isinstance(mark, str) and mark.isprintable() else ""


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _is_loopback(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname in _LOOPBACK
