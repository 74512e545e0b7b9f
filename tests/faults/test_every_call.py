"""Every write, fsync, rename and opening for writing goes wrong in turn: outputs are old or new, and a run goes on.

python -m pytest tests/faults/test_every_call.py -m kills      # all of them, an hour
"""

import shutil
import sys
from dataclasses import replace
from importlib.util import find_spec

import pytest

from tests.faults.every_call import run
from tests.faults.workloads import WORKLOADS, StubScanner, write_clips
from unmask.scan.inputs import list_inputs
from unmask.scan.journal import Journal
from unmask.scan.resume import scan_rows

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the calls of Linux"),
    pytest.mark.skipif(shutil.which("cc") is None, reason="there is no compiler for the shim"),
]
NEEDS = {"serve": ("fastapi", "httpx"), "train": ("torch", "timm")}
FEW = {"scan": 181, "merge": 67, "prepare": 172, "serve": 230}
"""Workload -> of how many points one is tried in the normal run."""


def try_points(name, step, first):
    if missing := [package for package in NEEDS.get(name, ()) if find_spec(package) is None]:
        pytest.skip(f"{missing[0]} is not installed")
    outcome = run(name, step, first)
    print(outcome)
    assert outcome["tried"] >= 2
    assert outcome["wrong"] == []


@pytest.mark.parametrize("name", FEW)
def test_outputs_are_old_or_new_and_a_run_goes_on(name):
    try_points(name, FEW[name], FEW[name] // 2)


@pytest.mark.kills
@pytest.mark.timeout(6000)
@pytest.mark.parametrize("name", WORKLOADS)
def test_outputs_are_old_or_new_whichever_call_goes_wrong(name):
    try_points(name, 1, 0)


@pytest.mark.parametrize(("name", "rounds"), [
    ("tables", 4), *(pytest.param(name, 250, marks=pytest.mark.kills) for name in ("tables", "at scale")),
])  # fmt: skip
@pytest.mark.timeout(6000)
def test_two_at_a_time_lose_and_double_nothing(name, rounds):
    outcome = run(name, "rounds", rounds)
    print(outcome)
    assert outcome["rounds"] == rounds
    assert outcome["wrong"] == []


@pytest.mark.parametrize(("clips", "step"), [(2, 13), pytest.param(3, 1, marks=pytest.mark.kills)])
def test_a_journal_that_is_cut_anywhere_is_gone_on_with(tmp_path, clips, step):
    """What has a whole line is not scanned again; the rest is, and all rows are as if nothing had happened."""
    scanned = []

    class Counting(StubScanner):
        def _scan(self, path, stopping):
            scanned.append(path)
            return replace(super()._scan(path, stopping), reasons=("Short.",))  # so that there are few bytes

    def rows(journal):
        with journal:
            found = list(scan_rows(scanner, items, journal, scanner.limits))
        return [row | {"scanned_at": "", "elapsed_seconds": 0} for row in found]

    scanner, path = Counting(), tmp_path / "o.jsonl.partial"
    items = tuple(list_inputs([write_clips(tmp_path / "clips", clips)]))
    whole = rows(Journal(path, scanner.settings_hash))
    data = path.read_bytes()
    for length in [*range(0, len(data), step), len(data)]:
        path.write_bytes(data[:length])
        scanned.clear()
        assert rows(Journal(path, scanner.settings_hash, resume=True)) == whole
        lines = data[: length + 1].count(b"\n")  # a line that lacks nothing but its end counts
        assert len(scanned) == len(items) - lines
