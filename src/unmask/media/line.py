"""Send and receive messages with a bound on every wait: the other side may stop in the middle of one.

The form is that of `multiprocessing.connection.Connection`, which the decoder uses: a length, then so many bytes.
"""

from __future__ import annotations

import socket
import struct
import time

from unmask.errors import CrashedError, TimedOutError

_SLICE_SECONDS = 0.5
"""Longest wait at a stretch; a stretch counts no more than twice of it."""
_CHUNK_BYTES = 1 << 20
_LENGTH, _LONG_LENGTH = struct.Struct("!i"), struct.Struct("!Q")


class Allotment:
    """Waiting time that is left. While this process is stopped, as by SIGSTOP or a sleeping laptop, none of it goes."""

    def __init__(self, seconds: float) -> None:
        self.seconds_left = seconds

    def begin(self) -> float:
        """Return how long to wait at a stretch.

        Raises:
            TimedOutError: No time is left.
        """
        if self.seconds_left <= 0:
            raise TimedOutError("decoding takes longer than the limits allow")
        self._began = time.monotonic()
        return min(_SLICE_SECONDS, self.seconds_left)

    def end(self) -> None:
        """Count the stretch."""
        self.seconds_left -= min(time.monotonic() - self._began, 2 * _SLICE_SECONDS)


class Line:
    """Our end of the socket to a decoder."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end

    def receive(self, max_bytes: int, allotment: Allotment) -> bytes:
        """Return the next message.

        Raises:
            CrashedError: It says that it is longer than ``max_bytes``.
            TimedOutError: It does not come, or not all of it.
            EOFError, OSError: The other side is gone.
        """
        (length,) = _LENGTH.unpack(self._exactly(_LENGTH.size, allotment))
        if length == -1:
            (length,) = _LONG_LENGTH.unpack(self._exactly(_LONG_LENGTH.size, allotment))
        if not 0 <= length <= max_bytes:
            raise CrashedError(f"the decoder gave an answer that makes no sense: one of {length} bytes")
        return self._exactly(length, allotment)

    def send(self, message: bytes, allotment: Allotment) -> None:
        """Send a message.

        Raises:
            TimedOutError: The other side does not take it.
            OSError: It is gone.
        """
        long = len(message) > 0x7FFFFFFF
        head = _LENGTH.pack(-1) + _LONG_LENGTH.pack(len(message)) if long else _LENGTH.pack(len(message))
        rest = memoryview(head + message)
        while rest:
            self._socket.settimeout(allotment.begin())
            try:
                rest = rest[self._socket.send(rest) :]
            except TimeoutError:
                continue
            finally:
                allotment.end()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _exactly(self, size_bytes: int, allotment: Allotment) -> bytes:
        """Receive so many bytes; memory grows with what comes, not with what is promised."""
        received = bytearray()
        while len(received) < size_bytes:
            self._socket.settimeout(allotment.begin())
            try:
                chunk = self._socket.recv(min(size_bytes - len(received), _CHUNK_BYTES))
            except TimeoutError:
                continue
            finally:
                allotment.end()
            if not chunk:
                raise EOFError
            received += chunk
        return bytes(received)
