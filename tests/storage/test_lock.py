import errno
import os
import subprocess
import sys

import pytest

from unmask.errors import UsageError
from unmask.storage import lock as module
from unmask.storage.lock import lock_file, sole_writer


def test_one_writer_at_a_time(tmp_path):
    output = tmp_path / "s.csv"
    with sole_writer(output):
        with pytest.raises(UsageError, match=r"another run is writing .*s\.csv; wait for it"), sole_writer(output):
            pass
        assert not output.exists()
    with sole_writer(output):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_locked_until_it_is_closed(tmp_path):
    file = lock_file(tmp_path / "log")
    with pytest.raises(UsageError, match="another run is writing"):
        lock_file(tmp_path / "log")
    file.close()
    lock_file(tmp_path / "log").close()


def test_a_folder_that_is_missing_is_reported(tmp_path):
    with pytest.raises(UsageError, match=r"cannot write .*No such file or directory; mend that"):
        lock_file(tmp_path / "missing" / "log")


@pytest.mark.parametrize("what", ["replaced", "deleted"])
def test_a_file_that_its_holder_replaces_or_deletes_is_opened_anew(tmp_path, monkeypatch, what):
    path, lock, tries = tmp_path / "log", module._lock, []

    def late(file):
        tries.append(file)
        if len(tries) == 1 and what == "replaced":
            (tmp_path / "new").write_bytes(b"new")
            (tmp_path / "new").replace(path)
        elif len(tries) == 1:
            path.unlink()
        lock(file)

    monkeypatch.setattr(module, "_lock", late)
    with lock_file(path) as file:
        assert file.read() == (b"new" if what == "replaced" else b"")
        assert os.fstat(file.fileno()).st_ino == path.stat().st_ino
    assert len(tries) == 2
    assert tries[0].closed


@pytest.mark.skipif(sys.platform == "win32", reason="flock is not Windows's")
def test_a_file_system_without_locks_is_warned_of(tmp_path, monkeypatch, caplog):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    with sole_writer(tmp_path / "s.csv"):
        pass
    assert "this file system knows no locks (No locks available)" in caplog.text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("start", ["x" * 60, "x" * 200, "\u00e9" * 100], ids=["60 letters", "200", "200 bytes"])
def test_outputs_whose_names_begin_alike_do_not_lock_each_other_out(tmp_path, start):
    with sole_writer(tmp_path / f"{start}1.csv"), sole_writer(tmp_path / f"{start}2.csv"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_goes_with_the_next_one(tmp_path):
    (tmp_path / ".s.csv.0123456789abcdef.tmp").touch()
    (tmp_path / ".t.csv.0123456789abcdef.tmp").touch()  # another output's, which may be under way
    with sole_writer(tmp_path / "s.csv"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == [".t.csv.0123456789abcdef.tmp"]


@pytest.mark.skipif(sys.platform == "win32", reason="a process is started in one step there")
def test_what_was_started_meanwhile_does_not_hold_the_lock(tmp_path):
    """Between fork and exec a new process has all files, which other threads may close and open again."""
    with lock_file(tmp_path / "log") as file:
        file.write(b"kept")
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[file.fileno()])
    try:
        with lock_file(tmp_path / "log") as again:
            assert again.read() == b"kept"
    finally:
        child.communicate(timeout=60)
