"""Links, within named folders and named themselves."""

import os
import sys
import tarfile
from io import BytesIO

import pytest

from unmask.errors import InputError, LimitError, UnreadableError, UsageError
from unmask.media.regular import open_regular
from unmask.scan import inputs
from unmask.scan.inputs import (
    Input,
    clip_folders,
    clip_input,
    hash_input,
    list_inputs,
    open_input,
    read_names,
    survey_inputs,
)
from unmask.storage.members import Member

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
    usual, few = sys.getrecursionlimit(), 400
    for _ in range(few + 50):
        levels.append(levels[-1] / "d")
        levels[-1].mkdir()
    (levels[-1] / "film.mp4").write_bytes(b"x")
    sys.setrecursionlimit(few)
    try:
        (item,) = list_inputs([tmp_path], recursive=True)
    finally:
        sys.setrecursionlimit(usual)
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


def test_what_is_passed_over_is_told_by_kind(tmp_path):
    for name in ("a.jpg", "b.png", "c.wav", "1.a", "2.a", "3.b", "4.c", "5.d", "6", ".hidden", "film.mp4", "f.MKV"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "deep").mkdir(), (tmp_path / ".git").mkdir()
    found = survey_inputs([tmp_path])
    assert [item.name for item in found.items] == ["f.MKV", "film.mp4"]
    assert found.passed_over() == (
        "2 images (name them to have them judged), 1 sound file, 6 other files (.a, .b, .c, .d, without suffix), "
        "1 folder (-r looks into them)"
    )
    (tmp_path / "7.e").write_bytes(b"x")
    assert "(.a, .b, .c, .d, without suffix, ...)" in survey_inputs([tmp_path]).passed_over()
    assert survey_inputs([tmp_path / "film.mp4"]).passed_over() is None


def test_a_film_without_a_suffix_is_taken_by_how_it_begins(tmp_path):
    for name in ("film", ".film", "film.bin"):
        (tmp_path / name).write_bytes(b"\x00\x00\x00\x18ftypmp42" + bytes(100))
    (tmp_path / "pipe").symlink_to("film")
    assert [item.name for item in list_inputs([tmp_path])] == ["film", "film.bin"]


def test_files_of_one_name_have_their_whole_paths(tmp_path):
    for folder in "ab":
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "film.mp4").write_bytes(b"x")
    (tmp_path / "a" / "own.mp4").write_bytes(b"x")
    items = list_inputs([tmp_path / "a", tmp_path / "b"])
    assert [item.name for item in items] == [str(tmp_path / "a/film.mp4"), "own.mp4", str(tmp_path / "b/film.mp4")]
    assert [item.below for item in items] == [str(tmp_path / "a")] * 2 + [str(tmp_path / "b")]


def test_a_folder_that_cannot_be_read_is_a_row(tmp_path, monkeypatch):
    (tmp_path / "film.mp4").write_bytes(b"x")
    (tmp_path / "shut").mkdir()
    honest = os.scandir

    def refuse(path):
        if os.fspath(path).endswith("shut"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return honest(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert [item.path for item in list_inputs([tmp_path], recursive=True)] == [
        str(tmp_path / "film.mp4"), str(tmp_path / "shut"),
    ]  # fmt: skip


def test_a_member_of_an_archive_is_read_from_its_bytes(tmp_path, monkeypatch):
    """In pieces, no byte more or less; one that is too long or ends early is told."""
    monkeypatch.setattr(inputs, "_COPY_BYTES", 7)
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name, data in (("1.mp4", b"0123456789" * 3), ("2.mp4", b"x" * 600)):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, BytesIO(data))
    archive = str(tmp_path / "a.tar")
    address = Member("1.mp4", 512, 30, archive).address
    with open_input(address, 30) as file:
        assert file.read() == b"0123456789" * 3
    with pytest.raises(LimitError, match="has 30 bytes; at most 29 are read, see --limits download="):
        hashed(address, 29)
    os.truncate(archive, 540)
    with pytest.raises(UnreadableError, match=r"a\.tar ends before this member does"):
        hashed(address, 30)
    with pytest.raises(UnreadableError, match="the server gives an empty file"):
        hashed(Member("1.mp4", 512, 0, archive).address, 30)


def hashed(path, max_bytes):
    with open_input(path, max_bytes) as file:
        return file.read()


def test_an_address_is_fetched_from_the_public_internet_within_the_limit(monkeypatch):
    asked = []

    def fetch(url, file, max_bytes, is_given_up, may_reach):
        asked.append((url, max_bytes, may_reach("127.0.0.1"), is_given_up()))
        file.write(b"content")
        file.flush()

    monkeypatch.setattr(inputs, "fetch_public", fetch)
    with open_input("https://host/a.mp4", 99, lambda: "given up") as file:
        assert file.read() == b"content"
    assert asked == [("https://host/a.mp4", 99, False, "given up")]


def test_a_hash_that_nobody_waits_for_is_given_up(tmp_path):
    (tmp_path / "a").write_bytes(b"1234567")
    assert hash_input(tmp_path / "a", 0) == "8bb0cf6eb9b17d0f7d22b456f121257dc1254e1f01665370476383ea776df414"
    assert hash_input(tmp_path / "a", 0, lambda: True) is None


def test_folders_that_hold_a_clip_each(tmp_path):
    for name in ("a/1/x.png", "a/2/x.jpg", "b/1/x.png", "b/film/x.mp4", "b/notes/x.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    one = clip_folders([tmp_path / "a/1"])
    assert one == (Input(str(tmp_path / "a/1"), "1", is_frames=True, below=str(tmp_path / "a/1")),)
    within = clip_folders([tmp_path / "a", tmp_path / "b"], recursive=True, follow_links=True)
    assert [(item.name, item.below) for item in within] == [
        (str(tmp_path / "a/1"), None), ("2", None), (str(tmp_path / "b/1"), None),
    ]  # fmt: skip
    (film,) = clip_folders([tmp_path / "b"], pieces=True, recursive=True)
    assert (film.name, film.is_pieces, film.is_frames) == ("film", True, False)
    with pytest.raises(UsageError, match="is no folder; --frames-folder and --pieces take folders"):
        clip_folders([tmp_path / "a/1/x.png"])
    with pytest.raises(UsageError, match=r"no folder in .* holds films"):
        clip_folders([tmp_path / "a"], pieces=True, recursive=True)
    with pytest.raises(UsageError, match=r"no folder in .* holds pictures"):
        clip_folders([tmp_path / "b/notes"], recursive=True)
    assert clip_input(tmp_path / "a/1") == Input(str(tmp_path / "a/1"), "1", is_frames=True)
    assert not clip_input(tmp_path / "b/film/x.mp4").is_frames
