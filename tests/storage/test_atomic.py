import errno
import os
import stat
import sys
from pathlib import Path

import pytest

from unmask.storage import atomic
from unmask.storage.atomic import (
    atomic_file,
    atomic_folder,
    is_device,
    is_output_fault,
    scratch_folder,
    sweep,
    sweep_beside,
    write_file,
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_whole_or_as_it_was(tmp_path):
    path = tmp_path / "a.txt"
    write_file(path, b"old")
    with pytest.raises(ZeroDivisionError), atomic_file(path) as file:  # noqa: PT012
        file.write(b"half")
        assert path.read_bytes() == b"old"
        raise ZeroDivisionError
    assert path.read_bytes() == b"old"
    write_file(path, b"new")
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.skipif(os.name != "posix", reason="links need a privilege on Windows")
def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "link").symlink_to("a.txt")
    write_file(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "a.txt").read_bytes() == b"new"


@pytest.mark.skipif(os.name != "posix", reason="there are no devices in the file system of Windows")
def test_devices_are_written_directly(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    write_file(fifo, b"content")
    assert os.read(reader, 100) == b"content"
    os.close(reader)
    assert stat.S_ISFIFO(fifo.stat().st_mode)
    assert is_device(fifo)
    assert is_device(type(fifo)("/dev/null"))
    assert not is_device(tmp_path)
    assert not is_device(tmp_path / "missing")


def test_a_folder_is_whole_or_as_it_was(tmp_path):
    path = tmp_path / "in" / "folder"
    with atomic_folder(path) as folder:
        (folder / "old").touch()
    with pytest.raises(ZeroDivisionError), atomic_folder(path) as folder:  # noqa: PT012
        (folder / "new").touch()
        raise ZeroDivisionError
    assert names(path) == ["old"]
    with atomic_folder(path) as folder:
        (folder / "new").touch()
    assert names(path) == ["new"]
    assert names(path.parent) == ["folder"]


@pytest.mark.parametrize("writer", [atomic_file, atomic_folder])
def test_a_disk_that_takes_no_more_is_told_from_one_that_gives_no_more(tmp_path, writer):
    with pytest.raises(OSError, match="Input/output") as caught, writer(tmp_path / "a"):
        raise OSError(errno.EIO, os.strerror(errno.EIO))  # as of a write, which names no file
    assert is_output_fault(caught.value, tmp_path)
    assert not is_output_fault(caught.value, tmp_path / "elsewhere")
    assert is_output_fault(OSError(errno.ENOSPC, "full"), tmp_path)
    assert not is_output_fault(OSError(errno.EIO, "read"), tmp_path)
    assert not is_output_fault(ValueError(), tmp_path)


def test_a_scratch_folder_goes_unless_it_was_renamed(tmp_path):
    with scratch_folder(tmp_path) as folder:
        (folder / "a").touch()
    assert names(tmp_path) == []
    with scratch_folder(tmp_path) as folder:
        folder.rename(tmp_path / "kept")
    assert names(tmp_path) == ["kept"]


def test_only_what_killed_writers_left_is_swept(tmp_path):
    left = [".tmp-0123456789abcdef", ".tmp-0123456789abcdef-old.a", ".tmp-0123456789abcdef.a"]
    for name in left:
        (tmp_path / name).mkdir()
    (tmp_path / ".a.csv.0123456789abcdef.tmp").touch()
    kept = [".hidden.tmp", ".tmp-mine", "a.csv", "b.0123456789abcdef.tmp"]
    for name in kept:
        (tmp_path / name).touch()
    sweep(tmp_path, tmp_path / "missing")
    assert names(tmp_path) == sorted(kept)


def test_what_killed_writers_left_beside_an_output_is_swept_and_what_others_are_writing_stays(tmp_path):
    digits = "0123456789abcdef"
    left = [f".a.{digits}.tmp", f".tmp-{digits}.a", f".tmp-{digits}-old.a"]
    kept = ["a", f".b.{digits}.tmp", f".tmp-{digits}.b", f".tmp-{digits}", f".tmp-{digits}-old.c.a"]
    for name in (*left, *kept):
        (tmp_path / name).mkdir()
    sweep_beside(tmp_path / "a")
    assert names(tmp_path) == sorted(kept)


def test_a_folder_whose_writer_was_killed_between_two_names_has_its_place_again(tmp_path, monkeypatch):
    """Where folders cannot change places in one step."""
    monkeypatch.setattr("unmask.storage.atomic._exchange", lambda *_: False)
    with atomic_folder(tmp_path / "a") as folder:
        (folder / "old").touch()
    real = Path.replace

    def killed(self, target):
        if target == tmp_path / "a":
            raise KeyboardInterrupt
        return real(self, target)

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt), atomic_folder(tmp_path / "a") as folder:
        (folder / "new").touch()
    assert names(tmp_path) != ["a"]
    monkeypatch.undo()
    sweep_beside(tmp_path / "a")
    assert [names(tmp_path), names(tmp_path / "a")] == [["a"], ["old"]]


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such modes")
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444])
def test_who_might_read_the_old_one_may_read_the_new_one(tmp_path, mode):
    write_file(tmp_path / "a.json", b"old")
    (tmp_path / "a.json").chmod(mode)
    with atomic_file(tmp_path / "a.json") as file:
        (written,) = tmp_path.glob(".a.json.*")
        assert stat.S_IMODE(written.stat().st_mode) == mode  # also while it is written
        file.write(b"new")
    assert stat.S_IMODE((tmp_path / "a.json").stat().st_mode) == mode
    with atomic_folder(tmp_path / "run") as folder:
        (folder / "a").touch()
    (tmp_path / "run").chmod(0o700)
    with atomic_folder(tmp_path / "run"):
        pass
    assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o700


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere folders change places in two steps")
def test_there_is_no_moment_without_the_folder(tmp_path, monkeypatch):
    with atomic_folder(tmp_path / "last") as folder:
        (folder / "old").touch()
    monkeypatch.setattr(type(tmp_path), "replace", lambda *_: pytest.fail("a kill could come between two of them"))
    with atomic_folder(tmp_path / "last") as folder:
        (folder / "new").touch()
    assert names(tmp_path / "last") == ["new"]
    assert names(tmp_path) == ["last"]


