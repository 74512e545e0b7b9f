"""Objects of a store that answers from memory; tests/scale/test_objects.py has a whole one on loopback."""

import io
import sys

import pytest

from unmask.errors import DownloadError, UsageError
from unmask.net import objects
from unmask.net.objects import StoredObject, fetch_object, list_objects, open_object

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")


class Store:
    """Knows one object."""

    def __init__(self, content=b"0123456789", **facts):
        self.content, self.facts = content, {"name": "bucket/a", "size": len(content), "type": "file", **facts}
        self.told_bytes = None

    def info(self, uri):
        if "gone" in uri:
            raise FileNotFoundError
        return self.facts

    def glob(self, uri, detail):
        return {
            name: self.facts | {"name": name, "type": kind}
            for name, kind in (("b", "file"), ("a", "file"), ("c", "directory"))
        }

    def walk(self, uri, maxdepth, detail):
        yield "in", {"deep": {}}, {name: self.facts | {"name": f"in/{name}"} for name in ("b", "a", "")}
        if maxdepth is None:
            yield "in/deep", {}, {"c": self.facts | {"name": "in/deep/c"}}

    def open(self, uri, mode, block_size):
        if "gone" in uri:
            raise ValueError("x" * 400 + "\nand more")
        return io.BytesIO(self.content)

    def cat_file(self, uri, start, end):
        return self.content[start:end]

    def get_file(self, uri, path, callback):
        callback.set_size(self.told_bytes)
        for at in range(0, len(self.content), 4):
            piece = self.content[at : at + 4]
            with open(path, "ab") as file:
                file.write(piece)
            callback.relative_update(len(piece))


@pytest.fixture
def store(monkeypatch):
    store = Store()
    monkeypatch.setattr(objects, "_STORES", {"s3": store})
    return store


@pytest.mark.parametrize(
    ("facts", "version"),
    [
        ({"ETag": '"1X"', "LastModified": "x"}, "1X"), ({"etag": "2"}, "2"), ({"LastModified": "3"}, "3"),
        ({"mtime": 4.5}, "4.5"), ({}, ""),
    ],
)  # fmt: skip
def test_the_version_is_what_a_store_has(store, facts, version):
    store.facts |= facts
    assert list(list_objects("s3://bucket/a", recursive=False)) == [StoredObject("s3://bucket/a", 10, version)]


@pytest.mark.skipif(sys.platform == "win32", reason="an open file has no second name there")
def test_an_object_may_be_as_long_as_it_may_be_and_no_longer(store, tmp_path):
    with (tmp_path / "a").open("wb") as room:
        fetch_object("s3://bucket/a", room, 10)
    assert (tmp_path / "a").read_bytes() == store.content
    with (tmp_path / "b").open("wb") as room, pytest.raises(DownloadError, match="more than the 7 bytes") as caught:
        fetch_object("s3://bucket/a", room, 7)
    assert caught.value.status == "rejected_limit"
    assert (tmp_path / "b").stat().st_size == 8, "it ends once too much is there, not with the end of the object"


@pytest.mark.skipif(sys.platform == "win32", reason="an open file has no second name there")
def test_nothing_comes_of_an_object_whose_store_says_that_it_is_too_long(store, tmp_path):
    store.told_bytes = 10
    with (tmp_path / "a").open("wb") as room, pytest.raises(DownloadError, match="more than the 9 bytes"):
        fetch_object("s3://bucket/a", room, 9)
    assert (tmp_path / "a").stat().st_size == 0


@pytest.mark.skipif(sys.platform == "win32", reason="an open file has no second name there")
@pytest.mark.parametrize("part", [None, (2, 5)])
def test_nobody_waits_any_more(store, tmp_path, part):
    with (tmp_path / "a").open("wb") as room, pytest.raises(DownloadError, match="nobody waits"):
        fetch_object("s3://bucket/a", room, 10, lambda: True, part)
    assert (tmp_path / "a").stat().st_size == 0


def test_a_part_comes_in_chunks(store, monkeypatch):
    monkeypatch.setattr(objects, "_CHUNK_BYTES", 2)
    room = io.BytesIO()
    fetch_object("s3://bucket/a", room, 5, part=(2, 5))
    assert room.getvalue() == b"23456"
    with pytest.raises(DownloadError, match="more than the 4 bytes"):
        fetch_object("s3://bucket/a", io.BytesIO(), 4, part=(2, 5))


def test_what_cannot_be_opened_is_told_shortly(store):
    assert open_object("s3://bucket/a").read() == store.content
    with pytest.raises(DownloadError, match="cannot open s3://bucket/gone") as caught:
        open_object("s3://bucket/gone")
    assert str(caught.value).endswith(": " + "x" * 300)


def test_what_cannot_be_listed_is_told_with_its_reason(store):
    with pytest.raises(DownloadError, match=r"^cannot list s3://bucket/gone: FileNotFoundError$"):
        list(list_objects("s3://bucket/gone", recursive=False))


def test_a_part_is_given_up_between_two_chunks(store, monkeypatch):
    monkeypatch.setattr(objects, "_CHUNK_BYTES", 2)
    room, answers = io.BytesIO(), iter([False])
    with pytest.raises(DownloadError, match="nobody waits"):
        fetch_object("s3://bucket/a", room, 10, lambda: next(answers, True), (2, 5))
    assert room.getvalue() == b"23"


def test_folders_are_listed_one_after_the_other_each_by_name(store):
    """The object of no name that some stores keep for a folder is none."""
    assert [found.uri for found in list_objects("s3://in/", recursive=False)] == ["s3://in/a", "s3://in/b"]
    store.facts["type"] = "directory"
    found = list_objects("s3://in", recursive=True)
    assert [each.uri for each in found] == ["s3://in/a", "s3://in/b", "s3://in/deep/c"]
    assert [found.uri for found in list_objects("s3://*", recursive=False)] == ["s3://a", "s3://b"]


@pytest.mark.parametrize(
    ("uri", "package", "cure"),
    [("s3://b/a", "s3fs", "pip install 'unmask[s3]'"), ("gs://b/a", "gcsfs", "pip install gcsfs")],
)
def test_a_package_that_is_missing_is_named_with_how_to_install_it(monkeypatch, uri, package, cure):
    def fail(*_, **__):
        raise ImportError(package)

    monkeypatch.setattr(objects, "_STORES", {})
    monkeypatch.setattr(fsspec, "filesystem", fail)
    with pytest.raises(UsageError) as caught:
        open_object(uri)
    assert str(caught.value).endswith(f"needs the package {package}; run: {cure}")
