import os
import stat

import pytest

from unmask.storage.atomic import atomic_file, atomic_folder, is_device, scratch_folder, sweep, write_file


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


def test_a_scratch_folder_goes_unless_it_was_renamed(tmp_path):
    with scratch_folder(tmp_path) as folder:
        (folder / "a").touch()
    assert names(tmp_path) == []
    with scratch_folder(tmp_path) as folder:
        folder.rename(tmp_path / "kept")
    assert names(tmp_path) == ["kept"]


def test_only_what_killed_writers_left_is_swept(tmp_path):
    left = [".tmp-0123456789abcdef", ".tmp-0123456789abcdef-old"]
    for name in left:
        (tmp_path / name).mkdir()
    (tmp_path / ".a.csv.0123456789abcdef.tmp").touch()
    kept = [".hidden.tmp", ".tmp-mine", "a.csv", "b.0123456789abcdef.tmp"]
    for name in kept:
        (tmp_path / name).touch()
    sweep(tmp_path, tmp_path / "missing")
    assert names(tmp_path) == sorted(kept)
