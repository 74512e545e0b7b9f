import json
from multiprocessing.connection import Connection
from socket import socketpair

import numpy as np
import pytest

from unmask.media.index import FrameIndex
from unmask.media.limits import Limits
from unmask.media.messages import NONSENSE, Order, StoredImage, index_arrays, index_of, index_scalars, parse, send

INDEX = FrameIndex(
    np.array([0, 0.04, 0.16]), np.array([0]), np.array([0]), stamped=True, end_seconds=0.2, packets=3, size_bytes=999,
)  # fmt: skip


def test_an_order_survives():
    order = Order("decode", "0" * 64, Limits(seconds=3, isolate=False), 30)
    assert Order.from_json(json.loads(json.dumps(order.to_json()))) == order


def test_an_index_survives():
    scalars = json.loads(json.dumps(index_scalars(INDEX)))
    sent = [array.tobytes() for array in index_arrays(INDEX)]
    assert index_of(sent, scalars).times_seconds.tolist() == INDEX.times_seconds.tolist()
    assert index_scalars(index_of(sent, scalars)) == scalars
    bursts = [*sent[:3], np.array([1]).tobytes()]
    assert index_of(bursts, scalars).bursts.tolist() == [1]
    for wrong in ([3], [-1], [1, 1], list(range(99))):
        with pytest.raises(NONSENSE):
            index_of([*sent[:3], np.array(wrong).tobytes()], scalars)


@pytest.mark.parametrize(
    ("times", "keys", "change"),
    [
        ([], [], {}), ([0, 3, 3], [0], {}), ([0, 3, 2], [0], {}), ([1, 2], [0], {}), ([0, 1e999], [0], {}),
        ([0, float("nan")], [0], {}), ([0, 1], [2], {}), ([0, 1], [-1], {}), ([0, 1], [0], {"packets": None}),
        ([0, 1], [0], {"end_seconds": "much"}),
    ],
)  # fmt: skip
def test_an_index_that_cannot_be_is_refused(times, keys, change):
    sent = [np.array(times, np.float64), np.zeros(len(keys), np.int64), np.array(keys, np.int64), np.zeros(0, np.int64)]
    with pytest.raises(NONSENSE):
        index_of([array.tobytes() for array in sent], index_scalars(INDEX) | change)


def test_messages_are_objects():
    ours, theirs = socketpair()
    with Connection(ours.detach()) as sender, Connection(theirs.detach()) as receiver:
        send(sender, index=3, height=4, width=5, quantiser=0.4)
        assert StoredImage.from_json(parse(receiver.recv_bytes())) == StoredImage(3, 4, 5, 0.4)


@pytest.mark.parametrize("message", [b"", b"\xff", b"[]", b"3", b"[" * 100_000])
def test_anything_else_is_refused(message):
    with pytest.raises(NONSENSE):
        parse(message)
