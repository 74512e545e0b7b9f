"""Regular files are opened, and nothing else."""

import errno
import os
import socket

import pytest

from unmask.storage.plain import open_plain, read_plain


def test_a_file_and_a_link_to_it_are_read(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with open_plain(tmp_path / "b") as file:
        assert file.read() == b"12345"
    assert read_plain(tmp_path / "a", 5) == b"12345"
    with pytest.raises(OSError, match="it has more than 4 bytes") as caught:
        read_plain(tmp_path / "a", 4)
    assert caught.value.errno == errno.EFBIG


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        open_before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
        for name in ("pipe", "socket", ".", "gone"):
            with pytest.raises(OSError, match=r"no regular file|No such") as caught:
                open_plain(tmp_path / name)
            assert caught.value.errno in (errno.EINVAL, errno.ENXIO, errno.ENOENT, errno.EOPNOTSUPP)
        if open_before:
            assert len(os.listdir("/proc/self/fd")) == open_before
