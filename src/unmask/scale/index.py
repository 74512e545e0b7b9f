"""Where the line of each row is: some 80 bytes a row, however long the lines are."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unmask.errors import UsageError
from unmask.scale.rows import is_final, short
from unmask.storage.rowlog import json_line


class Index:
    """What commits say, to be looked up by the identity of rows and by content.

    Of several answers to one row the first final one counts, else the last.
    """

    def __init__(self, settings_hash: str | None = None) -> None:
        """Begin with none.

        Args:
            settings_hash: Commits of other settings are not taken; None takes all.
        """
        self.foreign_rows = 0
        """Rows that were made with other settings."""
        self.parts: list[Path] = []
        """The files."""
        self._settings = settings_hash
        self._ids, self._content, self._final = bytearray(), bytearray(), bytearray()
        self._part, self._length = array("i"), array("i")
        self._place, self._size = array("q"), array("q")
        self._statuses: dict[str, int] = {}
        self._status = array("h")

    def __len__(self) -> int:
        return len(self._final)

    def add(self, path: Path, commit: Mapping[str, Any]) -> None:
        """Take a commit.

        Args:
            path: The part.
            commit: Its first line.

        Raises:
            ValueError, KeyError, TypeError: It is damaged; nothing of it is taken.
        """
        rows = [_checked(*row) for row in commit["rows"]]
        if self._settings not in (None, commit["settings"]):
            self.foreign_rows += len(rows)
            return
        place = len(json_line(commit)) + 1
        self.parts.append(path)
        for row_id, content, status, size, length, final in rows:
            self._ids += row_id
            self._content += content
            self._final.append(final)
            self._part.append(len(self.parts) - 1)
            self._length.append(length)
            self._place.append(place)
            self._size.append(size)
            self._status.append(self._statuses.setdefault(status, len(self._statuses)))
            place += length + 1 if length else 0

    def sealed(self) -> SealedIndex:
        """Return what can be looked up in; nothing may be added afterwards."""
        ids = np.frombuffer(self._ids, "S16")
        content = np.frombuffer(self._content, "S16")
        final = np.frombuffer(self._final, np.bool_)
        length = np.frombuffer(self._length, np.int32)
        size = np.frombuffer(self._size, np.int64)
        rank = np.arange(len(final), dtype=np.int32)
        rank = np.where(final, rank, 2 * len(final) - rank)
        holds = np.flatnonzero(final & (length > 0))
        # Most runs have no line that others refer to, and need not sort their contents.
        by_content = holds[np.argsort(content[holds], kind="stable")] if (length == 0).any() else holds[:0]
        return SealedIndex(
            parts=tuple(self.parts),
            ids=ids,
            by_id=np.lexsort((rank, ids)),
            final=final,
            part=np.frombuffer(self._part, np.int32),
            place=np.frombuffer(self._place, np.int64),
            length=length,
            status=np.frombuffer(self._status, np.int16),
            statuses=tuple(self._statuses),
            content=content,
            by_content=by_content,
            contents=content[by_content],
            size=size,
        )


def _checked(row_id: str, sha256: str, status: str, size: int, length: int) -> tuple[bytes, bytes, str, int, int, bool]:
    """Return a row of a commit as it is kept.

    Raises:
        ValueError, TypeError: It is damaged.
    """
    name, content = bytes.fromhex(row_id), bytes.fromhex(short(sha256)) if sha256 else bytes(16)
    if not (len(name) == len(content) == 16 and -1 <= size < 1 << 63 and 0 <= length < 1 << 31):
        raise ValueError("a commit that is damaged")
    return name, content, str(status), int(size), int(length), is_final(sha256, status)


@dataclass(frozen=True, slots=True)
class SealedIndex:
    """An `Index` of n answers that is complete. Entries are numbered in the order of the commits."""

    parts: tuple[Path, ...]
    """The files."""
    ids: NDArray[np.bytes_]
    """(n,) identities of rows, 16 bytes."""
    by_id: NDArray[np.int64]
    """(n,) entries, by these; of several answers to one row that which counts is first."""
    final: NDArray[np.bool_]
    """(n,) whether it need not be tried again."""
    part: NDArray[np.int32]
    """(n,) in which of the files it is."""
    place: NDArray[np.int64]
    """(n,) where its line begins, in bytes."""
    length: NDArray[np.int32]
    """(n,) how many bytes it has; 0 where the line of the same content holds."""
    status: NDArray[np.int16]
    """(n,) place of its status in ``statuses``."""
    statuses: tuple[str, ...]
    """All statuses."""
    content: NDArray[np.bytes_]
    """(n,) hash of the content as `short`, 16 bytes."""
    by_content: NDArray[np.int64]
    """(k,) final entries that have a line, by their hash; (0,) where every entry has a line."""
    contents: NDArray[np.bytes_]
    """(k,) these hashes, rising."""
    size: NDArray[np.int64]
    """(n,) length of the content in bytes, -1 where it is not known."""

    def find(self, ids: NDArray[np.bytes_]) -> NDArray[np.int64]:
        """Return for each identity the entry that counts, -1 where there is none."""
        if not len(self.ids):
            return np.full(len(ids), -1, np.int64)
        rising = np.argsort(ids)  # ten times as fast: what is looked up in turn lies near each other
        at = np.searchsorted(self.ids, ids[rising], sorter=self.by_id)
        entries = np.empty(len(ids), np.int64)
        entries[rising] = self.by_id[np.minimum(at, len(self.ids) - 1)]
        return np.where(self.ids[entries] == ids, entries, -1)

    def is_final(self, entries: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return for each of these whether it is an entry, -1 being none, and final."""
        found = np.zeros(len(entries), np.bool_)
        found[entries >= 0] = self.final[entries[entries >= 0]]
        return found

    def with_line(self, entry: int) -> int:
        """Return the entry whose line holds for this one: itself, or one of the same content.

        Raises:
            UsageError: There is none any more.
        """
        if self.length[entry]:
            return entry
        at = int(np.searchsorted(self.contents, self.content[entry]))
        if at == len(self.contents) or self.contents[at] != self.content[entry]:
            raise UsageError("a line that others refer to is gone from the parts; do all again in another folder")
        return int(self.by_content[at])

    def with_lines(self, entries: NDArray[np.int64]) -> NDArray[np.int64]:
        """Do as `with_line` for each of these."""
        found = entries.copy()
        for place in np.flatnonzero(self.length[entries] == 0):
            found[place] = self.with_line(int(entries[place]))
        return found
