"""Runs that are killed, interrupted and asked to end: nothing done is lost, nothing goes on without them."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.faults.processes import contents, left_running, start, wait_for

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")

CLIPS, WORKERS = 8, 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory, short_clips):
    """Clips of equal length, and one that is broken."""
    folder = tmp_path_factory.mktemp("videos")
    for number in range(CLIPS):
        shutil.copy(list(short_clips.values())[number % 2], folder / f"{number}.mp4")
    (folder / "broken.mp4").write_bytes(b"not a video")
    return folder


def scan(folder, out, *more, **options):
    outputs = ["--json", out / "o.jsonl", "--csv", out / "s.csv", "--html", out / "report"]
    args = ["scan", folder, *outputs, "--frames", 4, "--workers", WORKERS, *more]
    return start(*args, mark=out / "mark", **options)


def run(*args, **options):
    process = scan(*args, **options)
    _, talk = process.communicate(timeout=120)
    return process.returncode, talk


@pytest.fixture(scope="module")
def undisturbed(folder, tmp_path_factory):
    """The outputs of an undisturbed run, and the time from its first row to its end."""
    out = tmp_path_factory.mktemp("undisturbed")
    process = scan(folder, out)
    wait_for(lambda: rows(out), process)
    started = time.monotonic()
    process.communicate(timeout=120)
    assert process.returncode == 3
    return contents(out), time.monotonic() - started


def rows(out):
    """Whole lines of the journal."""
    journal = out / "o.jsonl.partial"
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


@pytest.mark.slow
def test_killed_and_resumed(folder, undisturbed, tmp_path):
    """A scan is killed at four random moments, and each time goes on: of what was done, nothing is done again."""
    kill_again_and_again(folder, undisturbed, tmp_path, moments=4)


@pytest.mark.kills
def test_killed_at_fifty_moments(folder, undisturbed, tmp_path):
    kill_again_and_again(folder, undisturbed, tmp_path, moments=50)


def assert_nothing_was_done_twice(out):
    """Each clip that could be read has one row in the journal; a torn last line does not count."""
    journal = out / "o.jsonl.partial"
    lines = journal.read_bytes().split(b"\n")[:-1] if journal.exists() else []
    parsed = [json.loads(line) for line in lines if line.endswith(b"}")]
    paths = [row["path"] for row in parsed if row["media"]]
    assert len(paths) == len(set(paths))


def kill_again_and_again(folder, undisturbed, tmp_path, moments):
    """Kill scans at random moments, from their first new row to their last output, until ``moments`` were hit.

    A scan goes on until it is done, then the next one begins. A row is in the journal as soon as it is there, and what
    has one is not done again: only what was under way is, at most one clip a worker.
    """
    expected, seconds = undisturbed
    rng, killed, begun = random.Random(moments), 0, 0
    while killed < moments:
        out = tmp_path / str(begun)
        out.mkdir()
        begun += 1
        while not is_done(out):
            delay = rng.uniform(0, seconds / 2) if killed < moments else None
            killed += go_on(folder, out, delay) == -signal.SIGKILL
        done = contents(out)
        assert {name: done.get(name) == expected[name] for name in expected} == dict.fromkeys(expected, True)


def is_done(out):
    return (out / "o.jsonl").exists() and not (out / "o.jsonl.partial").exists()


def go_on(folder, out, delay_seconds):
    """Go on with a scan; kill it some time after its first new row, or let it be; return how it ended."""
    before = rows(out)
    process = scan(folder, out, "--resume")
    if delay_seconds is not None:
        wait_for(lambda: rows(out) > before or (out / "o.jsonl").exists(), process)
        time.sleep(delay_seconds)
        process.kill()
    process.communicate(timeout=120)
    assert not left_running(out / "mark")
    assert_nothing_was_done_twice(out)
    assert process.returncode in (3, -signal.SIGKILL)
    return process.returncode


@pytest.mark.slow
def test_a_scan_ends_when_asked(folder, undisturbed, tmp_path):
    """With SIGTERM, and while a decoder hangs; `tests.cli.test_scan` does it with SIGINT."""
    process = scan(folder, tmp_path)
    wait_for(lambda: rows(tmp_path) and decoders(process, tmp_path / "mark"), process)
    for pid in decoders(process, tmp_path / "mark"):
        with suppress(ProcessLookupError):  # it has just done its work
            os.kill(pid, signal.SIGSTOP)
    assert_it_ends_when_asked(process, tmp_path / "mark")
    assert not (tmp_path / "o.jsonl").exists()
    assert (tmp_path / "o.jsonl.partial").read_bytes().endswith(b"\n")
    code, talk = run(folder, tmp_path, "--resume")
    assert (code, contents(tmp_path)) == (3, undisturbed[0]), talk


def assert_it_ends_when_asked(process, mark):
    """With SIGTERM: soon, saying how to go on, and nothing of it stays."""
    process.terminate()
    asked = time.monotonic()
    _, talk = process.communicate(timeout=60)
    assert time.monotonic() - asked < 10
    assert process.returncode == 143, talk
    assert "--resume goes on" in talk
    assert "Traceback" not in talk
    assert not left_running(mark)


def decoders(process, mark):
    """The processes that decode: the children of the scan's child."""
    servers = Path(f"/proc/{process.pid}").glob("task/*/children")
    inner = {int(pid) for file in servers for pid in file.read_text().split()}
    return set(left_running(mark, seconds=0)) - inner


@pytest.mark.slow
@pytest.mark.parametrize("command", ["explore", "prepare"])
def test_a_dataset_run_ends_when_asked(sample, tmp_path, command):
    """With SIGTERM; `tests.cli.test_datasets` does it with SIGINT."""
    out, log = tmp_path / "out", "explore.jsonl" if command == "explore" else "manifest.jsonl"
    process = start(command, sample, "--out", out, mark=tmp_path / "mark")
    wait_for(lambda: (out / log).exists() and (out / log).stat().st_size, process)
    assert_it_ends_when_asked(process, tmp_path / "mark")


def test_a_thread_that_does_not_end_is_cut_off():
    """A thread that waits for what never comes cannot delay the end."""
    hang = "import signal, threading, unmask.cli.console as c; c.GRACE_SECONDS = 0.5\n"
    hang += "threading.Thread(target=threading.Event().wait).start()\n"
    hang += "with c.interruptible('how'):\n    print('x', flush=True); threading.Event().wait()\n"
    process = subprocess.Popen([sys.executable, "-c", hang], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.readline()
    process.terminate()
    _, talk = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "unmask: interrupted; how" in talk
