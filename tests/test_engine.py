import threading
import time
from itertools import count, islice

import pytest

from unmask.engine import Failure, map_items, prefetch


@pytest.mark.parametrize("workers", [1, 3])
def test_order_is_kept_and_a_bad_item_stops_nobody(workers):
    def function(item):
        time.sleep(0.01 * (5 - item % 5))
        if item == 3:
            raise ValueError("three")
        return item * item

    results = list(map_items(function, range(12), workers))
    assert [item for item, _ in results] == list(range(12))
    assert isinstance(results[3][1], Failure)
    assert str(results[3][1].error) == "three"
    assert [value for item, value in results if item != 3] == [i * i for i in range(12) if i != 3]


def test_items_are_consumed_lazily():
    taken = []

    def items():
        for i in count():
            taken.append(i)
            yield i

    assert [value for _, value in islice(map_items(lambda i: i, items(), workers=2), 3)] == [0, 1, 2]
    assert len(taken) <= 3 + 4 * 2


def test_prefetch_keeps_order_and_raises_where_it_belongs():
    assert list(prefetch(range(100), depth=3)) == list(range(100))

    def broken():
        yield 1
        raise RuntimeError("half way")

    got = []
    with pytest.raises(RuntimeError, match="half way"):
        got.extend(prefetch(broken()))
    assert got == [1] or got == []


def test_leaving_a_prefetch_early_stops_its_thread():
    closed = threading.Event()

    def endless():
        try:
            yield from count()
        finally:
            closed.set()

    source = endless()
    for value in prefetch(source, depth=2):
        if value == 5:
            break
    del value
    before = threading.active_count()
    source.close()
    assert closed.is_set()
    assert threading.active_count() <= before
