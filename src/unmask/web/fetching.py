"""Fetch what an address leads to, for a job."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from unmask.errors import DownloadError
from unmask.net.address import is_public
from unmask.net.public import fetch_public
from unmask.storage.content import HEAD_BYTES, content_of
from unmask.web.files import DataFolder
from unmask.web.upload import NOT_MEDIA


def fetch_file(files: DataFolder, url: str, max_bytes: int, is_given_up: Callable[[], bool]) -> tuple[Path, str, int]:
    """Fetch a file from a public host, in a thread; return it with its sha256 and length.

    Args:
        files: Where it is kept for now.
        url: The https address.
        max_bytes: Longest file that is fetched.
        is_given_up: Asked again and again whether nobody waits any more.

    Raises:
        DownloadError: It cannot be fetched, or is no video and no picture.
        OSError: It cannot be kept.
    """
    path, raw = files.open_incoming()
    try:
        with raw, path.open("r+b") as file:
            fetch_public(url, file, max_bytes, is_given_up, is_public)
            file.flush()
            file.seek(0)
            if content_of(file.read(HEAD_BYTES)) not in ("video", "image"):
                raise DownloadError(NOT_MEDIA)
            file.seek(0)
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return path, sha256, path.stat().st_size
    except BaseException:
        path.unlink(missing_ok=True)
        raise
