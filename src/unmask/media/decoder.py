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
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from unmask.errors import CrashedError, InputError, TimedOutError
from unmask.media.frames import StoredFrame, upright_frames
from unmask.media.index import FrameIndex
from unmask.media.limits import FRAMES_PER_TIME_LIMIT, Limits
from unmask.media.line import Allotment, Line
from unmask.media.memory import nameless_memory
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
from unmask.media.server import CAN_ISOLATE, SERVER, Fork, ServerLostError
from unmask.media.signature import SignatureLog
from unmask.media.sound import MAX_SOUND_BYTES, Sound
from unmask.runtime.validator import validator
from unmask.types import Colours, Frame, ImageHW3, MediaFacts

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

_BASE_SECONDS, _TIMES_LENGTH = 10.0, 3.0
_MAX_CPU_SECONDS = 36_000
_BYTES_PER_SECOND = 50e6
"""Speed at which a file is listed at least: a large one may take longer."""
_MAX_MESSAGE_BYTES = MAX_SOUND_BYTES + (1 << 24)
"""Length of the longest message: sound and what its container adds; an index of ten million frames has 80 MB."""
_MAX_VALUES_BYTES = 1 << 22
"""Length of the longest message of JSON values, which take a multiple of it in memory."""
_ERRORS: dict[str, type[InputError]] = {kind.status: kind for kind in InputError.__subclasses__()}
_facts = validator(MediaFacts)
_orientation = validator(Orientation)


