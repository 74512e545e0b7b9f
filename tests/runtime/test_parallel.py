import threading
import time
from itertools import count, islice

import pytest

from unmask.runtime.parallel import Failure, map_items, prefetch


@pytest.mark.parametrize("workers", [1, 3])
def test_order_is_kept_and_a_bad_item_stops_no_other(workers):
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


def test_leaving_early_tells_the_workers():
    stopping, left = threading.Event(), []

    def patient(item):
        if item:
            left.append(stopping.wait(timeout=30))
        return item

    results = map_items(patient, range(4), workers=2, stopping=stopping)
    assert next(results) == (0, 0)
    started = time.perf_counter()
    results.close()
    assert time.perf_counter() - started < 10
    assert left
    assert all(left)


def test_prefetch_keeps_order_and_raises_where_it_belongs():
    assert list(prefetch(range(100), depth=3)) == list(range(100))

    def broken():
        yield 1
        raise RuntimeError("half way")

    ahead = prefetch(broken())
    assert next(ahead) == 1
    with pytest.raises(RuntimeError, match="half way"):
        next(ahead)


def test_leaving_a_prefetch_early_stops_its_thread():
    ahead = prefetch(count(), depth=2)
    assert list(islice(ahead, 5)) == [0, 1, 2, 3, 4]
    ahead.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "unmask-prefetch"]
