"""Workers, and what runs in them: how they begin, answer, and end."""

import os
import pickle
import socket
import threading
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection

import pytest

from tests.scale import stubs
from tests.scale.runs import rows_named
from unmask.errors import UsageError
from unmask.runtime.parallel import Stopped
from unmask.scale import child, worker
from unmask.scale.child import Done, Hello, Refusal
from unmask.scale.engines import LocalEngine
from unmask.scale.rows import Answer, Lease, Row, Spent
from unmask.scale.worker import WorkerProcess

pytestmark = pytest.mark.skipif(not hasattr(socket, "socketpair"), reason="workers talk over sockets of Unix")


@pytest.fixture
def started(tmp_path):
    """Return a function that makes a worker whose process runs some code; its descriptor is sys.argv[1]."""
    made = []

    def start(code, stopping=None):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                worker, "_CODE", f"import os, sys, pickle; from multiprocessing.connection import Connection; {code}"
            )
            made.append(WorkerProcess(stubs.make(), tmp_path, stopping or threading.Event()))
            made[-1].start()
        return made[-1]

    yield start
    for process in made:
        process.close()


def test_a_worker_that_dies_while_it_loads_is_started_three_times(started, tmp_path):
    code = f"open({str(tmp_path / 'starts')!r}, 'a').write('x'); sys.exit(3)"
    with pytest.raises(
        UsageError, match=r"ended 3 times while it loaded its models \(exit code 3\); it may lack memory"
    ):
        started(code)
    assert (tmp_path / "starts").read_text() == "xxx"


def test_one_that_is_ended_meanwhile_is_no_fault(started):
    stopping = threading.Event()
    stopping.set()
    with pytest.raises(Stopped):
        started("sys.exit(3)", stopping)


@pytest.mark.parametrize(
    ("answer", "words"), [(Refusal("no such model"), "no such model"), ("hello", "a worker did not start")]
)
def test_what_it_says_instead_of_hello_is_told(started, answer, words):
    said = pickle.dumps(answer)
    with pytest.raises(UsageError, match=words):
        started(f"c = Connection(int(sys.argv[1])); c.recv_bytes(); c.send_bytes({said!r}); c.recv_bytes()")


def test_one_that_answers_nonsense_loses_its_lease_and_is_ended(started, tmp_path):
    hello, nonsense = pickle.dumps(Hello("stub", 2)), pickle.dumps("nonsense")
    code = f"c = Connection(int(sys.argv[1])); c.recv_bytes(); c.send_bytes({hello!r}); c.recv_bytes(); "
    process = started(code + f"c.send_bytes({nonsense!r}); c.recv_bytes()")
    assert process.start() == Hello("stub", 2), "it runs, and is not started again"
    rows = tuple(rows_named(["quick"] * 3))
    pid = process.pid
    assert os.path.exists(f"/proc/{pid}")
    ended = process.run(Lease("a", rows, (frozenset(),) * 3))
    assert (ended.commits, ended.unanswered) == ((), (0, 1, 2))
    assert not os.path.exists(f"/proc/{pid}")


def test_each_lease_costs_what_its_rows_did(started):
    """A worker tells its CPU time since it began; files of unknown length add none."""
    rows = [Row("/in/a", "a", 700), Row("/in/b", "b", None), Row("/in/c", "c", 30)]
    messages = [pickle.dumps(Hello("stub", 1))]
    messages += [
        pickle.dumps(Done(place, Answer("", "ok", b"{}"), seconds)) for place, seconds in ((0, 2.0), (1, 3.5), (0, 4.0))
    ]
    process = started(
        f"c = Connection(int(sys.argv[1])); m = {messages!r}; c.recv_bytes(); c.send_bytes(m[0]); c.recv_bytes(); "
        "c.send_bytes(m[1]); c.send_bytes(m[2]); c.recv_bytes(); c.send_bytes(m[3]); c.recv_bytes()"
    )
    first = process.run(Lease("a", tuple(rows[:2]), (frozenset(),) * 2))
    second = process.run(Lease("b", (rows[2],), (frozenset(),)))
    assert (first.spent, second.spent) == (Spent(3.5, 700), Spent(0.5, 30))
    assert (first.unanswered, second.lost, len(second.commits)) == ((), False, 1)


def test_one_that_ended_before_its_lease_came_is_its_rows_fault(started):
    """It ended by itself: the rows that were under way are suspects, and none is lost."""
    hello = pickle.dumps(Hello("stub", 2))
    process = started(f"c = Connection(int(sys.argv[1])); c.recv_bytes(); c.send_bytes({hello!r}); c.recv_bytes()")
    rows = tuple(rows_named(["quick"] * 3))
    ended = process.run(Lease("a", rows, (frozenset(),) * 3))
    assert (ended.unanswered, ended.suspects, ended.lost) == ((0, 1, 2), (0, 1), False)
    process.close()
    assert process._end() is not None
    with pytest.raises(EOFError):
        process._receive(0.0)


def test_what_cannot_be_sent_is_the_end_of_a_worker(tmp_path):
    process = WorkerProcess(stubs.make(), tmp_path, threading.Event())
    assert (process.pid, process._end()) == (None, None)
    ours, theirs = socket.socketpair()
    process._connection = Connection(ours.detach())
    theirs.close()
    with pytest.raises(EOFError, match="it ended"):
        process._send("lease")
    process.close()


