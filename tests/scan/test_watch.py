"""A folder is watched: what arrives is judged once, also after an interruption."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from random import Random
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from tests.web.stub import PICTURE, StubScanner
from unmask import UsageError, Verdict
from unmask.cli import app
from unmask.scan.watch import POLL_SECONDS, Watch


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def put(path, text):
    path.write_bytes(PICTURE + b"stub:" + text.encode())
    return path


def watch(folder, **options):
    scanner = StubScanner(str(folder.parent / "log"), workers=1, **options)
    return Watch(scanner, folder, folder.parent / "out")


def look(watched):
    return [(os.path.basename(row["path"]), row["status"]) for row in watched.look(0)]


def begun(folder):
    return [line[6:] for line in (folder.parent / "log").read_text().splitlines() if line.startswith("begin")]


def test_what_arrives_is_judged_once(folder):
    with watch(folder) as watched:
        assert look(watched) == []
        put(folder / "a.mp4", "a")
        assert look(watched) == [("a.mp4", "ok")]
        put(folder / "b.mp4", "b"), put(folder / "notes.txt", "no"), put(folder / ".c.mp4", "hidden")
        assert look(watched) == [("b.mp4", "ok")]
        assert look(watched) == []
        put(folder / "a.mp4", "another a")  # another content under an old name
        assert look(watched) == [("a.mp4", "ok")]
    assert begun(folder) == ["a", "b", "another a"]
    rows = [json.loads(line) for line in (folder.parent / "out" / "verdicts.jsonl").read_text().splitlines()]
    assert [Verdict.from_dict(row).label for row in rows] == ["real"] * 3
    assert {path.stem for path in (folder.parent / "out").glob("*.html")} == {row["sha256"] for row in rows}


def test_twins_that_arrive_together_have_a_row_each(folder):
    put(folder / "a.mp4", "a"), put(folder / "b.mp4", "a")
    with watch(folder) as watched:
        assert [os.path.basename(row["path"]) for row in watched.rows(once=True)] == ["a.mp4", "b.mp4"]
    assert begun(folder) == ["a"]


def test_it_goes_on_where_it_was(folder):
    put(folder / "a.mp4", "a")
    with watch(folder) as watched:
        look(watched)
    put(folder / "b.mp4", "b")
    with watch(folder) as watched:
        assert look(watched) == [("b.mp4", "ok")]
    with watch(folder, name="another model") as watched:
        assert look(watched) == [("a.mp4", "ok"), ("b.mp4", "ok")]
    assert begun(folder) == ["a", "b", "a", "b"]


def test_the_same_content_is_not_judged_again(folder):
    put(folder / "a.mp4", "a"), put(folder / "b.mp4", "a")
    with watch(folder) as watched:
        assert look(watched) + look(watched) == [("a.mp4", "ok"), ("b.mp4", "ok")]
        shutil.copy(folder / "a.mp4", folder / "c.mp4")
        assert look(watched) == [("c.mp4", "ok")]
    with watch(folder) as watched:
        assert look(watched) == []
    assert begun(folder) == ["a"]


def test_what_cannot_be_judged_gets_one_row_too(folder):
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "noise.mp4").write_bytes(Random(0).randbytes(1000))
    with watch(folder) as watched:
        assert look(watched) == [("empty.mp4", "unreadable"), ("noise.mp4", "unreadable")]
        assert look(watched) == []
    with watch(folder) as watched:
        assert look(watched) == []
        put(folder / "empty.mp4", "not any more")
        assert look(watched) == [("empty.mp4", "ok")]


def test_a_file_that_still_grows_is_waited_for(folder):
    with watch(folder) as watched:
        for text in ("a", "aa", "aaa"):
            put(folder / "a.mp4", text)
            assert list(watched.look(60)) == []
        watched._seen = {path: (facts, since - 61) for path, (facts, since) in watched._seen.items()}
        assert [row["status"] for row in watched.look(60)] == ["ok"]
    assert begun(folder) == ["aaa"]


def test_it_looks_again_after_a_pause_until_it_is_ended(folder, monkeypatch):
    pauses = []

    def sleep(seconds):
        pauses.append(seconds)
        if len(pauses) == 3:
            raise KeyboardInterrupt
        put(folder / f"{len(pauses)}.mp4", f"{len(pauses)}")

    monkeypatch.setattr("unmask.scan.watch.time", SimpleNamespace(sleep=sleep, monotonic=time.monotonic))
    monkeypatch.setattr("unmask.scan.watch.SETTLE_SECONDS", 0.0)
    seen = []
    with watch(folder) as watched, pytest.raises(KeyboardInterrupt):
        seen.extend(os.path.basename(row["path"]) for row in watched.rows())
    assert pauses == [POLL_SECONDS] * 3
    assert begun(folder) == ["1", "2"]


def test_what_is_gone_before_it_is_judged_has_no_row(folder, monkeypatch):
    put(folder / "a.mp4", "a")
    with watch(folder) as watched:
        monkeypatch.setattr("unmask.scan.watch._facts", lambda _: None)
        assert look(watched) == []


def test_wrong_use(folder):
    with pytest.raises(UsageError, match="is no folder"):
        Watch(StubScanner("log"), folder / "nowhere", folder.parent / "out")
    with watch(folder), pytest.raises(UsageError, match="another run is writing"):
        watch(folder)


def test_the_command(folder, short_clips):
    shutil.copy(short_clips["blended"], folder / "clip.mp4")
    out = folder.parent / "out"
    done = CliRunner().invoke(app, ["watch", str(folder), "--out", str(out), "--once", "--frames", "4", "-q"])
    assert done.exit_code == 0, done.output
    assert done.stdout.split()[2] == str(folder / "clip.mp4")
    shutil.copy(folder / "clip.mp4", folder / "twin.mp4")
    (folder / "notes.txt").write_text("no")
    again = CliRunner().invoke(app, ["watch", str(folder), "--out", str(out), "--once", "--frames", "4"])
    assert again.exit_code == 0
    assert again.stdout.split()[2] == str(folder / "twin.mp4")
    assert "passed over: 1 other file (.txt)" in again.stderr
    assert CliRunner().invoke(app, ["watch", str(folder / "no"), "--out", str(out), "--once"]).exit_code == 2


@pytest.mark.slow
def test_a_watch_that_is_killed_or_asked_to_end_goes_on(folder, short_clips):
    out = folder.parent / "out"
    command = [sys.executable, "-m", "unmask", "watch", str(folder), "--out", str(out), "--frames", "2", "-q"]
    shutil.copy(short_clips["authentic"], folder / "a.mp4")
    for name, number, code in (("a", signal.SIGKILL, -9), ("b", signal.SIGTERM, 143)):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert f"/{name}.mp4" in process.stdout.readline()
        process.send_signal(number)
        assert process.wait(60) == code
        process.stdout.close()
        shutil.copy(short_clips["blended"], folder / "b.mp4")
    rows = [json.loads(line)["path"] for line in (out / "verdicts.jsonl").read_text().splitlines()]
    assert rows == [str(folder / "a.mp4"), str(folder / "b.mp4")]
