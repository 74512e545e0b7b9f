"""Fetch a file that may be large, over a line that may break: resumed, bounded, over https only.

`download` fetches what the user trusts, such as a published model, from wherever their machine can reach. What a
stranger may have named is fetched by `unmask.net.public.fetch_public`.
"""

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
from urllib.request import HTTPRedirectHandler, OpenerDirector, ProxyHandler, Request, build_opener

from unmask._version import __version__
from unmask.errors import DISK_FAULTS, DownloadError, UsageError
from unmask.net.address import check_address, is_loopback, percent_encoded
from unmask.net.bounded import Allowance, BoundedHttp, BoundedHttps

OnProgress = Callable[[int, int | None], None]
"""Called with the bytes that are there and the bytes in all, None when the server does not say."""

TIMEOUT_SECONDS = 30
ATTEMPTS = 4
PAUSE_SECONDS = 1.0
"""Wait between two attempts."""

SPACE_FACTOR = 3
"""Free disk that a model's file needs, in its lengths: for itself, and for the network in two forms."""
_MODEL_CURE = "for the file and the model made from it; free some, or set UNMASK_HOME to a folder on a larger disk"

_CHUNK_BYTES = 1 << 20
_FAILURES = (OSError, http.client.HTTPException, ValueError)


def download(url: str, path: Path, on_progress: OnProgress, max_bytes: int) -> None:
    """Fetch a file; what an earlier, broken attempt left in ``path`` with ``.part`` behind it is continued.

    Args:
        url: Address of the file, see `check_address`; all that it redirects to must be such addresses, too.
        path: File to write; its folder is made.
        on_progress: Called while the file comes.
        max_bytes: Largest file that is fetched.

    Raises:
        DownloadError: It cannot be fetched, is too large, or does not fit on the disk.
        UsageError: The address is not one that is fetched.
    """
    check_address(url)
    path.parent.mkdir(parents=True, exist_ok=True)
    name = path.with_name(f"{path.name}.part")
    allowance = Allowance(url, max_bytes)
    handlers = HttpsRedirects(loopback=is_loopback(url)), BoundedHttp(allowance), BoundedHttps(allowance)
    opener = build_opener(*handlers, *([ProxyHandler({})] if is_loopback(url) else []))
    etag_file = name.with_name(f"{name.name}.json")
    try:
        with name.open("a+b") as file:
            partial_file = PartialFile(file, name.parent, _MODEL_CURE, SPACE_FACTOR, etag_file)
            fetch(url, opener, partial_file, max_bytes, on_progress)
    except BaseException:
        if name.exists() and not name.stat().st_size:
            name.unlink()
            etag_file.unlink(missing_ok=True)
        raise
    etag_file.unlink(missing_ok=True)
    name.replace(path)


class PartialFile:
    """What has come so far of a file, and the ETag that the server gave it."""

    def __init__(
        self, file: IO[bytes], folder: Path, cure: str, space_factor: int = 1, etag_file: Path | None = None
    ) -> None:
        """Continue a file.

        Args:
            file: The open file.
            folder: Where it lies; its disk needs the room.
            cure: What to do when there is too little, after "is needed" in messages.
            space_factor: Free disk that is needed, in lengths of the file.
            etag_file: Keeps the ETag for a later run; None for files that do not outlive this one.
        """
        self.file, self.folder, self.cure, self.space_factor = file, folder, cure, space_factor
        self._etag_file = etag_file
        self.etag = self._saved_etag()

    @property
    def length(self) -> int:
        """Bytes that are there."""
        return self.file.seek(0, 2)

    def begin(self, etag: str) -> None:
        """Start anew with a file of this ETag; a weak one (W/) does not promise equal bytes and is not kept."""
        self.file.truncate(0)
        self.etag = "" if etag.startswith("W/") else etag
        if self._etag_file is not None:
            self._etag_file.write_text(json.dumps(self.etag))

    def _saved_etag(self) -> str:
        try:
            etag: Any = json.loads(self._etag_file.read_text()) if self._etag_file else ""
        except (OSError, ValueError):
            return ""
        return etag if isinstance(etag, str) and etag.isprintable() else ""


class HttpsRedirects(HTTPRedirectHandler):
    """Follows redirects to https only, and within this machine where the download began there."""

    def __init__(self, *, loopback: bool) -> None:
        self._loopback = loopback

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        """Return the request of the new address; see the base class.

        Raises:
            DownloadError: The new address is not one that is fetched.
        """
        try:
            check_address(newurl, loopback=self._loopback)
        except UsageError as error:
            raise DownloadError(f"{req.full_url} leads to another address, but {error}") from error
        fp.close()  # else the body of the redirect, which may have no end, would be read into memory
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def fetch(url: str, opener: OpenerDirector, part: PartialFile, max_bytes: int, on_progress: OnProgress) -> None:
    """Fetch what is missing of a file, in a few attempts.

    Raises:
        DownloadError: It cannot be fetched, is too large, or does not fit on the disk.
    """
    for attempt in range(ATTEMPTS):
        before = part.length
        try:
            with _open(opener, url, part) as response:
                _copy(response, part, max_bytes, on_progress)
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


def _open(opener: OpenerDirector, url: str, part: PartialFile) -> HTTPResponse:
    headers = {"User-Agent": f"unmask/{__version__}", "Accept-Encoding": "identity"}
    if part.etag and part.length:
        # If-Range: a file that was replaced meanwhile comes whole, so that no two halves are put together.
        headers |= {"Range": f"bytes={part.length}-", "If-Range": part.etag}
    request = Request(percent_encoded(url), headers=headers)  # noqa: S310 - checked
    response: HTTPResponse = opener.open(request, timeout=TIMEOUT_SECONDS)
    return response


def _copy(response: HTTPResponse, part: PartialFile, max_bytes: int, on_progress: OnProgress) -> None:
    """Write what comes; raise OSError when it breaks off."""
    start = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    if response.status != 206:
        part.begin(response.headers.get("ETag", ""))
    elif start is None or int(start[1]) != part.length:
        raise DownloadError(f"{response.url} continues at another place than was asked for; try again later")
    done = part.length
    length = response.headers.get("Content-Length", "")
    total = done + int(length) if length.isdecimal() else None
    _check_size(response.url, total or done, max_bytes)
    _check_room(part, done, total)
    while chunk := response.read1(_CHUNK_BYTES):
        done += len(chunk)
        _check_size(response.url, done, max_bytes)
        part.file.write(chunk)
        on_progress(done, total)
    part.file.flush()  # a full disk shows itself here
    if total is not None and done != total:
        raise ConnectionError(
            f"the connection broke after {done} of {total} bytes; run it again, it goes on from there"
        )


def _check_room(part: PartialFile, done: int, total: int | None) -> None:
    if total is None:
        return
    free, needed = shutil.disk_usage(part.folder).free, part.space_factor * total - done
    if free < needed:
        raise DownloadError(
            f"{part.folder} has {free / 1e9:.1f} GB free; {needed / 1e9:.1f} GB are needed, {part.cure}"
        )


def _check_size(url: str, size_bytes: int, max_bytes: int) -> None:
    if size_bytes > max_bytes:
        raise DownloadError(
            f"{url} has {size_bytes} bytes or more; more than {max_bytes} are not fetched", "rejected_limit"
        )
