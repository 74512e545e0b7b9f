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

from unmask.media.container import FrameIndex
from unmask.media.limits import Limits

SLOTS = 2
"""Images that lie in the shared memory at a time: one is read while the next one is decoded."""
SLOT_IS_FREE = b"."
"""Tells a decoder that an image was taken; all other messages to it are the indices of wanted frames, int64."""
NONSENSE = (KeyError, TypeError, ValueError, OverflowError, RecursionError)
"""What reading a message raises that no honest decoder sends."""

Task = Literal["decode", "sound", "guards"]
"""What a decoder is for: frames, the sound track, or telling what confines it."""


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

    def to_json(self) -> dict[str, Any]:
        """Return the order as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Order:
        """Return the order that `to_json` gave."""
        return cls(**{**values, "limits": Limits(**values["limits"])})


@dataclass(frozen=True, slots=True)
class StoredImage:
    """Says that an image lies in the shared memory."""

    index: int
    """Index of its frame."""
    height: int
    """Rows, above 0."""
    width: int
    """Columns, above 0."""
    quantiser: float | None
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
        quantiser = values["quantiser"]
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


def index_arrays(index: FrameIndex) -> tuple[NDArray[np.int64], ...]:
    """Return those parts of an index that travel as bytes, int64 each."""
    return index.pts, index.key_packets, index.key_pts


def index_scalars(index: FrameIndex) -> dict[str, Any]:
    """Return those parts of an index that travel as JSON."""
    names = ("seconds_per_tick", "stamped", "end_seconds", "packets", "size_bytes")
    return {name: getattr(index, name) for name in names}


def index_of(arrays: Sequence[NDArray[np.int64]], scalars: Mapping[str, Any]) -> FrameIndex:
    """Return the index that was sent as `index_arrays` and `index_scalars`.

    Raises:
        NONSENSE: It makes no sense.
    """
    pts, key_packets, key_pts = arrays
    index = FrameIndex(
        pts=pts,
        key_packets=key_packets,
        key_pts=key_pts,
        seconds_per_tick=float(scalars["seconds_per_tick"]),
        stamped=bool(scalars["stamped"]),
        end_seconds=float(scalars["end_seconds"]),
        packets=int(scalars["packets"]),
        size_bytes=int(scalars["size_bytes"]),
    )
    if not len(index) or (np.diff(index.pts) <= 0).any() or not np.isfinite(index.times_seconds).all():
        raise ValueError("an index of frames that cannot be")
    return index
