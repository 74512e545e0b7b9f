"""What a decoder answers, asked in this process; `test_decoder` has it confined in its own."""

import errno
import mmap
import os
import threading
from contextlib import suppress
from multiprocessing.connection import Connection
from socket import socketpair

import numpy as np
import pytest

from tests.media_factory import pattern, write_video
from unmask.media import Limits, worker
from unmask.media.messages import SLOT_IS_FREE, SLOTS, Order, Request, parse
from unmask.media.worker import answer

FRAME_PIXELS = 200 * 200


@pytest.fixture
def ask(tmp_path):
    """Return the connection to a thread that answers an order about a file."""
    ours, theirs = socketpair()
    memory = os.open(tmp_path / "memory", os.O_RDWR | os.O_CREAT)
    os.ftruncate(memory, SLOTS * 3 * FRAME_PIXELS)
    threads = []

    def ask(task, path, readers=(), **limits):
        order = Order(task, "0" * 64, Limits(**{"frame_pixels": FRAME_PIXELS} | limits), 60, readers=readers)

        def run():
            with suppress(EOFError, ConnectionError), Connection(theirs.detach()) as answers:
                answer(answers, (answers.fileno(), os.open(path, os.O_RDONLY), memory), order, ["a guard"])

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        return connection

    with Connection(ours.detach()) as connection:
        yield ask
    for thread in threads:
        thread.join()
    os.close(memory)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("worker") / "clip.mp4", map(pattern, range(6)), tone=True)


def test_frames_come_through_shared_memory(ask, clip, tmp_path):
    connection = ask("decode", clip)
    header = parse(connection.recv_bytes())
    assert header["facts"]["frames"] == 6
    assert [len(connection.recv_bytes()) for _ in range(4)] == [48, 8, 8, 0]  # times, key packets and frames, bursts
    connection.send_bytes(Request(np.array([0, 2, 5]), signed=False).to_bytes())
    with (tmp_path / "memory").open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as memory:
        slots = []
        for _ in range(3):
            message = parse(connection.recv_bytes())
            assert (message["height"], message["width"]) == (96, 160)
            slots.append(message["index"])
            connection.send_bytes(SLOT_IS_FREE)
        assert memory[: 3 * 96 * 160].count(0) < 3 * 96 * 160
    assert slots == [0, 2, 5]
    assert parse(connection.recv_bytes()) == {"done": True}


def test_sound_follows_its_suffix(ask, clip):
    connection = ask("sound", clip)
    assert parse(connection.recv_bytes()) == {"suffix": "m4a"}
    assert b"ftyp" in connection.recv_bytes()[:32]


def test_what_confines_it_is_named(ask, clip):
    assert parse(ask("guards", clip).recv_bytes()) == {"guards": ["a guard"]}


def test_a_file_that_cannot_be_read_has_a_status(ask, tmp_path):
    (tmp_path / "text").write_text("not a video")
    assert parse(ask("decode", tmp_path / "text").recv_bytes())["status"] == "unreadable"


@pytest.mark.parametrize(
    ("error", "status"), [(MemoryError(), "rejected_limit"), (OSError(12, "no memory"), "rejected_limit")]
)
def test_too_little_memory_is_a_limit(ask, clip, monkeypatch, error, status):
    monkeypatch.setattr(worker, "open_in_process", lambda *_: (_ for _ in ()).throw(error))
    answer = parse(ask("decode", clip).recv_bytes())
    assert answer["status"] == status
    assert "2048 MB" in answer["message"]


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ETIMEDOUT])
def test_a_disk_that_fails_is_no_fault_of_ours(ask, clip, monkeypatch, number):
    error = OSError(number, os.strerror(number))
    monkeypatch.setattr(worker, "open_in_process", lambda *_: (_ for _ in ()).throw(error))
    assert parse(ask("decode", clip).recv_bytes())["status"] == "unreadable"


def test_a_fault_of_ours_is_reported_with_its_place(ask, clip, monkeypatch):
    monkeypatch.setattr(worker, "open_in_process", lambda *_: 1 / 0)
    assert "ZeroDivisionError" in parse(ask("decode", clip).recv_bytes())["fault"]


def test_it_ends_with_a_code_that_says_how(monkeypatch):
    """The other side tells a crash by it."""

    def end(order_fails):
        reads, writes = socketpair()
        pid = os.fork()
        if not pid:
            try:
                reads.close()
                monkeypatch.setattr(worker, "confine", lambda *_, **__: 1 / 0 if order_fails else ["a guard"])
                worker.run([writes.fileno()], Order("guards", "", Limits(), 60))
            finally:
                os._exit(99)
        writes.close()
        with Connection(reads.detach()) as answers:
            said = None if order_fails else parse(answers.recv_bytes())
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said

    assert end(order_fails=False) == (0, {"guards": ["a guard"]})
    assert end(order_fails=True) == (1, None)


def count_bytes(file, question):
    return {"asked": question.decode(), "bytes": len(file.read())}


def test_a_reader_is_asked(ask, clip):
    connection = ask("ask", clip, readers=("tests.media.test_worker:count_bytes",))
    connection.send_bytes(b"how many?")
    assert parse(connection.recv_bytes()) == {"answer": {"asked": "how many?", "bytes": clip.stat().st_size}}


def test_a_file_is_described(ask, clip):
    assert parse(ask("describe", clip).recv_bytes())["description"]["format"]["nb_streams"] == 2
