"""Objects of a store, such as ``s3://bucket/clip.mp4``, through fsspec, which comes with the extra ``s3``.

Who names an object names its store as well, with what fsspec's packages know of users and endpoints: nothing here keeps
to public addresses, as `unmask.net.public` does for https.
"""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from unmask.errors import DownloadError, UsageError

SCHEMES = {"s3": "s3fs", "gs": "gcsfs", "az": "adlfs"}
"""What addresses of objects begin with, and the package that fsspec needs for them; the extra ``s3`` has the first."""

_CHUNK_BYTES = 32 << 20
_LISTING_BLOCK_BYTES = 1 << 16
_STORES: dict[str, Any] = {}
_LOCK = threading.Lock()


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object, as its store lists it."""

    uri: str
    """Its address."""
    size_bytes: int
    """Its length."""
    version: str
    """Its etag, or when it was changed."""


def is_object(uri: str) -> bool:
    """Tell whether this is the address of an object of a store."""
    return _scheme(uri) in SCHEMES


def fetch_object(
    uri: str,
    room: BinaryIO,
    max_bytes: int,
    is_given_up: Callable[[], bool] = lambda: False,
    part: tuple[int, int] | None = None,
) -> None:
    """Fetch an object, or a part of it; failed requests are repeated.

    Args:
        uri: Its address.
        room: Takes it; an open file.
        max_bytes: Its length, at most.
        is_given_up: Is asked while it is fetched; True ends that.
        part: First byte and length of what is wanted; None for all.

    Raises:
        DownloadError: It is not there, too long, or cannot be fetched.
        UsageError: A package is missing.
    """
    store = open_store(uri)

    def check(size_bytes: int) -> None:
        if size_bytes > max_bytes:
            raise DownloadError(f"{uri} has more than the {max_bytes} bytes that are fetched", "rejected_limit")
        if is_given_up():
            raise DownloadError("nobody waits for it any more")

    try:
        if part is None:
            store.get_file(uri, _path_of(room), callback=_watch(check))
        else:
            start, size = part
            for first in range(start, start + size, _CHUNK_BYTES):
                check(size)
                room.write(store.cat_file(uri, start=first, end=min(first + _CHUNK_BYTES, start + size)))
            room.flush()
    except (DownloadError, UsageError):
        raise
    except Exception as error:  # stores raise what their libraries raise
        raise DownloadError(f"cannot fetch {uri}: {_reason(error)}") from error


def list_objects(uri: str, *, recursive: bool) -> Iterator[StoredObject]:
    """Yield the objects that an address stands for, folder by folder, each folder's sorted by name.

    Args:
        uri: An object, a folder, or a pattern with ``*``.
        recursive: Also look into the folders of a folder.

    Raises:
        DownloadError: The store does not answer, or there is nothing.
        UsageError: A package is missing.
    """
    store, scheme = open_store(uri), _scheme(uri)

    def stored(facts: dict[str, Any]) -> StoredObject:
        version = facts.get("ETag") or facts.get("etag") or facts.get("LastModified") or facts.get("mtime") or ""
        return StoredObject(f"{scheme}://{facts['name']}", int(facts["size"]), str(version).strip('"'))

    try:
        if "*" in uri:
            found = store.glob(uri, detail=True)
            yield from (stored(found[name]) for name in sorted(found) if found[name]["type"] == "file")
            return
        if not uri.endswith("/"):
            facts = store.info(uri)
            if facts["type"] == "file":
                yield stored(facts)
                return
        for _, _, files in store.walk(uri, maxdepth=None if recursive else 1, detail=True):
            yield from (stored(files[name]) for name in sorted(files) if name)
    except Exception as error:
        raise DownloadError(f"cannot list {uri}: {_reason(error)}") from error


def open_object(uri: str) -> BinaryIO:
    """Open an object to read a little here and there, such as the headers of an archive.

    Raises:
        DownloadError: It cannot be opened.
        UsageError: A package is missing.
    """
    store = open_store(uri)
    try:
        file: BinaryIO = store.open(uri, "rb", block_size=_LISTING_BLOCK_BYTES)
        return file
    except Exception as error:
        raise DownloadError(f"cannot open {uri}: {_reason(error)}") from error


def open_store(uri: str) -> Any:
    """Return the file system of fsspec for an address, one for each scheme.

    Raises:
        UsageError: A package is missing.
    """
    scheme = _scheme(uri)
    with _LOCK:
        if scheme not in _STORES:
            try:
                import fsspec

                _STORES[scheme] = fsspec.filesystem(scheme, use_listings_cache=False)
            except ImportError as error:
                how = "pip install 'unmask[s3]'" if scheme == "s3" else f"pip install {SCHEMES[scheme]}"
                raise UsageError(f"{scheme}:// needs the package {SCHEMES[scheme]}; run: {how}") from error
        return _STORES[scheme]


def _watch(check: Callable[[int], None]) -> Any:
    """Return what fsspec tells how far it is."""
    from fsspec.callbacks import Callback

    class Watch(Callback):  # type: ignore[misc]
        def set_size(self, size: int | None) -> None:
            check(size or self.value)

        def relative_update(self, inc: int = 1) -> None:
            super().relative_update(inc)
            check(self.value)

    return Watch()


def _path_of(file: BinaryIO) -> str:
    """Return a path to an open file, which may have no name."""
    return f"/dev/fd/{file.fileno()}" if sys.platform != "win32" else os.fspath(file.name)


def _scheme(uri: str) -> str:
    found = re.match(r"([a-z][a-z0-9+.-]*)://", uri)
    return found[1] if found else ""


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:300] or type(error).__name__
