"""Decode each file in a process of its own, which can do nothing else.

The decoder gets the open file, a piece of shared memory for images, and a socket. It has no network, opens nothing,
starts nothing, and has a budget of memory, CPU time and waiting time (`Limits`); when it crashes, hangs or asks for too
much, that one file has a status that says so. Where processes cannot be forked, as on Windows, files are decoded in the
calling process; `guards_in_force` tells.
"""

from __future__ import annotations

import contextlib
import logging
import mmap
import os
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from unmask.errors import CrashedError, InputError, TimedOutError
from unmask.media.frames import StoredFrame, upright_frames
from unmask.media.index import FrameIndex
from unmask.media.limits import FRAMES_PER_TIME_LIMIT, Limits
from unmask.media.messages import (
    NONSENSE,
    SLOT_IS_FREE,
    SLOTS,
    Order,
    Request,
    StoredImage,
    Task,
    index_of,
    parse,
    signatures_of,
)
from unmask.media.orientation import Orientation
from unmask.media.server import CAN_ISOLATE, SERVER
from unmask.media.signature import SignatureLog
from unmask.media.sound import MAX_SOUND_BYTES, Sound
from unmask.types import Colours, Frame, ImageHW3, MediaFacts

log = logging.getLogger(__name__)

_BASE_SECONDS, _TIMES_LENGTH = 10.0, 3.0
_MAX_CPU_SECONDS = 36_000
_BYTES_PER_SECOND = 50e6
"""Speed at which a file is listed at least: a large one may take longer."""
_MAX_MESSAGE_BYTES = MAX_SOUND_BYTES + (1 << 24)
"""Length of the longest message: sound and what its container adds; an index of ten million frames has 80 MB."""
_ERRORS: dict[str, type[InputError]] = {kind.status: kind for kind in InputError.__subclasses__()}
_FACTS: TypeAdapter[MediaFacts] = TypeAdapter(MediaFacts)
_ORIENTATION: TypeAdapter[Orientation] = TypeAdapter(Orientation)


