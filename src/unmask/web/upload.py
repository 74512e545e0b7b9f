"""Receive one uploaded file: straight to the disk, with a bound on its length, and nothing kept that is no media."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from unmask.errors import DISK_FAULTS, UnmaskError
from unmask.storage.content import HEAD_BYTES, content_of
from unmask.web.files import DataFolder
from unmask.web.names import clean_name
from unmask.web.settings import ServeSettings

NOT_MEDIA = (
    "this is no video and no picture that unmask knows by its first bytes; it takes MP4, MOV, MKV, WebM, AVI, MPEG, "
    "JPEG, PNG, WebP and the like"
)
DISK_FULL = "the disk of the service is full; delete old jobs, or make room, and try again"
MAX_PARTS = 16
_BLOCK_BYTES = 1 << 20
_OVERHEAD_BYTES = 1 << 16
"""What a form may have besides the file."""
MIN_BYTES_PER_SECOND = 1000
"""What is slower than that, once the patience is over, is given up."""
_DRAIN_SECONDS, _DRAIN_BYTES = 2.0, 8 << 20


class UploadError(UnmaskError):
    """An upload is refused; ``status`` is that of the answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Incoming:
    """A file that came in whole."""

    path: Path
    """Where it lies until somebody takes it."""
    name: str
    """What the client calls it, as text."""
    sha256: str
    """Hash of its content, 64 hex digits."""
    size_bytes: int
    """Its length, above 0."""


async def receive(request: Request, files: DataFolder, settings: ServeSettings) -> Incoming:
    """Receive the one file of a form.

    Raises:
        UploadError: The form is none, the file too long, no media, too slow, or the disk is full; nothing is kept.
        ClientDisconnect: The client went away; nothing is kept.
    """
    try:
        return await _receive(request, files, settings)
    except UploadError as error:
        if error.status != 408:
            await _drain(request)  # a client reads the answer once it has sent what it wanted to send
        raise


async def _receive(request: Request, files: DataFolder, settings: ServeSettings) -> Incoming:
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise UploadError(415, "send the file as a form, multipart/form-data, in the field 'file'")
    _check_length(request.headers.get("content-length"), files, settings)
    path, file = files.open_incoming()
    try:
        with file:
            writer = _Writer(file, settings.max_upload_bytes)
            parts = _Parts(writer)
            parser = MultipartParser(boundary, parts.callbacks())  # type: ignore[arg-type]
            async for chunk in patiently(request, settings.patience_seconds):
                parser.write(chunk)
                if len(writer.waiting) >= _BLOCK_BYTES:
                    await asyncio.to_thread(writer.write)
            parser.finalize()
            if not parts.is_whole:
                raise UploadError(400, "the form has no whole file in it; send one in the field 'file'")
            await asyncio.to_thread(writer.finish)
        return Incoming(path, clean_name(parts.name), writer.digest.hexdigest(), writer.size_bytes)
    except BaseException as error:
        path.unlink(missing_ok=True)
        if isinstance(error, FormParserError):
            raise UploadError(400, "the form cannot be read; send multipart/form-data") from error
        if isinstance(error, OSError) and error.errno in DISK_FAULTS:
            raise UploadError(507, DISK_FULL) from error
        raise


def too_long(max_bytes: int) -> UploadError:
    """Return the error for a file that is too long."""
    return UploadError(413, f"the file is too long; at most {max_bytes} bytes ({max_bytes >> 20} MB) are taken")


def _check_length(length: str | None, files: DataFolder, settings: ServeSettings) -> None:
    claimed = int(length) if length and length.isdecimal() else 0
    if claimed > settings.max_upload_bytes + _OVERHEAD_BYTES:
        raise too_long(settings.max_upload_bytes)
    if claimed + settings.min_free_bytes > files.free_bytes():
        raise UploadError(507, DISK_FULL)


