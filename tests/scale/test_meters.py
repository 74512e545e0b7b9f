"""What a run tells of itself: the line for people and the file for Prometheus, in imagined time."""

import pytest

from unmask.scale import meters as module
from unmask.scale.lease import Leases, Planned
from unmask.scale.meters import Meters
from unmask.scale.rows import Ended, Row, Spent


class Clock:
    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def leases_of(count):
    return Leases([Planned(Row(str(n), str(n)), 2.0) for n in range(count)], count, 2.0 * count, 1)


def answer(leases, meters, statuses, **how):
    """Have the next rows done, one lease each."""
    for status in statuses:
        lease = leases.take()
        missing = tuple(range(1, len(lease.rows)))
        ended = Ended(({"rows": [["id", "", status, 5, 9]]},), missing, spent=Spent(1.5, 4_000_000), **how)
        leases.end(lease, ended)
        meters.count(ended)


def test_a_line_says_how_fast_it_goes_what_failed_and_how_long_it_will_take(clock):
    leases, lines = leases_of(20), []
    meters = Meters(20, lines.append)
    meters.workers = 3
    meters.show(leases)
    clock.now += 10
    assert meters.line(leases).endswith("; none failed; time left unknown")
    answer(leases, meters, ["ok", "same", "unreadable", "unreadable", "crashed"])
    clock.now += 40
    meters.show(leases)
    assert lines == [], "a minute is not over"
    clock.now += 10
    meters.show(leases)
    meters.show(leases)
    assert lines == [
        "5 rows done, 15 left; 0.1 rows/s, 1.50 CPU-s a row, 0.3 MB/s; 3 workers; 2 unreadable, 1 crashed; 3 min left"
    ]
    answer(leases, meters, ["ok"] * 15)
    clock.now += 60
    meters.show(leases)
    assert lines[1].startswith("20 rows done, 0 left; 0.2 rows/s, 1.50 CPU-s a row, ")
    assert lines[1].endswith("; 0 s left")


def test_the_time_left_is_guessed_from_the_last_ten_minutes(clock):
    leases = leases_of(100)
    meters = Meters(100, lambda _: None)
    meters.show(leases)
    answer(leases, meters, ["ok"] * 50)
    for _ in range(11):
        clock.now += 60
        meters.show(leases)
    answer(leases, meters, ["ok"] * 2)
    clock.now += 60
    meters.show(leases)
    assert meters.line(leases).endswith("; none failed; 4 h 0 min left"), "48 rows of which two took ten minutes"


def test_the_file_has_all_counts_and_is_written_every_ten_seconds(clock, tmp_path):
    leases, path = leases_of(8), tmp_path / "metrics.prom"
    meters = Meters(8, lambda _: None, path)
    meters.show(leases)
    clock.now += 9.9
    meters.show(leases)
    assert not path.exists()
    clock.now += 0.1
    answer(leases, meters, ["ok"])
    answer(leases, meters, ["crashed"], suspects=(0,))
    answer(leases, meters, ["ok"], lost=True)
    meters.show(leases)
    first = path.read_text()
    told = dict(line.rsplit(" ", 1) for line in first.splitlines() if not line.startswith("#"))
    assert told == {
        'unmask_rows_total{status="crashed"}': "1", 'unmask_rows_total{status="ok"}': "2", "unmask_manifest_rows": "8",
        "unmask_rows_left": "5", "unmask_rows_per_second": "0.3", "unmask_cpu_seconds_total": "4.5",
        "unmask_bytes_total": "12000000", "unmask_workers": "0", "unmask_worker_deaths_total": "1",
        "unmask_worker_losses_total": "1", "unmask_rows_returned_total": f"{leases.returned_rows}",
        "unmask_seconds_left": f"{10 / 6 * 10:.10g}",
    }  # fmt: skip
    assert "# TYPE unmask_rows_total counter\n" in first
    assert "# TYPE unmask_rows_left gauge\n" in first
    answer(leases, meters, ["ok"])
    meters.show(leases)
    assert path.read_text() == first
    meters.show(leases, at_once=True)
    assert 'unmask_rows_total{status="ok"} 3\n' in path.read_text()


def test_nothing_is_guessed_before_anything_is_known(clock):
    meters = Meters(1, lambda _: None)
    clock.now += 1
    assert "\nunmask_seconds_left " not in meters.text(leases_of(1))


def test_a_clock_that_stands_still_ends_nothing(clock):
    leases, meters = leases_of(3), Meters(3, print)
    answer(leases, meters, ["ok"])
    assert meters.line(leases).startswith("1 rows done, 2 left; ")
    assert "unmask_rows_per_second" in meters.text(leases)
