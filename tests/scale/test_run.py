"""Runs with processes of this machine: nothing is lost and nothing done twice, whatever dies."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from tests.scale import stubs
from tests.scale.runs import do, expected, kill_workers, merged, rows_named
from unmask.errors import UsageError
from unmask.scale.engines import LocalEngine
from unmask.scale.index import Index
from unmask.scale.manifest import write_manifest
from unmask.scale.merge import Merge
from unmask.scale.parts import CommitLog, Part, read_commits
from unmask.scale.plan import Shard
from unmask.scale.rows import Answer, Row
from unmask.scale.run import Run
from unmask.storage.atomic import atomic_file

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")

ROOT = Path(__file__).parents[2]


def commits(folder):
    lines = [
        line for log in sorted((Path(folder) / "commits").glob("*.jsonl")) for line in log.read_text().splitlines()
    ]
    return [json.loads(line) for line in lines]


def test_one_row_for_each_in_their_order_and_none_again(tmp_path):
    rows, lines = rows_named(["quick"] * 300), []
    metrics = tmp_path / "metrics.prom"
    assert do(tmp_path / "run", rows, say=lines.append, metrics=metrics) == 300
    assert merged(tmp_path / "run") == expected(rows)
    assert 'unmask_rows_total{status="ok"} 300\n' in metrics.read_text()
    assert "unmask_rows_left 0\n" in metrics.read_text()
    known = commits(tmp_path / "run")
    assert do(tmp_path / "run", rows, resume=True) == 0
    assert commits(tmp_path / "run") == known, "what is done is not committed again"
    assert do(tmp_path / "run", rows + rows_named(["quick"] * 301)[-1:], resume=True) == 1
    with pytest.raises(UsageError, match="--resume"):
        do(tmp_path / "run", rows)


def test_shards_share_a_folder_and_give_the_same_bytes(tmp_path):
    rows = rows_named(["quick"] * 100)
    for number in (2, 1, 3):
        assert do(tmp_path, rows, engine=LocalEngine(1), shard=Shard(number, 3)) in (33, 34)
        if number != 3:
            with pytest.raises(UsageError, match=r"rows have no result yet, e\.g\. /in/"):
                merged(tmp_path)
    assert merged(tmp_path) == expected(rows)
    assert do(tmp_path, rows, resume=True) == 0, "one process goes on with what shards did"


def test_shards_that_begin_at_once_share_a_manifest(tmp_path):
    rows, folder = rows_named(["quick"] * 10), tmp_path / "run"

    def write(path):
        """Write the manifest of the first shard; halfway, the second one begins and ends."""
        with atomic_file(path):
            assert do(folder, rows, engine=LocalEngine(1), shard=Shard(2, 2)) == 5
        return write_manifest(rows_named(["slow"] * 10), path)

    manifest = Run(folder).prepare(write, resume=False, shard=Shard(1, 2))
    assert [row.name for row in manifest.rows()] == ["quick"] * 10, "the first to end wins"
    assert do(folder, rows, engine=LocalEngine(1), shard=Shard(1, 2)) == 5
    assert merged(folder) == expected(rows)


def test_three_poison_files_cost_two_workers_each_and_their_own_rows(tmp_path):
    names = ["quick"] * 60
    names[7], names[30], names[55] = "segfault", "exit", "segfault-again"
    rows = rows_named(names)
    metrics = tmp_path / "metrics.prom"
    do(tmp_path / "run", rows, metrics=metrics)
    lines = merged(tmp_path / "run").splitlines()
    for row, line in zip(rows, lines, strict=True):
        poison = row.name != "quick"
        assert line == stubs.line_of(row, "crashed" if poison else "ok")
    assert "unmask_worker_deaths_total 6\n" in metrics.read_text()


def test_rows_under_way_together_are_suspects_together(tmp_path):
    rows = rows_named(["quick"] * 20 + ["exit"] + ["quick"] * 20)
    do(tmp_path, rows, engine=LocalEngine(1), make=stubs.make(width=4))
    statuses = [json.loads(line)["status"] for line in merged(tmp_path).splitlines()]
    assert statuses == ["ok"] * 20 + ["crashed"] + ["ok"] * 20


@pytest.mark.slow
def test_a_worker_that_hangs_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr("unmask.scale.worker.PATIENCE_SECONDS", 3.0)
    do(tmp_path, rows_named(["quick", "hang", "quick"]), engine=LocalEngine(1))
    assert [json.loads(line)["status"] for line in merged(tmp_path).splitlines()] == ["ok", "crashed", "ok"]


def disturbed(folder, count, row_seconds, kill_seconds, seed=0):
    rows, stop, killed = rows_named([f"sleep-{row_seconds}"] * count), threading.Event(), []
    killer = kill_workers(folder, stop, kill_seconds, seed, killed)
    try:
        do(folder, rows)
    finally:
        stop.set()
        killer.join(60)
    assert merged(folder) == expected(rows)
    answered = [row[0] for commit in commits(folder) for row in commit["rows"]]
    assert (len(answered), len(set(answered))) == (count, count)
    return len(killed)


def test_workers_are_killed_again_and_again(tmp_path):
    assert disturbed(tmp_path, count=150, row_seconds=0.02, kill_seconds=0.8) >= 1


@pytest.mark.kills
def test_a_worker_is_killed_every_five_seconds_for_ten_minutes(tmp_path):
    assert disturbed(tmp_path, count=24_000, row_seconds=0.05, kill_seconds=5.0) >= 100


def drive_and_kill(folder, count, row_seconds, moments, seed):
    """Kill drivers at random moments, until so many were hit; then let one end."""
    rng, killed = random.Random(seed), 0
    command = [sys.executable, "-m", "tests.scale.runs", str(folder), str(count), str(row_seconds)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])}
    while True:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
        if killed < moments:
            until = time.monotonic() + 60
            before = sum(1 for _ in folder.glob("parts/*/*"))
            while (
                process.poll() is None
                and sum(1 for _ in folder.glob("parts/*/*")) <= before
                and time.monotonic() < until
            ):
                time.sleep(0.02)
            time.sleep(rng.uniform(0, 0.3))
            process.kill()
        if process.wait() == 0:
            return killed
        assert process.returncode == -signal.SIGKILL
        killed += 1


@pytest.mark.slow
def test_what_a_lost_driver_has_is_taken_up(tmp_path):
    assert drive_and_kill(tmp_path / "run", 120, 0.01, moments=2, seed=1) >= 1
    assert merged(tmp_path / "run") == expected(rows_named(["sleep-0.01"] * 120))


@pytest.mark.kills
def test_drivers_are_killed_at_fifty_moments(tmp_path):
    killed, number = 0, 0
    while killed < 50:
        folder = tmp_path / str(number)
        killed += drive_and_kill(folder, 400, 0.02, moments=min(8, 50 - killed), seed=number)
        assert merged(folder) == expected(rows_named(["sleep-0.02"] * 400))
        number += 1


def test_parts_that_nobody_committed_are_adopted(tmp_path):
    rows = rows_named(["quick"] * 50)
    do(tmp_path, rows)
    (log,) = (tmp_path / "commits").iterdir()
    whole = log.read_bytes()
    log.write_bytes(whole[: len(whole) // 2])  # torn in a line
    index = Index("stub")
    read_commits(tmp_path, index)
    assert len(index) < 50
    assert do(tmp_path, rows, resume=True) == 0
    assert merged(tmp_path) == expected(rows)


def test_a_part_under_another_name_does_not_count(tmp_path):
    rows = rows_named(["quick"] * 20)
    do(tmp_path, rows, engine=LocalEngine(1))
    (log,) = (tmp_path / "commits").iterdir()
    log.unlink()
    first = sorted((tmp_path / "parts" / "1-of-1").iterdir())[0]
    first.rename(first.with_name(f"x{first.name}"))
    assert do(tmp_path, rows, engine=LocalEngine(1), resume=True) >= 1
    assert merged(tmp_path) == expected(rows)


def test_a_part_that_is_cut_short_does_not_count(tmp_path):
    rows = rows_named(["quick"] * 20)
    do(tmp_path, rows)
    (log,) = (tmp_path / "commits").iterdir()
    log.unlink()
    part = next((tmp_path / "parts" / "1-of-1").iterdir())
    part.write_bytes(part.read_bytes()[:-10])
    assert do(tmp_path, rows, resume=True) >= 1
    assert merged(tmp_path) == expected(rows)


DAMAGED = {
    "nothing": lambda line: line,
    "an identity": lambda line: line.replace(Row("a.mp4", "a.mp4").id.hex(), "00"),
    "a hash": lambda line: line.replace("0" * 64, "0" * 20),
    "a number": lambda line: line.replace(",-1,", ',"x",'),
    "a large number": lambda line: line.replace(",-1,", f",{1 << 70},"),
    "a negative length": lambda line: line.replace(",12]", ",-12]"),
    "a cell": lambda line: line.replace(",12]", ",12,13]"),
    "its rows": lambda line: line.replace("rows", "lines"),
    "its form": lambda line: "[" * 100_000,
}
"""What is damaged of a commit, and how."""


@pytest.mark.parametrize("what", DAMAGED)
def test_a_damaged_commit_is_passed_over_whole(tmp_path, what):
    """Half a row in the index made all of the run unreadable."""
    part = Part(tmp_path, "0-0.jsonl", "h")
    row = Row("a.mp4", "a.mp4")
    part.add(row, Answer("0" * 64, "ok", b"x" * 12))
    line = json.dumps(part.write(), separators=(",", ":"))
    (tmp_path / "commits").mkdir()
    (tmp_path / "commits" / "other.jsonl").write_text(f"{DAMAGED[what](line)}\n")
    index = Index()
    read_commits(tmp_path, index)
    assert index.sealed().find(np.array([row.id], "S16")).tolist() == [0 if what == "nothing" else -1]


def test_one_driver_at_a_time_does_a_shard(tmp_path):
    rows = rows_named(["quick"] * 3)
    do(tmp_path, rows)
    with CommitLog(tmp_path, "1-of-1"), pytest.raises(UsageError, match="another run"):
        do(tmp_path, rows, resume=True)


def test_rows_of_other_settings_are_done_again(tmp_path):
    rows, lines = rows_named(["quick"] * 5), []
    do(tmp_path, rows)
    with pytest.raises(UsageError, match="begun with other models or settings"):
        do(tmp_path, rows, make=stubs.make("other"), shard=Shard(1, 2))
    assert do(tmp_path, rows, make=stubs.make("other"), resume=True, say=lines.append) == 5
    assert lines == ["5 rows were made with other models or settings; they are done again"]


def test_a_renamed_file_is_known_by_its_content(tmp_path):
    rows = rows_named(["quick"] * 5)
    do(tmp_path, rows)
    renamed = [type(row)(f"/new{row.uri}", row.name, row.size_bytes, row.version) for row in rows]
    assert do(tmp_path, renamed, resume=True) == 5
    assert merged(tmp_path) == expected(renamed), "each line has the name that its file has now"
    (first, second) = commits(tmp_path)[0]["rows"][0], commits(tmp_path)[-1]["rows"][0]
    assert first[4] > 0
    assert second[4] == 0, "no second line was made"
    assert Merge(Run(tmp_path).manifest, Run(tmp_path).index()).statuses == {"ok": 5}


@pytest.mark.parametrize("workers", [1, 2])
def test_the_same_content_twice_in_a_run_is_worked_on_once(tmp_path, workers):
    names = ["quick"] * 200
    rows = [Row(f"/in/{number}", name, 1000 + number % 100, str(number % 100)) for number, name in enumerate(names)]
    assert do(tmp_path, rows, engine=LocalEngine(workers)) == 200
    assert merged(tmp_path) == expected(rows)
    lengths = [row[4] for commit in commits(tmp_path) for row in commit["rows"]]
    assert (len(lengths), sum(length > 0 for length in lengths)) == (200, 100)


def test_rows_of_one_length_and_other_content_have_their_own_lines(tmp_path):
    rows = [Row(f"/in/{number}", "quick", 1000, str(number)) for number in range(40)]
    do(tmp_path, rows)
    assert merged(tmp_path) == expected(rows)
    assert all(row[4] > 0 for commit in commits(tmp_path) for row in commit["rows"])


def test_objects_of_a_store_are_not_fetched_to_be_compared(tmp_path):
    rows = [Row(f"s3://bucket/{number}", "quick", 1000, "the same") for number in range(40)]
    do(tmp_path, rows, engine=LocalEngine(1))
    assert all(row[4] > 0 for commit in commits(tmp_path) for row in commit["rows"])


def test_a_crash_is_tried_again_by_a_later_run(tmp_path):
    rows = rows_named(["exit"])
    do(tmp_path, rows)
    assert b"crashed" in merged(tmp_path)
    assert do(tmp_path, rows, resume=True) == 1


def fail():
    raise UsageError("there is no such model")


def test_a_work_that_cannot_be_loaded_ends_the_run(tmp_path):
    with pytest.raises(UsageError, match="no such model"):
        do(tmp_path, rows_named(["quick"]), make=fail)


def test_a_folder_of_others_is_refused(tmp_path):
    (tmp_path / "diary.txt").write_text("mine")
    with pytest.raises(UsageError, match="no run at scale"):
        do(tmp_path, rows_named(["quick"]))


@pytest.mark.parametrize("text", ["0/8", "9/8", "3", "a/b", "1/0", "-1/2"])
def test_shards_that_make_no_sense(text):
    with pytest.raises(UsageError, match="I from 1 to N"):
        Shard.parse(text)
