import json
from contextlib import nullcontext
from multiprocessing.connection import Connection
from socket import socketpair

import numpy as np
import pytest

from unmask.media.bursts import MOST_BURSTS
from unmask.media.index import FrameIndex
from unmask.media.limits import Limits
from unmask.media.messages import (
    NONSENSE,
    Order,
    Request,
    StoredImage,
    index_arrays,
    index_of,
    index_scalars,
    parse,
    send,
    signatures_of,
)
from unmask.media.signature import SIGNATURE_BYTES, SIGNATURE_SHAPE

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


@pytest.mark.parametrize("signed", [False, True])
def test_a_request_survives(signed):
    request = Request.from_bytes(Request(np.array([3, 5, 1 << 40]), signed).to_bytes())
    assert (request.indices.tolist(), request.signed) == ([3, 5, 1 << 40], signed)


@pytest.mark.parametrize(
    ("index", "height", "width", "quantiser", "can_be"),
    [
        (0, 1, 1, None, True), (0, 1, 1, 0.0, True), (0, 1, 1, 1.0, True), (-1, 1, 1, None, False),
        (0, 0, 1, None, False), (0, 1, 0, None, False), (0, 1, 1, 1.01, False), (0, 1, 1, -0.01, False),
        (0, 1, 1, float("nan"), False),
    ],
)  # fmt: skip
def test_an_image_lies_within_the_memory(index, height, width, quantiser, can_be):
    values = {"index": index, "height": height, "width": width, "quantiser": quantiser}
    with nullcontext() if can_be else pytest.raises(ValueError, match="no such image"):
        assert StoredImage.from_json(values) == StoredImage(index, height, width, quantiser)


@pytest.mark.parametrize(
    ("indices", "can_be"),
    [([], True), ([0], True), ([0, 8, 9], True), ([9, 10], False), ([-1, 3], False), ([3, 3], False), ([4, 3], False)],
)
def test_signatures_belong_to_frames(indices, can_be, monkeypatch):
    monkeypatch.setattr("unmask.media.messages.MAX_SIGNATURES", 3)
    signatures = np.arange(SIGNATURE_BYTES * len(indices)).astype(np.uint8)
    with nullcontext() if can_be else pytest.raises(ValueError, match="cannot be"):
        numbers, found = signatures_of(np.array(indices, np.int64).tobytes(), signatures.tobytes(), 10)
        assert numbers.tolist() == indices
        assert found.shape == (len(indices), *SIGNATURE_SHAPE)
        assert found.tobytes() == signatures.tobytes()
    with pytest.raises(ValueError, match="4 frames with 4 signatures; at most 3"):
        signatures_of(np.arange(4).tobytes(), bytes(4 * SIGNATURE_BYTES), 10)


def test_an_index_keeps_all_that_it_was_sent_with():
    index = FrameIndex(
        np.array([0, 0.04, 0.16]), np.array([0, 4]), np.array([0, 2]), False, 0.2, 5, 999, np.array([0, 2])
    )
    found = index_of([array.tobytes() for array in index_arrays(index)], index_scalars(index))
    for name in ("times_seconds", "key_packets", "key_frames", "bursts"):
        assert getattr(found, name).tolist() == getattr(index, name).tolist(), name
    assert (found.stamped, found.end_seconds, found.packets, found.size_bytes) == (False, 0.2, 5, 999)
    many = FrameIndex(np.arange(99.0), np.array([0]), np.array([0]), True, 99, 99, 99, np.arange(MOST_BURSTS))
    assert len(index_of([array.tobytes() for array in index_arrays(many)], index_scalars(many)).bursts) == MOST_BURSTS
