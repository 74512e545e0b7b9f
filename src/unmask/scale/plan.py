"""The plan of a run: which rows of a manifest are left to do, dearest first, in memory of some bytes a row.

Costs are guesses, so they are rounded to steps, and rows of one step stay in the manifest's order: what is read next to
each other lies next to each other.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unmask.errors import UsageError
from unmask.scale.contents import MOST_KNOWN
from unmask.scale.index import SealedIndex
from unmask.scale.lease import Planned
from unmask.scale.manifest import Manifest
from unmask.scale.rows import Row

STEP = 2**0.25
"""Costs within this factor count as the same."""

_FIELDS = tuple(field.name for field in fields(Row))


@dataclass(frozen=True, slots=True)
class Shard:
    """One of several drivers that share a manifest without talking to each other."""

    number: int = 1
    """Which, from 1."""
    count: int = 1
    """How many there are."""

    @property
    def name(self) -> str:
        """Name of its log and its folder of parts."""
        return f"{self.number}-of-{self.count}"

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read ``3/8``; 0/8 is refused, since arrays can be numbered from 0 or from 1.

        Raises:
            UsageError: It is nothing of this kind.
        """
        found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
        if found is None or not 1 <= int(found[1]) <= int(found[2]):
            raise UsageError(f"--shard {text} makes no sense; use I/N with I from 1 to N, e.g. 3/8")
        return cls(int(found[1]), int(found[2]))


class Plan:
    """Rows to do, dearest first; they lie in a nameless file until they are handed out.

    Of local files of one length the first comes where its cost has it, the others last: by then it is known whether
    they have its content.
    """

    def __init__(self, manifest: Manifest, index: SealedIndex, shard: Shard = Shard()) -> None:
        """Find what is left.

        Args:
            manifest: All rows.
            index: What was done before.
            shard: Which of the rows are this driver's: as in a game of cards, each is dealt the same number of dear and
                of cheap ones, whatever was done before.
        """
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the plan
        self._starts, self._costs, self._sizes = array("q", [0]), array("d"), array("q")
        self._is_comparable = bytearray()
        steps, left = self._look(manifest, index)
        order = np.argsort(-steps, kind="stable")[shard.number - 1 :: shard.count]
        self.rows = len(order)
        """Rows of this shard, done ones among them."""
        entry_of = np.cumsum(left) - 1
        order = entry_of[order[left[order]]]
        sizes = np.frombuffer(self._sizes, np.int64)[order]
        self.lengths = np.unique(sizes)
        """(l,) lengths of the rows that are left, rising; -1 among them where some are not known."""
        late, self.repeated = _repeated(np.where(np.frombuffer(self._is_comparable, np.bool_)[order], sizes, -1))
        self._order = np.concatenate([order[~late], order[late]])
        """(r,) lengths of several rows that are left, rising."""
        self.count = len(self._order)
        """Rows that are left to do."""
        self.cost = float(np.frombuffer(self._costs)[self._order].sum())
        """What they are guessed to cost together."""

    def _look(self, manifest: Manifest, index: SealedIndex) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
        """Keep the rows that are not done; return the step of each row's cost, and whether it is left."""
        steps, left = np.empty(len(manifest), np.int16), np.empty(len(manifest), np.bool_)
        first, place = 0, 0
        for piece in manifest.pieces():
            cost, todo = piece.costs, ~index.is_final(index.find(piece.ids))
            steps[first : first + len(cost)] = np.round(np.log(cost) / np.log(STEP))
            left[first : first + len(cost)] = todo
            for row in piece.rows(np.flatnonzero(todo)):
                place += self._file.write(json.dumps([getattr(row, name) for name in _FIELDS]).encode())
                self._starts.append(place)
                self._costs.append(row.cost)
                self._sizes.append(-1 if row.size_bytes is None else row.size_bytes)
                self._is_comparable.append(row.comparable_bytes is not None)
            first += len(cost)
        self._file.flush()
        return steps, left

    def __iter__(self) -> Iterator[Planned]:
        descriptor = self._file.fileno()
        for place in map(int, self._order):
            start, end = self._starts[place], self._starts[place + 1]
            values: list[Any] = json.loads(os.pread(descriptor, end - start, start))
            yield Planned(Row(*values), self._costs[place])

    def close(self) -> None:
        """Drop the rows."""
        self._file.close()


def _repeated(sizes: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Tell of rows of these lengths, -1 being none, which have that of an earlier one, where these are few enough.

    Returns:
        (n,) whether they have, and (r,) these lengths, rising.
    """
    by_size = np.argsort(sizes, kind="stable")
    rising = sizes[by_size]
    starts = np.flatnonzero(np.diff(rising, prepend=-2))
    counts = np.diff(starts, append=len(rising))
    few = (counts > 1) & (counts <= MOST_KNOWN) & (rising[starts] >= 0)
    is_late = np.zeros(len(sizes), np.bool_)
    is_late[by_size] = np.repeat(few, counts)
    is_late[by_size[starts]] = False
    return is_late, rising[starts[few]]
