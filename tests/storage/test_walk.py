"""Folders that are deep, shut or full of links."""

import os
import sys
from contextlib import nullcontext

import pytest

from unmask.storage.walk import is_file, is_folder, is_link, walk

ODD = ["a" * 300, "b/" * 3000, "c\0d", "", "e" * 5000]


@pytest.fixture
def deep(tmp_path):
    """A folder of more folders, one in another, than Python calls functions; taken down again."""
    levels, depth = [str(tmp_path)], sys.getrecursionlimit() + 100
    for _ in range(depth):
        levels.append(f"{levels[-1]}/d")
        os.mkdir(levels[-1])
    yield tmp_path, depth
    for level in reversed(levels[1:]):
        os.rmdir(level)


@pytest.mark.parametrize("name", ODD, ids=range(len(ODD)))
def test_no_name_is_too_odd_to_be_asked_about(name):
    assert not is_folder(name)
    assert not is_file(name)
    assert not is_link(name)


def test_files_folders_and_links_are_told_apart(tmp_path):
    file, link = tmp_path / "file", tmp_path / "link"
    file.touch()
    link.symlink_to(file)
    assert [ask(str(file)) for ask in (is_folder, is_file, is_link)] == [False, True, False]
    assert [ask(str(link)) for ask in (is_folder, is_file, is_link)] == [False, True, True]
    assert [ask(str(tmp_path)) for ask in (is_folder, is_file, is_link)] == [True, False, False]


def test_an_entry_whose_disk_fails_is_no_folder(tmp_path, monkeypatch):
    """Where a file system tells no kinds, `os.scandir` asks for each, which may fail."""

    class Entry:
        name = "a"

        def is_dir(self):
            raise OSError("stale")

    monkeypatch.setattr(os, "scandir", lambda _: nullcontext(iter([Entry()])))
    assert list(walk(str(tmp_path))) == [(str(tmp_path), [], ["a"])]


def test_folders_in_folders_have_an_end(deep):
    root, depth = deep
    assert len(list(walk(str(root)))) == depth + 1


def test_it_walks_as_the_standard_library_does(tmp_path):
    for name in ("b/x", "b/y/z", "a", "c.mp4/d"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "film.mp4").touch()
    (tmp_path / "b" / "link").symlink_to(tmp_path / "a")
    (tmp_path / "b" / "loop").symlink_to(tmp_path)

    def sorted_walk(steps):
        for here, folders, files in steps:
            folders.sort()
            yield here, list(folders), sorted(files)

    assert list(sorted_walk(walk(str(tmp_path)))) == list(sorted_walk(os.walk(tmp_path)))


def test_what_cannot_be_listed_is_told_and_the_rest_goes_on(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    errors = []
    for here, folders, _ in walk(str(tmp_path), errors.append):
        if here == str(tmp_path):
            folders[:] = ["a", "gone", "x" * 300, "b"]
    assert [type(error) for error in errors] == [FileNotFoundError, OSError]
