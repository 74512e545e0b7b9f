"""Leases: which rows are handed out next, and what happens to those that come back.

The dearest rows go first, and leases shrink towards the end, so that all workers end at about the same time. Rows that
come back are handed out again before all others, those that were under way when their worker died one by one. A row
that was under way when a worker died by itself, and again when another did, is not tried a third time.
"""

from __future__ import annotations

import itertools
import secrets
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from unmask.scale.contents import Contents
from unmask.scale.rows import Ended, Lease, Row

MOST_ROWS = 64
"""Rows of a lease, at most."""
SHARE = 4
"""A lease takes one part in so many of what is left for its worker."""
MOST_DEATHS = 2
"""Workers that one row may bring down."""
MOST_LOSSES = 8
"""Times that a row's worker may be taken away: beyond that it looks as if the row were the reason."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A row that is to be done."""

    row: Row
    """The row."""
    cost: float
    """What it is guessed to cost."""


@dataclass(slots=True)
class _Returned:
    """A row that came back."""

    planned: Planned
    deaths: int = 0
    losses: int = 0


class Leases:
    """Hands out rows and takes them back; any thread may call it."""

    def __init__(
        self, rows: Iterable[Planned], count: int, cost: float, workers: int, contents: Contents | None = None
    ) -> None:
        """Begin.

        Args:
            rows: All rows to do, dearest first; read as they are handed out.
            count: How many they are.
            cost: What they are guessed to cost together.
            workers: How many share them.
            contents: Says which contents have a line when rows are handed out; None for none.
        """
        self._contents = contents
        self.workers = workers
        """How many share the rows; may change."""
        self.left, self.cost_left = count, cost
        """Rows, and their cost, that have not been answered."""
        self.returned_rows = 0
        """Rows that came back so far."""
        self._rows, self._unread, self._unread_cost = iter(rows), count, cost
        self._alone: deque[_Returned] = deque()
        self._again: deque[_Returned] = deque()
        self._out: dict[str, list[_Returned]] = {}
        self._change = threading.Condition()
        self._stopped = False
        self._run = secrets.token_hex(6)
        self._count = itertools.count()

    def take(self, width: int = 1) -> Lease | None:
        """Return the next lease, None when all is done; waits while others hold rows that may come back.

        Args:
            width: Rows that the worker has under way at a time; it gets no fewer while there are as many for each.
        """
        with self._change:
            while not self._stopped:
                if self._alone:
                    return self._lend([self._alone.popleft()])
                if self._again:
                    most = max(1, min(MOST_ROWS, len(self._again) // self.workers))
                    return self._lend([self._again.popleft() for _ in range(most)])
                if rows := list(self._next_rows(width)):
                    return self._lend(rows)
                if not self._out:
                    break
                self._change.wait()
            return None

    @property
    def over(self) -> bool:
        """Whether no row is left that a further worker could do."""
        with self._change:
            return self._stopped or not (self._alone or self._again or self._unread)

    def end(self, lease: Lease, ended: Ended) -> None:
        """Take back a lease, with the rows of it that nothing came of."""
        with self._change:
            held = self._out.pop(lease.id)
            if self._contents is not None:
                for commit in ended.commits:
                    self._contents.add(commit)
            self.left -= len(held) - len(ended.unanswered)
            self.cost_left -= sum(each.planned.cost for each in held)
            for place in ended.unanswered:
                back = held[place]
                back.deaths += place in ended.suspects
                back.losses += ended.lost and place == ended.unanswered[0]
                self.cost_left += back.planned.cost
                (self._alone if back.deaths or back.losses else self._again).append(back)
            self.returned_rows += len(ended.unanswered)
            self._change.notify_all()

    def stop(self) -> None:
        """Hand out no more."""
        with self._change:
            self._stopped = True
            self._change.notify_all()

    def _next_rows(self, width: int) -> Iterator[_Returned]:
        """Take rows of the plan: a share of what is left by cost and by number."""
        workers = max(1, self.workers)
        share = SHARE * workers
        least = min(width, -(-self._unread // workers))
        most_cost, taken = self._unread_cost / share, 0.0
        most_rows = max(1, least, min(MOST_ROWS, self._unread // share))
        for count, planned in enumerate(itertools.islice(self._rows, most_rows), start=1):
            self._unread -= 1
            self._unread_cost -= planned.cost
            yield _Returned(planned)
            taken += planned.cost
            if taken >= most_cost and count >= least:
                break

    def _lend(self, rows: list[_Returned]) -> Lease:
        name = f"{self._run}-{next(self._count):06d}"
        self._out[name] = rows
        of_lease = tuple(each.planned.row for each in rows)
        return Lease(name, of_lease, tuple(self._known(row) for row in of_lease), _crash(rows))

    def _known(self, row: Row) -> frozenset[str]:
        return frozenset() if self._contents is None else self._contents.known(row.size_bytes)


def _crash(rows: list[_Returned]) -> str:
    """Say why these rows are given up; empty where they are not."""
    if len(rows) != 1:
        return ""
    if rows[0].deaths >= MOST_DEATHS:
        return f"{MOST_DEATHS} workers died of this file; it was not tried again."
    if rows[0].losses >= MOST_LOSSES:
        return f"{MOST_LOSSES} workers were killed while they had this file; it was not tried again."
    return ""