async def patiently(request: Request, seconds: float) -> AsyncIterator[bytes]:
    """Yield what comes; a client that falls silent, or trickles, is not waited for.

    Raises:
        UploadError: Nothing came for that long, or less than `MIN_BYTES_PER_SECOND` since then.
    """
    stream, started, size_bytes = request.stream().__aiter__(), time.monotonic(), 0
    while True:
        if time.monotonic() - started > seconds + size_bytes / MIN_BYTES_PER_SECOND:
            raise UploadError(408, f"less than {MIN_BYTES_PER_SECOND} bytes a second came; send the file again")
        try:
            async with asyncio.timeout(seconds):
                chunk = await anext(stream)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise UploadError(408, f"nothing came for {seconds:g} seconds; send the file again") from None
        size_bytes += len(chunk)
        yield chunk


async def _drain(request: Request) -> None:
    """Read what a refused client goes on to send, for a short while."""
    with suppress(TimeoutError, ClientDisconnect, RuntimeError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            count = 0
            async for chunk in request.stream():
                count += len(chunk)
                if count > _DRAIN_BYTES:
                    return


class _Writer:
    """Hashes and writes what comes in, block by block."""

    def __init__(self, file: BinaryIO, max_bytes: int) -> None:
        self._file, self._max_bytes = file, max_bytes
        self._is_media = False
        self.waiting = bytearray()
        self.digest, self.size_bytes = hashlib.sha256(), 0

    def take(self, data: bytes) -> None:
        """Take a piece; raise as soon as it cannot be the start of media, or is too much."""
        self.waiting += data
        self.size_bytes += len(data)
        if self.size_bytes > self._max_bytes:
            raise too_long(self._max_bytes)
        if not self._is_media and len(self.waiting) >= HEAD_BYTES:
            self._check()

    def write(self) -> None:
        """Write what waits; to be called in a thread."""
        block, self.waiting = bytes(self.waiting), bytearray()
        self.digest.update(block)
        while block:  # unbuffered: a write may take a part
            block = block[self._file.write(block) :]

    def finish(self) -> None:
        """Write the rest, and see that all of it is on the disk."""
        if not self._is_media:
            self._check()
        self.write()
        os.fsync(self._file.fileno())

    def _check(self) -> None:
        if content_of(bytes(self.waiting[:HEAD_BYTES])) not in ("video", "image"):
            raise UploadError(415, NOT_MEDIA)
        self._is_media = True


class _Parts:
    """Finds the file among the parts of a form; the others are passed over."""

    def __init__(self, writer: _Writer) -> None:
        self._writer = writer
        self._field, self._value, self._disposition = b"", b"", b""
        self._count, self._in_file, self._others = 0, False, 0
        self.name = ""
        self.is_whole = False

    def callbacks(self) -> dict[str, object]:
        """Return what the parser calls."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._on_field,
            "on_header_value": self._on_value,
            "on_header_end": self._on_header,
            "on_headers_finished": self._on_headers,
            "on_part_data": self._on_data,
            "on_part_end": self._end,
        }

    def _begin(self) -> None:
        self._count += 1
        self._disposition, self._in_file = b"", False
        if self._count > MAX_PARTS:
            raise UploadError(400, f"the form has more than {MAX_PARTS} parts; send one file")

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header(self) -> None:
        if self._field.lower() == b"content-disposition":
            self._disposition = self._value
        self._field, self._value = b"", b""

    def _on_headers(self) -> None:
        _, options = parse_options_header(self._disposition)
        if b"filename" not in options:
            return
        if self.is_whole:
            raise UploadError(400, "the form has more than one file; send them one by one")
        self._in_file, self.name = True, options[b"filename"].decode("utf-8", "replace")

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self._writer.take(data[start:end])
            return
        self._others += end - start
        if self._others > _OVERHEAD_BYTES:
            raise UploadError(400, "the form has too much besides the file; send the file alone")

    def _end(self) -> None:
        self.is_whole = self.is_whole or self._in_file
