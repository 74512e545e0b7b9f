"""Leases in imagined time: who gets what, and what happens to rows that come back."""

import heapq
import threading

import pytest

from unmask.scale.lease import MOST_DEATHS, MOST_LOSSES, MOST_ROWS, Leases, Planned
from unmask.scale.rows import Ended, Row


def planned(costs):
    return [Planned(Row(str(n), str(n)), cost) for n, cost in enumerate(sorted(costs, reverse=True))]


def leases_of(costs, workers=2):
    return Leases(planned(costs), len(costs), sum(costs), workers)


def wall(costs, workers):
    """Return when the last of some workers ends that take what their rows cost."""
    rows = {each.row.uri: each.cost for each in planned(costs)}
    leases = leases_of(costs, workers)
    busy, now = [], 0.0
    idle = workers
    while True:
        while idle and not leases.over:
            lease = leases.take()
            heapq.heappush(busy, (now + sum(rows[row.uri] for row in lease.rows), lease.id, lease))
            idle -= 1
        if not busy:
            return now
        now, _, lease = heapq.heappop(busy)
        leases.end(lease, Ended(()))
        idle += 1


@pytest.mark.parametrize("workers", [1, 2, 3, 8, 64])
def test_one_clip_two_hundred_times_as_long(workers):
    costs = [1.0] * 999 + [200.0]
    assert wall(costs, workers) <= 1.05 * max(sum(costs) / workers, 200.0)


def test_workers_end_together():
    costs = [1 + (n * 7919 % 1000) / 100 for n in range(5000)]
    assert wall(costs, 7) <= 1.05 * sum(costs) / 7


def test_leases_are_large_first_and_single_in_the_end():
    leases, sizes = leases_of([1.0] * 2000), []
    while (lease := leases.take()) is not None:
        sizes.append(len(lease.rows))
        leases.end(lease, Ended(()))
    assert sum(sizes) == 2000
    assert (sizes[0], sizes[-1]) == (MOST_ROWS, 1)
    assert sizes == sorted(sizes, reverse=True)
    assert (leases.left, round(leases.cost_left, 6)) == (0, 0)


def test_a_worker_of_several_rows_at_a_time_gets_as_many_while_there_are_as_many_for_each():
    leases, sizes = leases_of([1.0] * 40), []
    while (lease := leases.take(8)) is not None:
        sizes.append(len(lease.rows))
        leases.end(lease, Ended(()))
    assert sizes == [8, 8, 8, 8, 4, 2, 1, 1]


def test_a_row_that_brings_two_workers_down_is_not_tried_again():
    leases = leases_of([1.0])
    for _ in range(MOST_DEATHS):
        lease = leases.take()
        assert not lease.crash
        leases.end(lease, Ended((), unanswered=(0,), suspects=(0,)))
    lease = leases.take()
    assert lease.crash.startswith("2 workers died of this file")
    leases.end(lease, Ended(()))
    assert leases.take() is None


def test_workers_that_are_taken_away_are_no_fault_of_the_row_for_long():
    leases = leases_of([1.0])
    for _ in range(MOST_LOSSES):
        lease = leases.take()
        assert not lease.crash
        leases.end(lease, Ended((), unanswered=(0,), lost=True))
    assert "were killed while they had this file" in leases.take().crash


def test_of_what_comes_back_only_what_was_under_way_is_tried_alone():
    leases = leases_of([1.0] * 640, workers=1)
    first = leases.take()
    leases.end(first, Ended((), unanswered=tuple(range(10, 64)), suspects=(10, 11)))
    alone = [leases.take() for _ in range(2)]
    assert [lease.rows for lease in alone] == [(first.rows[10],), (first.rows[11],)]
    assert leases.take().rows == first.rows[12:]


def test_whoever_finds_nothing_left_waits_for_what_may_come_back():
    leases, taken = leases_of([1.0]), []
    held = leases.take()
    waiter = threading.Thread(target=lambda: taken.append(leases.take()))
    waiter.start()
    leases.end(held, Ended((), unanswered=(0,), lost=True))
    waiter.join(30)
    assert taken[0].rows == held.rows
