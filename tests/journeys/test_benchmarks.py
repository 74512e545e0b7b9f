"""That the trend of the benchmarks tells noise from loss, and that each benchmark has a quick mode which is run."""

import importlib
import json
import re
import sys
from pathlib import Path

import pytest
from benchmarks import trend
from benchmarks.trend import Number, append, last_run, read, worse

BENCHMARKS = Path(trend.__file__).parent


def number(value, noise=0.0, *, date="2030-01-02", machine="m", name="seconds", at_most=True):
    return Number(date, "abc", machine, "scan", name, value, noise, at_most)


def test_a_run_is_the_median_of_its_repeats_and_their_range_its_noise():
    made = Number.of_repeats(("2030-01-01", "abc", "m"), "scan", "seconds", [3.0, 1.0, 1.5], at_most=True)
    assert (made.value, made.noise) == (1.5, 2.0)


@pytest.mark.parametrize(
    ("earlier", "now", "is_worse"),
    [
        ([number(10, 0.3)], number(10.4, 0.4), False),
        ([number(10, 0.3)], number(10.6, 0.4), True),
        ([number(10, 0.3)], number(5, 0.4), False),
        ([number(10, 3), number(10.2, 0.3), number(10.1, 0.3)], number(10.6, 0.4), False),
        ([number(10, 3), number(10.2, 0.3), number(10.1, 0.3)], number(10.7, 0.4), True),
        ([number(2, 0.1, at_most=False)], number(1.8, 0.1, at_most=False), True),
        ([number(2, 0.1, at_most=False)], number(2.5, 0.1, at_most=False), False),
        ([number(2, 0.0)], number(2.0, 0.0), False),
        ([number(1, machine="another")], number(9), False),
        ([number(1, name="MB")], number(9), False),
        ([], number(9), False),
    ],
)
def test_what_got_worse_by_more_than_its_noise_is_told(earlier, now, is_worse):
    assert [each.number for each in worse(earlier, [now])] == [now] * is_worse


def test_it_is_told_what_was_before():
    [told] = worse([number(10, 0.3)], [number(12, 0.4)])
    assert str(told) == "scan: seconds: 10 -> 12 (+2, noise 0.5)"
    [told] = worse([number(10, 0.3, at_most=False)], [number(8, 0.4, at_most=False)])
    assert str(told) == "scan: seconds: 10 -> 8 (-2, noise 0.5)"


def test_runs_are_added_to_the_file(tmp_path, monkeypatch, capsys):
    path = tmp_path / "new" / "trend.jsonl"
    assert read(path) == []
    first, second = number(1.234567, 0.0123456, date="2030-01-01"), number(2, 0.01)
    append(path, [first])
    append(path, [second])
    kept = number(1.2346, 0.012, date="2030-01-01")
    assert read(path) == [kept, second]
    assert last_run(read(path)) == ([kept], [second])
    monkeypatch.setattr(sys, "argv", ["trend.py", "--trend", str(path)])
    with pytest.raises(SystemExit) as end:
        trend.main()
    assert end.value.code == 1
    assert "1.235 -> 2" in capsys.readouterr().out
    append(path, [number(1.23, date="2030-01-03")])
    with pytest.raises(SystemExit) as end:
        trend.main()
    assert end.value.code == 0


@pytest.fixture
def first_impression(monkeypatch):
    """The module behind scripts/bench, imported as a script imports what lies beside it."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    for name in ("first_impression", "common", "trend"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield importlib.import_module("first_impression")
    for name in ("first_impression", "common", "trend"):
        sys.modules.pop(name, None)


def test_each_benchmark_has_a_quick_mode_that_is_run(first_impression):
    scripts = {path.stem.removeprefix("bench_"): path.read_text() for path in BENCHMARKS.glob("bench_*.py")}
    assert {bench.name for bench in first_impression.BENCHES} == scripts.keys()
    for name, text in scripts.items():
        assert re.search(r"(parser|Options)\(__doc__", text), f"bench_{name}.py does not know --quick"
        assert re.search(r"\.quick|clips_of\(", text), f"bench_{name}.py does nothing else with --quick"


def test_repeats_become_one_number(first_impression, tmp_path, monkeypatch):
    values = iter([2.0, 5.0, 3.0])

    def run(command, **_):
        goal = {"name": "P", "what": "seconds", "value": next(values), "at_most": True}
        Path(command[-1]).write_text(json.dumps({"million": {"goals": [goal]}, "cores": 2}))

    monkeypatch.setattr(first_impression.subprocess, "run", run)
    [found] = first_impression.measure(first_impression.Bench("x"), tmp_path, 3, ("2030-01-01", "abc", "m"))
    assert (found.name, found.value, found.noise, found.at_most) == ("P: seconds", 3.0, 3.0, True)
    absent = first_impression.Bench("y", needs=("no_such_module",))
    assert first_impression.measure(absent, tmp_path, 3, ("2030-01-01", "abc", "m")) == []
