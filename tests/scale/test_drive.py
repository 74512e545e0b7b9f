"""The driver, with workers that live in its own threads."""

import pytest

from tests.scale import stubs
from tests.scale.runs import do, expected, merged, rows_named
from unmask.errors import UsageError
from unmask.runtime.parallel import Stopped
from unmask.scale import drive
from unmask.scale.child import Hello, _answers
from unmask.scale.parts import Part
from unmask.scale.rows import Ended


class Threads:
    """An engine of workers in threads."""

    def __init__(self, *workers):
        self.workers, self.given, self.closed = list(workers), 0, False

    def size(self):
        return len(self.workers)

    def worker(self, make_work, parts, stopping):
        worker = self.workers[self.given % len(self.workers)]
        self.given += 1
        worker.work, worker.parts = make_work(), parts
        return worker

    def close(self):
        self.closed = True


class Worker:
    """Does leases; the first one ends as it is told to."""

    def __init__(self, first="well", settings_hash="stub", waits=0):
        self.first, self.settings_hash, self.waits, self.closed = first, settings_hash, waits, False

    def ready(self):
        self.waits -= 1
        return None if self.waits >= 0 else Hello(self.settings_hash, self.work.width)

    def run(self, lease):
        first, self.first = self.first, "well"
        if first == "stopped":
            raise Stopped
        if first == "full":
            raise OSError(28, "No space left on device")
        part = Part(self.parts, f"{lease.id}-0.jsonl", self.settings_hash)
        done = list(_answers(self.work, lease))[: 1 if first == "gone" else None]
        for each in done:
            part.add(lease.rows[each.place], each.answer)
        commit = part.write()
        return None if first == "gone" else Ended((commit,))

    def close(self):
        self.closed = True


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    monkeypatch.setattr(drive, "LOOK_SECONDS", 0.01)


def test_a_worker_without_a_place_is_asked_again(tmp_path):
    rows, engine = rows_named(["quick"] * 30), Threads(Worker(waits=3), Worker(waits=5))
    assert do(tmp_path, rows, engine=engine) == 30
    assert merged(tmp_path) == expected(rows)
    assert engine.closed
    assert all(worker.closed for worker in engine.workers)


def test_a_worker_that_never_gets_a_place_keeps_nobody_waiting(tmp_path):
    rows, engine = rows_named(["quick"] * 30), Threads(Worker(), Worker(waits=1_000_000))
    assert do(tmp_path, rows, engine=engine) == 30
    assert merged(tmp_path) == expected(rows)
    assert engine.workers[1].closed


def test_what_a_worker_wrote_before_it_was_lost_counts_and_the_rest_is_done_again(tmp_path):
    rows, seen = rows_named(["quick"] * 30), []

    class Counts(stubs.Stub):
        def __call__(self, row, known):
            seen.append(row.uri)
            return super().__call__(row, known)

    metrics = tmp_path / "metrics.prom"
    do(tmp_path / "run", rows, engine=Threads(Worker("gone")), make=Counts, metrics=metrics)
    assert merged(tmp_path / "run") == expected(rows)
    assert seen.count(seen[0]) == 1, "its line was there"
    told = metrics.read_text()
    assert "unmask_worker_losses_total 1\n" in told
    assert 'unmask_rows_total{status="ok"} 30\n' in told


def test_workers_that_do_not_agree_end_the_run_and_all_its_workers(tmp_path):
    engine = Threads(Worker(), Worker(settings_hash="other"))
    with pytest.raises(UsageError, match="one has the settings other, another stub; let all machines have the same"):
        do(tmp_path, rows_named(["sleep-0.02"] * 200), engine=engine)
    assert engine.closed
    assert all(worker.closed for worker in engine.workers)


def test_a_full_disk_ends_the_run_and_a_later_one_goes_on(tmp_path):
    rows = rows_named(["quick"] * 30)
    with pytest.raises(OSError, match="No space left"):
        do(tmp_path, rows, engine=Threads(Worker("full"), Worker()))
    do(tmp_path, rows, engine=Threads(Worker()), resume=True)
    assert merged(tmp_path) == expected(rows)


def test_a_worker_that_is_stopped_is_no_error(tmp_path):
    engine = Threads(Worker("stopped"))
    do(tmp_path, rows_named(["quick"] * 3), engine=engine)
    assert engine.workers[0].closed
    with pytest.raises(UsageError, match="3 of 3 rows have no result yet"):
        merged(tmp_path)


def test_a_work_that_cannot_be_loaded_gives_up_the_engine(tmp_path):
    engine = Threads(Worker())

    def fail():
        raise UsageError("there is no such model")

    with pytest.raises(UsageError, match="no such model"):
        do(tmp_path, rows_named(["quick"]), engine=engine, make=fail)
    assert engine.closed
