"""The values that a run at scale exchanges: rows, what came of them, leases, and how these ended."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Protocol

from unmask.net.address import is_address

SAME = "same"
"""Status of a row whose content has a line already; that line has the true one."""

_FAILED = frozenset({"internal_error", "crashed"})
"""Statuses that a later run tries again: they may not have been the file's fault."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a manifest: something to work on."""

    uri: str
    """Path or address, as it is opened."""
    name: str
    """As a table shows it."""
    size_bytes: int | None = None
    """Length; None where it is not known."""
    version: str = ""
    """What tells that the content has changed: an object's etag, or a file's time of change; empty where unknown."""
    below: str | None = None
    """Folder in which it was found and from which on no link is followed; None where links are."""
    note: str = ""
    """What else the work needs to know of this row; no part of its identity."""

    @property
    def id(self) -> bytes:
        """Identity, 16 bytes: the same for rows of the same name, length and version."""
        text = f"{self.uri}\0{self.size_bytes}\0{self.version}"
        return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).digest()

    @property
    def cost(self) -> float:
        """Guess of what the row costs, in units of the least: looking at its frames, and decoding its bytes."""
        return 1.0 + (self.size_bytes or 0) / BYTES_A_UNIT

    @property
    def comparable_bytes(self) -> int | None:
        """Length, where it costs little to see whether the content is that of another file of this length.

        None for addresses, whose content would be fetched once more for that.
        """
        return None if is_address(self.uri) else self.size_bytes


BYTES_A_UNIT = 4e6
"""Bytes whose decoding costs as much as looking at the frames."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one row."""

    sha256: str
    """Hash of its content, 64 hex digits; empty where it could not be read."""
    status: str
    """As in `unmask.types.Status`, or the work's own word."""
    line: bytes
    """JSON on one line, without its end; empty where an earlier row's line with the same content holds."""

    @property
    def is_final(self) -> bool:
        """Whether a later run need not try again: the content is known, and the work did not fail by itself."""
        return is_final(self.sha256, self.status)


def is_final(sha256: str, status: str) -> bool:
    """Tell whether what came of a row need not be tried again, see `Answer.is_final`."""
    return bool(sha256) and status not in _FAILED


def short(sha256: str) -> str:
    """Return what is kept of a content's hash: 32 hex digits of 64, as long as the identity of a row."""
    return sha256[:32]


class Work(Protocol):
    """Turns rows into lines. It is made in the process that does it, and keeps what is dear to load."""

    @property
    def settings_hash(self) -> str:
        """Hash of all that the lines depend on beside the content of the rows."""
        ...

    @property
    def width(self) -> int:
        """Rows that it has under way at a time, in threads, at least 1."""
        ...

    def __call__(self, row: Row, known: Collection[str]) -> Answer:
        """Work on one row; the same content gives the same line.

        Args:
            row: The row.
            known: Contents of this length that have a line already, as `short`: for one of these none is made.
        """
        ...

    def crashed(self, row: Row, reason: str) -> Answer:
        """Return the line of a row that cannot be worked on; the row is not opened."""
        ...

    def cpu_seconds(self) -> float:
        """Return the CPU time that this process and those that work for it have taken."""
        ...


MakeWork = Callable[[], Work]
"""Loads a work; pickled, so that a process elsewhere can call it."""


@dataclass(frozen=True, slots=True)
class Lease:
    """Rows that one worker is to do."""

    id: str
    """Its name, unlike any other's; parts are named after it."""
    rows: tuple[Row, ...]
    """In the order in which they are done."""
    known: tuple[frozenset[str], ...]
    """For each row the contents that `Work` takes as known."""
    crash: str = ""
    """Why the rows are not opened but said to have crashed; empty for rows to work on."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What rows cost, to be added up."""

    cpu_seconds: float = 0.0
    """CPU time."""
    size_bytes: int = 0
    """Length of the files."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a lease ended."""

    commits: tuple[dict[str, Any], ...]
    """First lines of the parts that were written, see `unmask.scale.parts`."""
    unanswered: tuple[int, ...] = ()
    """Places of the rows that nothing came of."""
    suspects: tuple[int, ...] = ()
    """Those of them that were under way when the worker died by itself."""
    lost: bool = False
    """Whether the worker was taken away: killed from outside, or its machine is gone. That is no row's fault."""
    spent: Spent = Spent()
    """What the answered rows cost."""