def test_each_graphics_card_has_a_worker_with_its_share_of_the_cores(tmp_path):
    engine = LocalEngine(3, devices=3)
    assert (engine.size(), LocalEngine(5).size()) == (3, 5)
    environments = [engine.worker(stubs.make(), tmp_path, threading.Event())._process._environment for _ in range(4)]
    assert [each["CUDA_VISIBLE_DEVICES"] for each in environments] == ["0", "1", "2", "0"]
    assert {each["UNMASK_CORES"] for each in environments} == {"3"}
    plain = LocalEngine(3).worker(stubs.make(), tmp_path, threading.Event())._process._environment
    assert plain == {"UNMASK_CORES": "1", "OMP_NUM_THREADS": "1"}


def test_a_part_is_written_once_it_is_old_or_long(tmp_path, monkeypatch):
    """However long the lease: what is written is not lost with who holds the worker."""
    now = [0.0]
    monkeypatch.setattr(worker.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(worker, "FLUSH_BYTES", 150)
    parts = worker._Parts(tmp_path, "lease", "stub")
    work, rows = stubs.Stub(), rows_named(["quick"] * 5)
    now[0] = 99.0  # nothing waits
    parts.flush_old()
    parts.add(rows[0], work(rows[0], ()))
    now[0] += worker.FLUSH_SECONDS
    parts.flush_old()
    assert list(tmp_path.iterdir()) == []
    now[0] += 0.1
    parts.flush_old()
    assert [path.name for path in tmp_path.iterdir()] == ["lease-0.jsonl"]
    for row in rows[1:3]:
        parts.add(row, work(row, ()))
        parts.flush_old()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lease-0.jsonl", "lease-1.jsonl"]
    parts.flush()
    assert [len(commit["rows"]) for commit in parts.commits] == [1, 2]


@pytest.fixture
def serving(monkeypatch):
    """The other side of a worker that is a thread of this process: it ends where its process would."""

    threads, left = [], []

    def leave(_):
        left.append(threading.current_thread())
        if left[-1] in threads:  # not in the thread that waits for leases, which ends by itself
            raise SystemExit

    def run():
        with suppress(SystemExit):
            child.main()

    monkeypatch.setattr(child.os, "_exit", leave)

    def serve(make):
        ours, theirs = socket.socketpair()
        monkeypatch.setattr(child.sys, "argv", ["child", str(theirs.detach())])
        connection = Connection(ours.detach())
        connection.send(make)
        threads.append(threading.Thread(target=run, daemon=True))
        threads[-1].start()
        assert connection.poll(30)
        return connection, connection.recv(), threads[-1]

    yield serve
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


class Waits(stubs.Stub):
    """Waits for the end of the holder before it answers the second row."""

    gone = threading.Event()

    def __call__(self, row, known):
        if row.name == "quick-last":
            assert Waits.gone.wait(30)
        return super().__call__(row, known)


def test_a_worker_answers_row_by_row_and_ends_with_its_holder(serving):
    connection, hello, _ = serving(Waits)
    assert hello == Hello("stub", 1)
    rows = tuple(rows_named(["quick", "quick-last", "quick-last"]))
    connection.send(Lease("a", rows, (frozenset(),) * 3))
    done = connection.recv()
    assert (done.place, done.answer.status, done.answer.line) == (0, "ok", stubs.line_of(rows[0]))
    assert done.cpu_seconds > 0
    connection.close()
    Waits.gone.set()


def test_a_worker_that_cannot_load_its_work_says_why_and_ends(serving):
    connection, refusal, thread = serving(fail)
    assert refusal == Refusal("there is no such model")
    thread.join(30)
    connection.close()


def fail():
    raise UsageError("there is no such model")


@pytest.mark.parametrize("width", [1, 3])
def test_all_rows_of_a_lease_are_answered_and_equal_contents_once(width):
    rows = rows_named(["quick"] * 15)
    twin = type(rows[0])("/in/twin", "quick", rows[8].size_bytes, rows[8].version)
    lease = Lease("a", (*rows, twin), (frozenset(),) * 16)
    done = list(child._answers(stubs.Stub(width=width), lease))
    assert sorted(each.place for each in done) == list(range(16))
    lines = {each.place: each.answer.line for each in done}
    assert lines[0] == stubs.line_of(rows[0])
    assert lines[15] == (b"" if width == 1 else stubs.line_of(twin)), "those at the same time are not compared"


def test_rows_that_brought_workers_down_are_not_opened():
    rows = rows_named(["segfault"])
    (done,) = child._answers(stubs.Stub(), Lease("a", tuple(rows), (frozenset(),), "2 workers died of this file"))
    assert isinstance(done, Done)
    assert (done.place, done.answer.status) == (0, "crashed")


def test_processes_that_were_killed_for_memory_are_counted_where_the_kernel_tells(monkeypatch):
    assert worker._oom_kills() >= 0
    monkeypatch.setattr(worker.Path, "read_text", lambda _: "pgfault 5\noom_kill 7\n")
    assert worker._oom_kills() == 7
    monkeypatch.setattr(worker.Path, "read_text", lambda _: "pgfault 5\n")
    assert worker._oom_kills() == 0
    monkeypatch.setattr(worker.Path, "read_text", partial(open, "/nowhere"))
    assert worker._oom_kills() == 0