def test_where_folders_cannot_change_places_two_steps_do(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic, "_exchange", lambda *_: False)
    for name in ("old", "new"):
        with atomic_folder(tmp_path / "last") as folder:
            (folder / name).touch()
    assert names(tmp_path / "last") == ["new"]
    assert names(tmp_path) == ["last"]


def test_a_folder_that_cannot_take_its_place_leaves_the_old_one(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic, "_exchange", lambda *_: False)
    with atomic_folder(tmp_path / "last") as folder:
        (folder / "old").touch()
    replace = type(tmp_path).replace

    def fail_to_put(path, target):
        if (path / "new").exists():
            raise OSError("no")
        return replace(path, target)

    monkeypatch.setattr(type(tmp_path), "replace", fail_to_put)
    with pytest.raises(OSError, match="no"), atomic_folder(tmp_path / "last") as folder:
        (folder / "new").touch()
    assert names(tmp_path / "last") == ["old"]
    assert names(tmp_path) == ["last"]


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    """Else a power cut could leave the new name with nothing in it."""
    forced, fsync = [], os.fsync

    def look(descriptor):
        forced.append((os.fstat(descriptor).st_size, names(tmp_path)))
        fsync(descriptor)

    monkeypatch.setattr(atomic.os, "fsync", look)
    write_file(tmp_path / "a.txt", b"whole")
    ((size, there),) = forced
    assert size == 5
    assert "a.txt" not in there


@pytest.mark.parametrize("length", [100, 101])
def test_long_names_are_cut_to_a_length(length):
    short = atomic.short_name(Path("x" * length))
    assert len(short) == 100
    assert (short == "x" * length) == (length == 100)


@pytest.mark.parametrize("name", ["a.csv", "x" * 251 + ".csv", "\u00e9" * 125 + ".csv", "\U0001f600" * 60 + ".csv"])
def test_any_name_that_a_file_may_have_can_be_written(tmp_path, name):
    write_file(tmp_path / name, b"whole")
    assert names(tmp_path) == [name]


def test_what_a_killed_writer_left_beside_a_file_goes(tmp_path):
    left = [".a.csv.0123456789abcdef.tmp", ".a.csv.ffffffffffffffff.tmp"]
    kept = [".b.csv.0123456789abcdef.tmp", "a.csv", ".a.csv.tmp", ".a.csv.0123456789abcdef.tmp.txt"]
    for name in (*left, *kept):
        (tmp_path / name).touch()
    sweep_beside(tmp_path / "a.csv")
    assert names(tmp_path) == sorted(kept)


def test_a_new_folder_that_cannot_be_put_in_its_place_leaves_nothing(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.EROFS, "Read-only file system")

    def write():
        with atomic_folder(tmp_path / "new") as folder:
            (folder / "a").write_text("a")
            monkeypatch.setattr(Path, "replace", fail)

    with pytest.raises(OSError, match="Read-only"):
        write()
    assert list(tmp_path.iterdir()) == []