class Decoder:
    """One process that decodes one file; started by what is asked of it first, ended by `close`.

    Should the server of decoders die, the process dies with it; then what was asked is asked once more.
    """

    def __init__(
        self,
        file: IO[bytes],
        sha256: str,
        limits: Limits,
        colours: Colours = "tagged",
        film: int = 1,
        readers: Sequence[str] = (),
    ) -> None:
        """Set up without starting a process.

        Args:
            file: The open file.
            sha256: Hash of its content, 64 hex digits; empty where only its sound is wanted.
            limits: What the process may cost.
            colours: How frames become RGB.
            film: Which of its films, from 1.
            readers: Names of what else is to look at the file, see `unmask.media.readers`.
        """
        self._file, self._sha256, self._limits, self._colours, self._film = file, sha256, limits, colours, film
        self._readers, self.notes = tuple(readers), dict[str, Any]()
        self._process: Fork | None = None
        self._is_reading, self._allotment = False, Allotment(0.0)

    def start(self) -> tuple[MediaFacts, FrameIndex]:
        """Let the process list the frames; return what the file is and which frames it has."""
        return self._twice(self._list)

    def read(self, indices: NDArray[np.int64], log: SignatureLog | None = None) -> Iterator[Frame]:
        """Yield frames, see `unmask.media.read_frames`."""
        yield from upright_frames(self._stored(indices, log), self._index, self._orientation)

    def read_sound(self) -> Sound | None:
        """Let the process copy the sound; None when there is none."""
        return self._twice(self._copy_sound)

    def read_description(self) -> dict[str, Any]:
        """Let the process describe the file, see `unmask.media.description.describe`."""
        return self._twice(self._describe)

    def ask(self, question: bytes) -> Any:
        """Let the first of the readers answer a question about the file; return the JSON values that it gave."""
        return self._twice(lambda: self._ask(question))

    def read_guards(self) -> tuple[str, ...]:
        """Return what confines the process, out of `unmask.isolation.confine.GUARDS`."""
        return self._twice(self._ask_for_guards)

    def close(self) -> None:
        """End the process."""
        with contextlib.suppress(ServerLostError):  # then it has ended
            self._end()

    def _twice(self, ask: Callable[[], Answer]) -> Answer:
        try:
            return ask()
        except ServerLostError:
            return ask()

    def _list(self) -> tuple[MediaFacts, FrameIndex]:
        size_bytes = self._allow_reading()
        self._fork("decode")
        header = self._receive_values()
        with _nonsense_is_a_crash():
            facts = _facts(header["facts"] | {"sha256": self._sha256, "size_bytes": size_bytes})
            self._orientation = _orientation(header["orientation"])
            self._index = index_of([self._receive() for _ in range(4)], header["frame_index"])
            self.notes = dict(header["notes"])
        return facts, self._index

    def _copy_sound(self) -> Sound | None:
        self._allow_reading()
        self._fork("sound")
        suffix = self._receive_values().get("suffix")
        with _nonsense_is_a_crash():
            return None if suffix is None else Sound(suffix, self._receive())

    def _describe(self) -> dict[str, Any]:
        self._allow_reading()
        self._fork("describe")
        description = self._receive_values().get("description")
        if not isinstance(description, dict):
            raise CrashedError("the decoder gave an answer that makes no sense")
        return description

    def _ask(self, question: bytes) -> Any:
        self._allow_reading()
        self._fork("ask")
        self._send(question)
        return self._receive_values().get("answer")

    def _ask_for_guards(self) -> tuple[str, ...]:
        self._allotment = Allotment(_BASE_SECONDS)
        self._fork("guards")
        return tuple(str(name) for name in self._receive_values()["guards"])

    def _end(self) -> int:
        """End the process; return how it ended, see `unmask.media.server.DecoderServer.end`."""
        if self._process is None:
            return 0
        self._memory.close()
        self._line.close()
        process, self._process = self._process, None
        return SERVER.end(process)

    def _allow_reading(self) -> int:
        """Allow the time that reading the whole file may take; return its length in bytes."""
        size_bytes = os.fstat(self._file.fileno()).st_size
        self._allotment = Allotment(min(_BASE_SECONDS, self._limits.seconds) + size_bytes / _BYTES_PER_SECOND)
        return size_bytes

    def _stored(self, indices: NDArray[np.int64], log: SignatureLog | None) -> Iterator[StoredFrame]:
        """Yield the wanted frames as they are stored."""
        last = -1
        for is_again in (False, True):
            try:
                for stored in self._stored_after(last, indices, log):
                    last = stored.index
                    yield stored
            except ServerLostError:
                if is_again:
                    raise
            else:
                return

    def _stored_after(self, last: int, indices: NDArray[np.int64], log: SignatureLog | None) -> Iterator[StoredFrame]:
        """Have all wanted frames decoded, so that they are the same each time; yield those after the frame ``last``."""
        if not len(indices):
            return
        if self._is_reading:  # an earlier reading was left in its middle
            self.close()
        if self._process is None:
            self._list()
        allowed = min(self._limits.seconds, _BASE_SECONDS + _TIMES_LENGTH * self._index.end_seconds)
        self._allotment = Allotment(allowed * max(1.0, len(indices) / FRAMES_PER_TIME_LIMIT))
        self._is_reading, latest = True, -1
        self._send(Request(indices, log is not None).to_bytes())
        for number in range(len(indices) + 1):
            answer = self._receive_values()
            if answer.get("done"):
                self._receive_signatures(log)
                break
            with _nonsense_is_a_crash():
                stored = StoredImage.from_json(answer)
                self._check(stored, latest, is_wanted=number < len(indices))
            image_HW3 = self._copy(stored, number % SLOTS)
            self._send(SLOT_IS_FREE)
            latest = stored.index
            if latest > last:
                yield StoredFrame(stored.index, image_HW3, stored.quantiser)
        self._is_reading = False

    def _receive_signatures(self, log: SignatureLog | None) -> None:
        if log is None:
            return
        with _nonsense_is_a_crash():
            indices, signatures = signatures_of(self._receive(), self._receive(), len(self._index))
        for index, signature in zip(indices.tolist(), signatures, strict=True):
            log.add(index, signature)

    def _check(self, stored: StoredImage, latest: int, *, is_wanted: bool) -> None:
        """Raise ValueError unless an image fits into its place, follows the latest one, and was asked for."""
        fits = stored.width <= self._limits.frame_pixels // stored.height
        if not (is_wanted and fits and latest < stored.index < len(self._index)):
            raise ValueError("a frame that cannot be")

    def _copy(self, stored: StoredImage, slot: int) -> ImageHW3:
        """Copy an image out of the shared memory."""
        start = slot * 3 * self._limits.frame_pixels
        pixels = np.frombuffer(self._memory, np.uint8, 3 * stored.height * stored.width, start)
        return pixels.reshape(stored.height, stored.width, 3).copy()

    def _fork(self, task: Task) -> None:
        ours, theirs = socket.socketpair()
        memory = nameless_memory(SLOTS * 3 * self._limits.frame_pixels)
        try:
            self._memory, self._line = mmap.mmap(memory, 0), Line(ours)
            cpu_seconds = int(min(10 * self._limits.seconds, _MAX_CPU_SECONDS))
            order = Order(task, self._sha256, self._limits, cpu_seconds, self._colours, self._film, self._readers)
            self._process = SERVER.fork(order, [theirs.fileno(), self._file.fileno(), memory])
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
            os.close(memory)
        self._is_reading = False

    def _receive_values(self) -> dict[str, Any]:
        """Return the next message; what went wrong in the decoder is raised here."""
        message = self._receive(_MAX_VALUES_BYTES)
        with _nonsense_is_a_crash():
            values = parse(message)
        if values.get("status") in _ERRORS:
            raise _ERRORS[values["status"]](str(values.get("message"))[:1000])
        if "fault" in values:
            fault = str(values["fault"])[:4000].strip()
            log.error("the decoder failed:\n%s", fault)
            raise RuntimeError(f"the decoder failed: {fault.splitlines()[-1][:200] if fault else 'no reason given'}")
        return values

    def _receive(self, max_bytes: int = _MAX_MESSAGE_BYTES) -> bytes:
        try:
            return self._line.receive(max_bytes, self._allotment)
        except (EOFError, OSError) as error:
            raise self._death() from error

    def _send(self, message: bytes) -> None:
        with contextlib.suppress(OSError):  # it is gone: what it answered before that is received next
            self._line.send(message, self._allotment)

    def _death(self) -> InputError:
        """Return the error that says how the process ended.

        Raises:
            ServerLostError: It ended with the server that had forked it.
        """
        code = self._end()
        if code == -getattr(signal, "SIGXCPU", 0):
            return TimedOutError("decoding takes more CPU time than the limits allow")
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return CrashedError(f"the file brought its decoder down ({how})")


def prepare_decoding(limits: Limits) -> None:
    """Start what decoders are forked from, unless limits want none: it loads while the caller does something else."""
    if limits.isolate and CAN_ISOLATE:
        SERVER.start()


def guards_in_force() -> tuple[str, ...]:
    """Return what confines decoders on this machine, out of `unmask.isolation.confine.GUARDS`.

    Raises:
        CrashedError: The server of decoders does not start.
    """
    if not CAN_ISOLATE:
        return ()
    nothing = os.fdopen(nameless_memory(0), "rb")
    with nothing, contextlib.closing(Decoder(nothing, "", Limits())) as decoder:
        return decoder.read_guards()


@contextlib.contextmanager
def _nonsense_is_a_crash() -> Iterator[None]:
    """Raise CrashedError for a message that cannot be: a file may have taken the decoder over."""
    try:
        yield
    except NONSENSE as error:
        raise CrashedError("the decoder gave an answer that makes no sense") from error
