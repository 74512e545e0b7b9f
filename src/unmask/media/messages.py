"""Define the messages between a decoder process and the process that ordered it.

Each is JSON on a socket; lists of integers follow as bytes, and images lie in memory that both processes share. The
decoder reads files that may be hostile, so what it answers is checked where it is read: a value that cannot be raises
one of `NONSENSE`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from unmask.media.bursts import MOST_BURSTS
from unmask.media.index import FrameIndex
from unmask.media.limits import Limits
from unmask.media.signature import MAX_SIGNATURES, SIGNATURE_SHAPE
from unmask.types import Colours

SLOTS = 2
"""Images that lie in the shared memory at a time: one is read while the next one is decoded."""
SLOT_IS_FREE = b"."
"""Tells a decoder that an image was taken; all other messages to it are a `Request`."""
NONSENSE = (KeyError, TypeError, ValueError, OverflowError, RecursionError)
"""What reading a message raises that no honest decoder sends."""

Task = Literal["decode", "sound", "describe", "ask", "guards"]
"""What a decoder is for: frames, the sound track, what the file says of itself, what a reader is asked, or telling what
confines it."""


@dataclass(frozen=True, slots=True)
class Order:
    """What one decoder is to do."""

    task: Task
    """Its task."""
    sha256: str
    """Hash of the file, 64 hex digits; empty where no facts are asked for."""
    limits: Limits
    """What it may cost."""
    cpu_seconds: int
    """CPU time that it may take."""
    colours: Colours = "tagged"
    """How frames become RGB."""
    film: int = 1
    """Which of the file's films."""
    readers: tuple[str, ...] = ()
    """Names of what else is to look at the file, see `unmask.media.readers`."""

    def to_json(self) -> dict[str, Any]:
        """Return the order as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Order:
        """Return the order that `to_json` gave."""
        return cls(**{**values, "limits": Limits(**values["limits"]), "readers": tuple(values["readers"])})


@dataclass(frozen=True, slots=True)
class Request:
    """Asks a decoder for frames."""

    indices: NDArray[np.int64]
    """(n,) rising indices of the wanted frames."""
    signed: bool
    """Whether the signatures of all frames that are decoded on the way are wanted as well."""

    def to_bytes(self) -> bytes:
        """Return the message: int64 numbers, the first of which is 1 where signatures are wanted."""
        return np.concatenate([[self.signed], self.indices]).astype(np.int64).tobytes()

    @classmethod
    def from_bytes(cls, message: bytes) -> Request:
        """Read what `to_bytes` gave."""
        numbers = np.frombuffer(message, np.int64)
        return cls(numbers[1:], bool(numbers[0]))


@dataclass(frozen=True, slots=True)
class StoredImage:
    """Says that an image lies in the shared memory."""

    index: int
    """Index of its frame."""
    height: int
    """Rows, above 0."""
    width: int
    """Columns, above 0."""
    quantiser: float | None = None
    """How coarsely the frame is quantised, 0 to 1; None when unknown."""

    def __post_init__(self) -> None:
        is_share = self.quantiser is None or 0 <= self.quantiser <= 1
        if self.index < 0 or self.height <= 0 or self.width <= 0 or not is_share:
            raise ValueError(f"there is no such image: {self}")

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> StoredImage:
        """Read the message.

        Raises:
            NONSENSE: It makes no sense.
        """
        quantiser = values.get("quantiser")
        index, height, width = (int(values[name]) for name in ("index", "height", "width"))
        return cls(index, height, width, None if quantiser is None else float(quantiser))


def send(connection: Connection, **values: Any) -> None:
    """Send a message of JSON values."""
    connection.send_bytes(json.dumps(values).encode())


def parse(message: bytes) -> dict[str, Any]:
    """Read a message that `send` sent.

    Raises:
        NONSENSE: It is something else.
    """
    values = json.loads(message)
    if not isinstance(values, dict):
        raise TypeError("a message is a JSON object")
    return values


def signatures_of(indices: bytes, signatures: bytes, frames: int) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Return what was sent of `unmask.media.signature.SignatureLog.arrays`.

    Args:
        indices: int64 each.
        signatures: `SIGNATURE_BYTES` each.
        frames: Frames of the video.

    Raises:
        NONSENSE: It makes no sense.
    """
    indices_n = np.frombuffer(indices, np.int64)
    signatures_n = np.frombuffer(signatures, np.uint8).reshape(-1, *SIGNATURE_SHAPE)
    if len(indices_n) != len(signatures_n) or len(indices_n) > MAX_SIGNATURES:
        raise ValueError(f"{len(indices_n)} frames with {len(signatures_n)} signatures; at most {MAX_SIGNATURES}")
    if len(indices_n) and (indices_n[0] < 0 or indices_n[-1] >= frames or (np.diff(indices_n) <= 0).any()):
        raise ValueError("signatures of frames that cannot be")
    return indices_n, signatures_n


def index_arrays(index: FrameIndex) -> tuple[NDArray[Any], ...]:
    """Return those parts of an index that travel as bytes: float64, then int64."""
    return index.times_seconds, index.key_packets, index.key_frames, index.bursts


def index_scalars(index: FrameIndex) -> dict[str, Any]:
    """Return those parts of an index that travel as JSON."""
    names = ("stamped", "end_seconds", "packets", "size_bytes")
    return {name: getattr(index, name) for name in names}


def index_of(arrays: Sequence[bytes], scalars: Mapping[str, Any]) -> FrameIndex:
    """Return the index that was sent as `index_arrays` and `index_scalars`.

    Raises:
        NONSENSE: It makes no sense.
    """
    times = np.frombuffer(arrays[0], np.float64)
    key_packets, key_frames, bursts = (np.frombuffer(array, np.int64) for array in arrays[1:])
    index = FrameIndex(
        times_seconds=times.astype(np.float64),
        key_packets=key_packets.astype(np.int64),
        key_frames=key_frames.astype(np.int64),
        stamped=bool(scalars["stamped"]),
        end_seconds=float(scalars["end_seconds"]),
        packets=int(scalars["packets"]),
        size_bytes=int(scalars["size_bytes"]),
        bursts=bursts.astype(np.int64),
    )
    with np.errstate(all="ignore"):
        if not len(index) or times[0] != 0 or not (np.diff(times) > 0).all() or not np.isfinite(times).all():
            raise ValueError("an index of frames that cannot be")
    if len(key_packets) != len(key_frames) or not ((key_frames >= 0) & (key_frames < len(index))).all():
        raise ValueError("key frames that cannot be")
    if len(bursts) > MOST_BURSTS or not ((bursts >= 0) & (bursts < len(index))).all() or (np.diff(bursts) <= 0).any():
        raise ValueError("bursts that cannot be")
    return index
