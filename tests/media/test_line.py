"""A decoder that was taken over, and stops in the middle of what it says."""

import socket
import threading
import time
from multiprocessing.connection import Connection

import pytest

from unmask.errors import CrashedError, TimedOutError
from unmask.media import line as module
from unmask.media.line import Allotment, Line


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair()
    with theirs:
        line = Line(ours)
        yield line, theirs
        line.close()


def test_messages_of_a_connection_come_and_go(ends):
    line, theirs = ends
    with Connection(theirs.detach()) as other:
        for message in (b"", b"a", b"x" * 20_000):  # the last one is sent in two parts
            other.send_bytes(message)
            assert line.receive(20_000, Allotment(5)) == message
            line.send(message, Allotment(5))
            assert other.recv_bytes() == message


@pytest.mark.parametrize(
    "said",
    [
        b"", b"\0", b"\0\0\0", b"\0\0\0\x09", b"\0\0\0\x09{\"done", b"\xff\xff\xff\xff\0\0\0",
        b"\x01\0\0\0" + bytes(99),
    ],
)  # fmt: skip
def test_one_that_stops_in_the_middle_is_given_up(ends, said):
    line, theirs = ends
    theirs.sendall(said)
    started = time.monotonic()
    with pytest.raises(TimedOutError, match="longer than the limits allow"):
        line.receive(1 << 30, Allotment(0.1))
    assert time.monotonic() - started < 5


def test_one_that_trickles_is_given_up(ends):
    line, theirs = ends
    left = threading.Event()

    def trickle():
        while not left.wait(0.02):
            theirs.send(b"\x01")

    thread = threading.Thread(target=trickle)
    thread.start()
    with pytest.raises(TimedOutError):
        line.receive(1 << 30, Allotment(0.2))
    left.set()
    thread.join()


def test_one_that_does_not_listen_is_given_up(ends):
    line, _ = ends
    with pytest.raises(TimedOutError):
        line.send(bytes(10 << 20), Allotment(0.2))


@pytest.mark.parametrize("length", [b"\0\0\0\x65", b"\x7f\xff\xff\xff", b"\xff\xff\xff\xfe", b"\xff" * 12])
def test_one_that_promises_too_much_is_not_waited_for(ends, length):
    line, theirs = ends
    theirs.sendall(length)
    with pytest.raises(CrashedError, match="makes no sense"):
        line.receive(100, Allotment(60))


def test_one_that_is_gone_is_no_timeout(ends):
    line, theirs = ends
    theirs.close()
    with pytest.raises(EOFError):
        line.receive(100, Allotment(60))


def test_the_time_of_a_stopped_process_does_not_count(monkeypatch):
    """Between SIGSTOP and SIGCONT an hour may pass, and no clip that was under way has used it."""
    now = iter([0.0, 0.2, 0.2, 3600.0, 3600.0, 3600.3])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(now))
    allotment = Allotment(2.0)
    for left in (1.8, 0.8, 0.5):
        allotment.begin()
        allotment.end()
        assert allotment.seconds_left == pytest.approx(left)
