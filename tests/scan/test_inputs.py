"""Links, within named folders and named themselves."""

import os
import sys

import pytest

from unmask.errors import InputError, UnreadableError
from unmask.media.regular import open_regular
from unmask.scan.inputs import Input, hash_input, list_inputs, open_input, read_names

pytestmark = pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="this platform has no such links")


@pytest.fixture
def secret(tmp_path):
    """A file that is nobody's business, in a folder of its own."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "secret.mp4").write_bytes(b"secret")
    return tmp_path / "home" / "secret.mp4"


@pytest.fixture
def folder(tmp_path, secret):
    """What a stranger might send: a file, and links out of the folder, within it, and in circles."""
    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "b.mp4").write_bytes(b"own")
    (folder / "out.mp4").symlink_to(secret)
    (folder / "self.mp4").symlink_to("self.mp4")
    (folder / "within.mp4").symlink_to("deep/b.mp4")
    (folder / "deep" / "home").symlink_to(secret.parent)
    (folder / "deep" / "up").symlink_to("..")
    return folder


def content(item):
    try:
        with open_input(item, 0) as file:
            return file.read()
    except InputError as error:
        return error.status, str(error)


def test_links_in_a_folder_have_rows_that_say_so(folder):
    found = {item.name: content(item) for item in list_inputs([folder], recursive=True)}
    assert list(found) == ["out.mp4", "self.mp4", "within.mp4", "deep/b.mp4", "deep/home", "deep/up"]
    assert found.pop("deep/b.mp4") == b"own"
    for status, reason in found.values():
        assert status == "unreadable"
        assert reason.startswith("this is a link")
        assert "--follow-links" in reason


def test_links_are_followed_when_asked_and_circles_end(folder):
    found = {item.name: content(item) for item in list_inputs([folder], recursive=True, follow_links=True)}
    assert found.pop("self.mp4")[0] == "unreadable"
    assert found == {
        "out.mp4": b"secret",
        "within.mp4": b"own",
        "deep/b.mp4": b"own",
        "deep/home/secret.mp4": b"secret",
    }


def test_a_link_that_is_named_is_the_users_choice(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    assert [content(item) for item in list_inputs([folder / "out.mp4"])] == [b"secret"]
    named = list_inputs([tmp_path / "link" / "deep"])
    assert [(item.name, content(item)) for item in named] == [("b.mp4", b"own")]


def test_a_link_that_is_made_meanwhile_is_not_followed(folder, secret):
    """Between listing and opening, a file or a folder on the way becomes a link."""
    items = {item.name: item for item in list_inputs([folder], recursive=True)}
    (folder / "deep" / "b.mp4").unlink()
    (folder / "deep" / "b.mp4").symlink_to(secret)
    assert content(items["deep/b.mp4"])[0] == "unreadable"
    (folder / "deep").rename(folder.parent / "moved")
    (secret.parent / "b.mp4").write_bytes(b"secret")
    (folder / "deep").symlink_to(secret.parent)
    assert content(items["deep/b.mp4"])[0] == "unreadable"
    assert hash_input(items["deep/b.mp4"], 0) is None


def test_where_no_folder_can_be_held_open_the_way_is_looked_at(folder, monkeypatch):
    monkeypatch.setattr(os, "supports_dir_fd", set())
    with open_regular(folder / "deep" / "b.mp4", str(folder)) as file:
        assert file.read() == b"own"
    for name in ("out.mp4", "deep/home/secret.mp4"):
        with pytest.raises(UnreadableError, match="this is a link"):
            open_regular(folder / name, str(folder))


def test_an_input_stands_for_its_path_and_stays_as_it_is(folder):
    items = list_inputs([folder])
    assert list_inputs(items) == items
    assert os.fspath(items[0]) == str(folder / "out.mp4")
    assert list_inputs(["https://host/a%20b.mp4?key=1", "https://host"]) == [
        Input("https://host/a%20b.mp4?key=1", "a%20b.mp4"), Input("https://host", "https://host"),
    ]  # fmt: skip


NAMES = ["first clip.mp4", "zwei ü.mp4", "三.mov"]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (b"\xef\xbb\xbf", "utf-8"),
        (b"\xff\xfe", "utf-16-le"),
        (b"\xfe\xff", "utf-16-be"),
        (b"", "utf-16-le"),
    ],
)
def test_a_list_of_any_shell_is_read(mark, encoding, end):
    data = mark + end.join([*NAMES, ""]).encode(encoding)
    assert read_names(data) == NAMES


def test_lists_of_other_forms_are_read():
    assert read_names(b"a\0b c\0") == ["a", "b c"]
    assert read_names(b'"C:/a b.mp4"\n\n"') == ["C:/a b.mp4", '"']
    assert read_names(b"\xff.mp4\n") == ["\udcff.mp4"]
    assert read_names(b"") == []


@pytest.mark.parametrize("name", ["a" * 300, "b/" * 3000 + "c.mp4", "d\0e", "", "f" * 5000, "\udcff" * 200])
def test_no_name_ends_the_listing(tmp_path, name):
    """It is an input like any other, and its row says that nothing lies there."""
    (tmp_path / "film.mp4").write_bytes(b"x")
    items = list_inputs([name, tmp_path / "film.mp4", tmp_path])
    assert [item.path for item in items] == [name, str(tmp_path / "film.mp4"), str(tmp_path / "film.mp4")]
    with pytest.raises(UnreadableError), open_input(items[0], 100):
        pass


def test_a_shut_folder_is_a_row_and_not_the_end(tmp_path, monkeypatch):
    """What lies in another user's folder of mode 0700 cannot even be asked about."""

    def refuse(path, *_, **__):
        raise PermissionError(13, "Permission denied", os.fspath(path))

    with monkeypatch.context() as patched:
        patched.setattr(os, "stat", refuse)
        (item,) = list_inputs([str(tmp_path / "shut" / "film.mp4")])
    assert item.name == "film.mp4"


def test_folders_in_folders_have_an_end(tmp_path):
    levels = [tmp_path]
    for _ in range(sys.getrecursionlimit() + 50):
        levels.append(levels[-1] / "d")
        levels[-1].mkdir()
    (levels[-1] / "film.mp4").write_bytes(b"x")
    (item,) = list_inputs([tmp_path], recursive=True)
    assert item.path == str(levels[-1] / "film.mp4")
    (levels[-1] / "film.mp4").unlink()
    for level in reversed(levels[1:]):
        level.rmdir()


def test_a_password_in_an_address_goes_no_further(scanner):
    (item,) = list_inputs(["https://user:secret@example.org/film.mp4"])
    assert (item.path, item.name) == ("https://***@example.org/film.mp4", "film.mp4")
    verdict = scanner.scan("https://user:secret@example.org/film.mp4")
    assert verdict.status == "unreadable"
    assert "secret" not in str(verdict.to_dict())
