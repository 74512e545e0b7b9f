"""The plan of a run: which rows of a manifest are left to do, dearest first, in memory of some bytes a row.

Costs are guesses, so they are rounded to steps, and rows of one step stay in the manifest's order: what is read next to
each other lies next to each other.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unmask.errors import UsageError
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
    """Rows to do, dearest first; they lie in a nameless file until they are handed out."""

    def __init__(self, manifest: Manifest, index: SealedIndex, shard: Shard = Shard()) -> None:
        """Find what is left.

        Args:
            manifest: All rows.
            index: What was done before.
            shard: Which of the rows are this driver's: as in a game of cards, each is dealt the same number of dear and
                of cheap ones, whatever was done before.
        """
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the plan
        self._index = index
        steps, left = self._look(manifest, index)
        order = np.argsort(-steps, kind="stable")[shard.number - 1 :: shard.count]
        self.rows = len(order)
        """Rows of this shard, done ones among them."""
        entry_of = np.cumsum(left) - 1
        self._order = entry_of[order[left[order]]]
        self.count = len(self._order)
        """Rows that are left to do."""
        self.cost = float(self._costs[self._order].sum())
        """What they are guessed to cost together."""

    def _look(self, manifest: Manifest, index: SealedIndex) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
        """Keep the rows that are not done; return the step of each row's cost, and whether it is left."""
        steps, left, costs, starts = [np.empty(0, np.int16)], [np.empty(0, np.bool_)], [np.empty(0)], [0]
        for piece in manifest.pieces():
            cost, entries = piece.costs, index.find(piece.ids)
            todo = ~index.is_final(entries)
            steps.append(np.round(np.log(cost) / np.log(STEP)).astype(np.int16))
            left.append(todo)
            costs.append(cost[todo])
            for row in piece.rows(np.flatnonzero(todo)):
                starts.append(
                    starts[-1] + self._file.write(json.dumps([getattr(row, name) for name in _FIELDS]).encode())
                )
        self._file.flush()
        self._costs, self._starts = np.concatenate(costs), np.array(starts, np.int64)
        return np.concatenate(steps), np.concatenate(left)

    def __iter__(self) -> Iterator[Planned]:
        descriptor = self._file.fileno()
        for place in self._order.tolist():
            start, end = int(self._starts[place]), int(self._starts[place + 1])
            values: list[Any] = json.loads(os.pread(descriptor, end - start, start))
            row = Row(*values)
            yield Planned(row, float(self._costs[place]), self._index.known(row.size_bytes))

    def close(self) -> None:
        """Drop the rows."""
        self._file.close()
