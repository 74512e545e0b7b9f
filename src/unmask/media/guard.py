"""The door through which files reach FFmpeg: each is decoded in a process of its own, which can do nothing else.

    with open_video("clip.mp4") as video:
        for frame in read_frames(video, pick_frames(video, 32)):
            frame.image_HW3, frame.time_seconds

A file is opened here, once and as a regular file; its decoder gets the open file, a piece of shared memory for frames,
and a socket. It has no network, opens nothing, starts nothing, and has a budget of memory, processor time and waiting
time (`Limits`); when it crashes, hangs or asks for too much, that one file has a status that says so. A server that has
everything loaded forks one such process a file, in a few milliseconds. Where processes cannot be forked, as on Windows,
files are decoded in this process; `isolation` tells.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import mmap
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from io import BufferedReader
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from unmask.errors import CrashedError, InputError, TimedOutError
from unmask.media.container import FRAMES_IN_TIME, FrameIndex, Limits, open_regular, sha256_of
from unmask.media.frames import decode_stored, pick_frames
from unmask.media.orientation import Orientation
from unmask.media.probe import open_here
from unmask.media.sound import MOST_BYTES, Sound, copy_sound
from unmask.media.worker import SLOTS, TAKEN, index_of
from unmask.types import Frame, ImageHW3, MediaFacts

_BASE_SECONDS, _TIMES_LENGTH = 10.0, 3.0
_MOST_CPU_SECONDS = 36_000
_BYTES_A_SECOND = 50e6
"""A large file may take longer to be listed."""
_MOST_BYTES = MOST_BYTES + (1 << 24)
"""Of a message: sound and what its container adds; an index of ten million frames has 80 MB."""
_ENVIRONMENT = {
    "LC_ALL": "C.UTF-8",
    "OPENBLAS_NUM_THREADS": "1",  # a process that forks has one thread
    # A decoder gives no memory back that it will want again: a tenth of its time went into page faults.
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=33554432:"  # 32 and 256 MB
    "glibc.malloc.trim_threshold=268435456",
}
"""Of the server of decoders, beside where libraries lie."""
_STATUS: dict[str, type[InputError]] = {kind.status: kind for kind in InputError.__subclasses__()}
_FACTS: TypeAdapter[MediaFacts] = TypeAdapter(MediaFacts)
_ORIENTATION: TypeAdapter[Orientation] = TypeAdapter(Orientation)


@dataclass(frozen=True, slots=True)
class Video:
    """A video whose frames are known but not decoded yet."""

    facts: MediaFacts
    """What it is."""
    index: FrameIndex
    """Which frames it has."""
    decode: Callable[[NDArray[np.int64]], Iterator[Frame]]
    """Indices of frames, rising -> these frames, upright; see `read_frames`."""


@contextlib.contextmanager
def open_video(path: str | os.PathLike[str], limits: Limits = Limits()) -> Iterator[Video]:  # noqa: B008 - frozen
    """Open a video file, list its frames and decode the first one.

    Raises:
        UnreadableError: Missing, empty, damaged beyond its first frame, or not a regular file.
        UnsupportedError: A container or codec that is not decoded.
        NoVideoError: Sound only, or a still cover picture.
        LimitError: More pixels or memory than the limits allow.
        TimedOutError: It takes longer than the limits allow; also raised while frames are read.
        CrashedError: Its decoder died; also raised while frames are read.
    """
    with open_regular(path) as file, open_video_file(file, sha256_of(file), limits) as video:
        yield video


@contextlib.contextmanager
def open_video_file(file: BufferedReader, sha256: str, limits: Limits) -> Iterator[Video]:
    """Do as `open_video` with a file that is open already, see `unmask.media.container.open_regular`."""
    if not (limits.isolate and _CAN_ISOLATE):
        opened = open_here(file, sha256, limits)
        read = lambda wanted: _upright(decode_stored(opened, wanted), opened.index, opened.orientation)  # noqa: E731
        yield Video(opened.facts, opened.index, read)
        return
    with contextlib.closing(_Decoder(file, sha256, limits)) as decoder:
        yield decoder.start()


def read_frames(video: Video, indices: NDArray[np.int64]) -> Iterator[Frame]:
    """Decode the frames with the given indices, in rising order, one at a time.

    A frame that cannot be decoded is replaced by the next one that can, unless that one is wanted itself; so
    a damaged video yields fewer frames, never the same one twice. One reading of a video at a time.

    Raises:
        LimitError: More pixels or memory than the limits allow.
        TimedOutError: Decoding takes longer than the limits allow.
        CrashedError: The decoder died.
    """
    return video.decode(indices)


def sample_frames(path: str | os.PathLike[str], count: int, sampling: str = "time") -> Iterator[Frame]:
    """Yield frames spread evenly over a video: upright, RGB, each once, in order of time.

    One frame is in memory at a time, whatever the length of the video.

    Args:
        path: A video file.
        count: How many frames; a shorter video gives each of its frames once.
        sampling: ``time`` spreads over the time stamps of the frames that exist; ``reference`` gives the
            challenge winner's floor-linspace indices.

    Raises:
        InputError: The file cannot be read; see `open_video`.
        UsageError: ``count`` or ``sampling`` make no sense.
    """
    with open_video(path) as video:
        yield from read_frames(video, pick_frames(video, count, sampling))


def probe(path: str | os.PathLike[str], limits: Limits = Limits()) -> MediaFacts:  # noqa: B008 - frozen
    """Return what the file is. Every field of the notebook's table is in it; see `MediaFacts`.

    Raises:
        InputError: As `open_video`.
    """
    with open_video(path, limits) as video:
        return video.facts


def read_sound(path: str | os.PathLike[str], limits: Limits = Limits()) -> Sound | None:  # noqa: B008 - frozen
    """Return the first sound track of a video as a file of its own, not encoded again; None when the video is silent.

    Raises:
        InputError: As `open_video`; also when its sound is too long or of a kind that cannot be copied.
    """
    with open_regular(path) as file:
        if not (limits.isolate and _CAN_ISOLATE):
            return copy_sound(file, limits)
        with contextlib.closing(_Decoder(file, "", limits)) as decoder:
            return decoder.read_sound()


def isolation() -> tuple[str, ...]:
    """Return what confines decoders on this machine, out of `GUARDS` of `unmask.isolation.confine`.

    Raises:
        CrashedError: The server of decoders does not start.
    """
    if not _CAN_ISOLATE:
        return ()
    with tempfile.TemporaryFile() as nothing, contextlib.closing(_Decoder(nothing, "", Limits())) as decoder:
        return tuple(decoder.ask_guards())


def _upright(stored: Iterator[tuple[int, ImageHW3]], index: FrameIndex, orientation: Orientation) -> Iterator[Frame]:
    times_seconds = index.times_seconds
    for position, image_HW3 in stored:
        yield Frame(orientation.apply(image_HW3), float(times_seconds[position]), position)


class _Server:
    """The process that forks decoders; started when first needed, and again should it be gone."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def order(self, task: dict[str, Any], files: list[int]) -> int:
        """Fork a decoder; return its process number."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._start()
            return int(self._ask(task, files)["pid"])

    def end(self, pid: int) -> int:
        """Kill a decoder, if it still runs; return how it ended: 0, an exit code, or minus a signal."""
        with self._lock:
            return int(self._ask({"end": pid}, [])["exit_code"])

    def stop(self) -> None:
        """Let the server go; it takes its decoders along."""
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            self._process.wait()

    def _start(self) -> None:
        if self._control is not None:
            self._control.close()
        ours, theirs = socket.socketpair()
        code = (
            f"import sys; sys.path[:] = {sys.path!r}; from unmask.media.worker import serve; serve({theirs.fileno()})"
        )
        known = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH") if name in os.environ}
        self._process = subprocess.Popen(  # noqa: S603 - our own code
            [sys.executable, "-I", "-S", "-c", code],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env=known | _ENVIRONMENT,
            pass_fds=[theirs.fileno()],
            start_new_session=True,  # an interrupt from the keyboard is for us
        )
        theirs.close()
        self._control = ours

    def _ask(self, message: dict[str, Any], files: list[int]) -> dict[str, Any]:
        if self._control is None:
            raise CrashedError("the server of decoders is gone")
        try:
            socket.send_fds(self._control, [json.dumps(message).encode()], files)
            answer = self._control.recv(1 << 16)
        except OSError as error:
            raise CrashedError(f"the server of decoders cannot be reached: {error}") from error
        if not answer:
            raise CrashedError("the server of decoders ended; run: unmask doctor")
        known: dict[str, Any] = json.loads(answer)
        return known


_SERVER = _Server()
_CAN_ISOLATE = hasattr(os, "fork") and hasattr(socket, "send_fds")
atexit.register(_SERVER.stop)


class _Decoder:
    """One process that decodes one file."""

    def __init__(self, file: BufferedReader | Any, sha256: str, limits: Limits) -> None:
        self._file, self._sha256, self._limits = file, sha256, limits
        self._pid: int | None = None
        self._busy, self._seconds_left = False, 0.0

    def start(self) -> Video:
        """Let the process list the frames."""
        self._allow_reading()
        self._fork("decode")
        header = self._hear()
        try:
            facts = _FACTS.validate_python(header["facts"] | {"sha256": self._sha256, "size_bytes": self._size_bytes})
            self._orientation = _ORIENTATION.validate_python(header["orientation"])
            arrays = [np.frombuffer(self._receive(), np.int64) for _ in range(3)]
            self._index = index_of(arrays, header["frame_index"])
        except (KeyError, TypeError, ValueError, ValidationError) as error:
            raise CrashedError("the decoder gave an answer that makes no sense") from error
        return Video(facts, self._index, self.read)

    def read_sound(self) -> Sound | None:
        """Let the process copy the sound."""
        self._allow_reading()
        self._fork("sound")
        suffix = self._hear().get("suffix")
        try:
            return None if suffix is None else Sound(suffix, self._receive())
        except (TypeError, ValueError) as error:
            raise CrashedError("the decoder gave an answer that makes no sense") from error

    def _allow_reading(self) -> None:
        """Allow the time that reading the whole file may take."""
        self._size_bytes = os.fstat(self._file.fileno()).st_size
        self._seconds_left = min(_BASE_SECONDS, self._limits.seconds) + self._size_bytes / _BYTES_A_SECOND

    def ask_guards(self) -> list[str]:
        """Return what confines the process."""
        self._seconds_left = _BASE_SECONDS
        self._fork("guards")
        return [str(name) for name in self._hear()["guards"]]

    def read(self, indices: NDArray[np.int64]) -> Iterator[Frame]:
        """Yield frames, see `read_frames`."""
        yield from _upright(self._stored(indices), self._index, self._orientation)

    def close(self) -> None:
        """End the process."""
        if self._pid is not None:
            self._answers.close()
            self._memory.close()
            pid, self._pid = self._pid, None
            _SERVER.end(pid)

    def _stored(self, indices: NDArray[np.int64]) -> Iterator[tuple[int, ImageHW3]]:
        if not len(indices):
            return
        if self._busy:  # somebody left an earlier reading in its middle
            self.close()
        if self._pid is None:
            self.start()
        allowed = min(self._limits.seconds, _BASE_SECONDS + _TIMES_LENGTH * self._index.end_seconds)
        self._seconds_left = allowed * max(1.0, len(indices) / FRAMES_IN_TIME)
        self._busy, last = True, -1
        self._send(np.asarray(indices, np.int64).tobytes())
        for number in range(len(self._index) + 1):
            said = self._hear()
            if said.get("done"):
                break
            position, image_HW3 = self._take(said, number % SLOTS, last)
            self._send(TAKEN)
            yield position, image_HW3
            last = position
        self._busy = False

    def _take(self, said: dict[str, Any], slot: int, last: int) -> tuple[int, ImageHW3]:
        """Copy a frame out of the shared memory, after checking that it is one."""
        try:
            position, height, width = (int(said[name]) for name in ("index", "height", "width"))
        except (KeyError, TypeError, ValueError) as error:
            raise CrashedError("the decoder gave an answer that makes no sense") from error
        if not (last < position < len(self._index) and height > 0 and 0 < width <= self._limits.frame_pixels // height):
            raise CrashedError("the decoder gave a frame that cannot be")
        start = slot * 3 * self._limits.frame_pixels
        pixels = np.frombuffer(self._memory, np.uint8, 3 * height * width, start)
        return position, pixels.reshape(height, width, 3).copy()

    def _fork(self, task: str) -> None:
        ours, theirs = socket.socketpair()
        memory = _shared_memory(SLOTS * 3 * self._limits.frame_pixels)
        try:
            self._memory = mmap.mmap(memory, 0)
            limits, cpu = asdict(self._limits), int(min(10 * self._limits.seconds, _MOST_CPU_SECONDS))
            order = {"task": task, "sha256": self._sha256, "limits": limits, "cpu_seconds": cpu}
            self._pid = _SERVER.order(order, [theirs.fileno(), self._file.fileno(), memory])
        finally:
            theirs.close()
            os.close(memory)
        self._answers, self._busy = Connection(ours.detach()), False

    def _hear(self) -> dict[str, Any]:
        """Return the next message; what went wrong there is raised here."""
        try:
            said = json.loads(self._receive())
        except ValueError as error:
            raise CrashedError("the decoder gave an answer that makes no sense") from error
        if not isinstance(said, dict):
            raise CrashedError("the decoder gave an answer that makes no sense")
        if said.get("status") in _STATUS:
            raise _STATUS[said["status"]](str(said.get("message"))[:1000])
        if "fault" in said:
            raise RuntimeError(f"the decoder failed:\n{str(said['fault'])[:4000]}")
        return said

    def _receive(self) -> bytes:
        started = time.monotonic()
        try:
            if not self._answers.poll(max(0.0, self._seconds_left)):
                raise TimedOutError("decoding takes longer than the limits allow")
            return self._answers.recv_bytes(_MOST_BYTES)
        except (EOFError, OSError) as error:
            raise self._died() from error
        finally:
            self._seconds_left -= time.monotonic() - started

    def _send(self, message: bytes) -> None:
        with contextlib.suppress(OSError):  # it is gone: what it said before that is heard next
            self._answers.send_bytes(message)

    def _died(self) -> InputError:
        """Say how the process ended."""
        code = 0
        if self._pid is not None:
            self._answers.close()
            pid, self._pid = self._pid, None
            code = _SERVER.end(pid)
        if code == -getattr(signal, "SIGXCPU", 0):
            return TimedOutError("decoding takes more processor time than the limits allow")
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return CrashedError(f"the file brought its decoder down ({how})")


def _shared_memory(size_bytes: int) -> int:
    """Return a descriptor of memory without a name; pages that nobody touches cost nothing."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("unmask-frames")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, size_bytes)
    return descriptor
