import io
import os
import shutil

import numpy as np
import pytest

from tests.media_factory import pattern, write_video
from unmask.errors import ChangedError, LimitError, UnreadableError
from unmask.media import Limits, hashed, open_video, probe, sha256_of
from unmask.media.regular import open_regular


def broken_files(folder):
    (folder / "empty.mp4").touch()
    (folder / "byte.mp4").write_bytes(b"\0")
    (folder / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(50_000))
    (folder / "text.mp4").write_text("not a video\n" * 100)
    whole = write_video(folder / "whole.mp4", map(pattern, range(30)))
    (folder / "no_moov.mp4").write_bytes(whole.read_bytes().split(b"moov")[0])
    (folder / "cut_in_first_frame.mkv").write_bytes(
        write_video(folder / "whole.mkv", map(pattern, range(30)), options={"crf": "1"}).read_bytes()[:1500]
    )
    (folder / "folder.mp4").mkdir()
    os.mkfifo(folder / "pipe.mp4")
    return [
        "empty.mp4",
        "byte.mp4",
        "noise.mp4",
        "text.mp4",
        "no_moov.mp4",
        "cut_in_first_frame.mkv",
        "folder.mp4",
        "pipe.mp4",
    ]


def test_broken_files_are_unreadable(tmp_path):
    for name in broken_files(tmp_path):
        with pytest.raises(UnreadableError):
            probe(tmp_path / name)


def test_any_file_name(tmp_path):
    whole = write_video(tmp_path / "whole.mp4", map(pattern, range(5)))
    for name in (b"\xff\xfe.mp4", b"new\nline.mp4", b"%03d.mp4", b"http:__x.mp4", b"<b>&amp;.mp4"):
        copy = os.fsdecode(os.path.join(os.fsencode(tmp_path), name))
        shutil.copy(whole, copy)
        assert probe(copy).frames == 5


def sparse(path, size_bytes):
    """Return a file that is long and takes no room."""
    with path.open("wb") as file:
        file.truncate(size_bytes)
    return path


def test_a_file_has_a_length_that_is_read(tmp_path):
    """A sparse file of terabytes costs its maker nothing, and its reader hours."""
    with pytest.raises(LimitError, match=r"at most 68719476736 are read, see --limits file="):
        probe(sparse(tmp_path / "long.mp4", 8 << 40))
    whole = write_video(tmp_path / "a.mp4", map(pattern, range(3)))
    assert probe(whole, Limits(file_bytes=whole.stat().st_size)).frames == 3
    with pytest.raises(LimitError):
        probe(whole, Limits(file_bytes=whole.stat().st_size - 1))


def test_hashing_can_be_ended(tmp_path):
    seen = []

    def check():
        seen.append(1)
        if len(seen) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        probe(sparse(tmp_path / "long.mp4", 1 << 33), check=check)


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_bytes(path.read_bytes() + b"more"),
        lambda path: path.write_bytes(path.read_bytes()[::-1]),
        lambda path: os.truncate(path, path.stat().st_size // 2),
        lambda path: (path.write_bytes(path.read_bytes()[::-1]), os.utime(path, ns=(7, 7))),
    ],
    ids=["grows", "same length", "shrinks", "same length and date"],
)
def test_what_is_changed_while_it_is_read_has_no_hash(tmp_path, change):
    path = tmp_path / "a.mp4"
    path.write_bytes(bytes(range(256)))
    os.utime(path, ns=(7, 7))
    with (
        pytest.raises(ChangedError, match="changed while it was read"),
        path.open("rb") as file,
        hashed(file, 10_000),
    ):
        change(path)


def test_what_is_moved_and_touched_keeps_its_hash(tmp_path):
    path = write_video(tmp_path / "a.mp4", map(pattern, range(3)))
    with open_video(path) as video:
        path.chmod(0o600)
        path.rename(tmp_path / "b.mp4")
        os.utime(tmp_path / "b.mp4")
    assert video.facts.frames == 3


class Failing(io.RawIOBase):
    """A file on a disk that gives nothing."""

    def fileno(self):
        return 0

    def seek(self, *_):
        return 0

    def readinto(self, _):
        raise OSError(5, "Input/output error")


def test_a_disk_that_fails_is_the_files_fault_not_ours():
    with pytest.raises(UnreadableError, match="does not give the file: Input/output error"):
        sha256_of(Failing())


@pytest.mark.parametrize("step_by_step", [True, False])
def test_below_a_folder_no_link_is_followed(step_by_step, tmp_path, monkeypatch):
    """Windows cannot open a file part by part, and looks at each part first."""
    if not step_by_step:
        monkeypatch.setattr(os, "supports_dir_fd", set())
    (tmp_path / "root" / "a" / "b").mkdir(parents=True)
    (tmp_path / "root" / "a" / "b" / "film").write_text("inside")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "film").write_text("outside")
    (tmp_path / "root" / "link").symlink_to(tmp_path / "outside")
    (tmp_path / "root" / "a" / "linked").symlink_to(tmp_path / "outside" / "film")
    root = str(tmp_path / "root")
    with open_regular(tmp_path / "root" / "a" / "b" / "film", root) as file:
        assert file.read() == b"inside"
    with open_regular(tmp_path / "root" / "link" / "film") as file:
        assert file.read() == b"outside"
    for name in ("link/film", "a/linked"):
        with pytest.raises(UnreadableError, match=r"cannot open|links in a folder are not followed"):
            open_regular(tmp_path / "root" / name, root)
    with pytest.raises(UnreadableError, match="links in a folder are not followed; name the file itself"):
        open_regular(tmp_path / "root" / "a" / "linked", root)
    with pytest.raises(UnreadableError, match="No such file"):
        open_regular(tmp_path / "root" / "a" / "missing", root)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts descriptors")
def test_no_descriptor_stays_open(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "film").write_text("x")
    (tmp_path / "a" / "empty").touch()
    before = len(os.listdir("/proc/self/fd"))
    open_regular(tmp_path / "a" / "film", str(tmp_path)).close()
    for name in ("empty", "missing"):
        with pytest.raises(UnreadableError):
            open_regular(tmp_path / "a" / name, str(tmp_path))
    with pytest.raises(UnreadableError, match="null"):
        open_regular("a\0b")
    assert len(os.listdir("/proc/self/fd")) == before