class Decoder:
    """One process that decodes one file; started by what is asked of it first, ended by `close`."""

    def __init__(
        self, file: IO[bytes], sha256: str, limits: Limits, colours: Colours = "tagged", film: int = 1
    ) -> None:
        """Set up without starting a process.

        Args:
            file: The open file.
            sha256: Hash of its content, 64 hex digits; empty where only its sound is wanted.
            limits: What the process may cost.
            colours: How frames become RGB.
            film: Which of its films, from 1.
        """
        self._file, self._sha256, self._limits, self._colours, self._film = file, sha256, limits, colours, film
        self._pid: int | None = None
        self._is_reading, self._seconds_left = False, 0.0

    def start(self) -> tuple[MediaFacts, FrameIndex]:
        """Let the process list the frames; return what the file is and which frames it has."""
        size_bytes = self._allow_reading()
        self._fork("decode")
        header = self._receive_values()
        with _nonsense_is_a_crash():
            facts = _FACTS.validate_python(header["facts"] | {"sha256": self._sha256, "size_bytes": size_bytes})
            self._orientation = _ORIENTATION.validate_python(header["orientation"])
            self._index = index_of([self._receive() for _ in range(3)], header["frame_index"])
        return facts, self._index

    def read(self, indices: NDArray[np.int64], log: SignatureLog | None = None) -> Iterator[Frame]:
        """Yield frames, see `unmask.media.read_frames`."""
        yield from upright_frames(self._stored(indices, log), self._index, self._orientation)

    def read_sound(self) -> Sound | None:
        """Let the process copy the sound; None when there is none."""
        self._allow_reading()
        self._fork("sound")
        suffix = self._receive_values().get("suffix")
        with _nonsense_is_a_crash():
            return None if suffix is None else Sound(suffix, self._receive())

    def read_guards(self) -> tuple[str, ...]:
        """Return what confines the process, out of `unmask.isolation.confine.GUARDS`."""
        self._seconds_left = _BASE_SECONDS
        self._fork("guards")
        return tuple(str(name) for name in self._receive_values()["guards"])

    def close(self) -> None:
        """End the process."""
        if self._pid is not None:
            self._memory.close()
            self._end()

    def _end(self) -> int:
        """End the process; return how it ended, see `unmask.media.server.DecoderServer.end`."""
        if self._pid is None:
            return 0
        self._answers.close()
        pid, self._pid = self._pid, None
        return SERVER.end(pid)

    def _allow_reading(self) -> int:
        """Allow the time that reading the whole file may take; return its length in bytes."""
        size_bytes = os.fstat(self._file.fileno()).st_size
        self._seconds_left = min(_BASE_SECONDS, self._limits.seconds) + size_bytes / _BYTES_PER_SECOND
        return size_bytes

    def _stored(self, indices: NDArray[np.int64], log: SignatureLog | None) -> Iterator[StoredFrame]:
        """Yield the wanted frames as they are stored."""
        if not len(indices):
            return
        if self._is_reading:  # an earlier reading was left in its middle
            self.close()
        if self._pid is None:
            self.start()
        allowed = min(self._limits.seconds, _BASE_SECONDS + _TIMES_LENGTH * self._index.end_seconds)
        self._seconds_left = allowed * max(1.0, len(indices) / FRAMES_PER_TIME_LIMIT)
        self._is_reading, last = True, -1
        self._send(Request(indices, log is not None).to_bytes())
        for number in range(len(self._index) + 1):
            answer = self._receive_values()
            if answer.get("done"):
                self._receive_signatures(log)
                break
            with _nonsense_is_a_crash():
                stored = StoredImage.from_json(answer)
            image_HW3 = self._copy(stored, number % SLOTS, last)
            self._send(SLOT_IS_FREE)
            yield StoredFrame(stored.index, image_HW3, stored.quantiser)
            last = stored.index
        self._is_reading = False

    def _receive_signatures(self, log: SignatureLog | None) -> None:
        if log is None:
            return
        with _nonsense_is_a_crash():
            indices, signatures = signatures_of(self._receive(), self._receive(), len(self._index))
        for index, signature in zip(indices.tolist(), signatures, strict=True):
            log.add(index, signature)

    def _copy(self, stored: StoredImage, slot: int, last: int) -> ImageHW3:
        """Copy an image out of the shared memory, after checking that it fits and follows the last one."""
        height, width = stored.height, stored.width
        if not (last < stored.index < len(self._index) and width <= self._limits.frame_pixels // height):
            raise CrashedError("the decoder gave an answer that makes no sense: a frame that cannot be")
        start = slot * 3 * self._limits.frame_pixels
        pixels = np.frombuffer(self._memory, np.uint8, 3 * height * width, start)
        return pixels.reshape(height, width, 3).copy()

    def _fork(self, task: Task) -> None:
        ours, theirs = socket.socketpair()
        memory = _shared_memory(SLOTS * 3 * self._limits.frame_pixels)
        try:
            self._memory = mmap.mmap(memory, 0)
            cpu_seconds = int(min(10 * self._limits.seconds, _MAX_CPU_SECONDS))
            order = Order(task, self._sha256, self._limits, cpu_seconds, self._colours, self._film)
            self._pid = SERVER.fork(order, [theirs.fileno(), self._file.fileno(), memory])
        finally:
            theirs.close()
            os.close(memory)
        self._answers, self._is_reading = Connection(ours.detach()), False

    def _receive_values(self) -> dict[str, Any]:
        """Return the next message; what went wrong in the decoder is raised here."""
        message = self._receive()
        with _nonsense_is_a_crash():
            values = parse(message)
        if values.get("status") in _ERRORS:
            raise _ERRORS[values["status"]](str(values.get("message"))[:1000])
        if "fault" in values:
            fault = str(values["fault"])[:4000].strip()
            log.error("the decoder failed:\n%s", fault)
            raise RuntimeError(f"the decoder failed: {fault.splitlines()[-1][:200] if fault else 'no reason given'}")
        return values

    def _receive(self) -> bytes:
        started = time.monotonic()
        try:
            if not self._answers.poll(max(0.0, self._seconds_left)):
                raise TimedOutError("decoding takes longer than the limits allow")
            return self._answers.recv_bytes(_MAX_MESSAGE_BYTES)
        except (EOFError, OSError) as error:
            raise self._death() from error
        finally:
            self._seconds_left -= time.monotonic() - started

    def _send(self, message: bytes) -> None:
        with contextlib.suppress(OSError):  # it is gone: what it answered before that is received next
            self._answers.send_bytes(message)

    def _death(self) -> InputError:
        """Return the error that says how the process ended."""
        code = self._end()
        if code == -getattr(signal, "SIGXCPU", 0):
            return TimedOutError("decoding takes more CPU time than the limits allow")
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return CrashedError(f"the file brought its decoder down ({how})")


def guards_in_force() -> tuple[str, ...]:
    """Return what confines decoders on this machine, out of `unmask.isolation.confine.GUARDS`.

    Raises:
        CrashedError: The server of decoders does not start.
    """
    if not CAN_ISOLATE:
        return ()
    with tempfile.TemporaryFile() as nothing, contextlib.closing(Decoder(nothing, "", Limits())) as decoder:
        return decoder.read_guards()


@contextlib.contextmanager
def _nonsense_is_a_crash() -> Iterator[None]:
    """Raise CrashedError for a message that cannot be: a file may have taken the decoder over."""
    try:
        yield
    except NONSENSE as error:
        raise CrashedError("the decoder gave an answer that makes no sense") from error


def _shared_memory(size_bytes: int) -> int:
    """Return a descriptor of memory without a name; pages that are never touched cost nothing."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("unmask-frames")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, size_bytes)
    return descriptor
