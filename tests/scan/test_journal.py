import json

import pytest

from unmask.errors import UsageError
from unmask.scan.journal import Journal
from unmask.types import Verdict

FACTS = {"size_bytes": 7, "sha256": "a" * 64}


def row(path="a.mp4", settings="hash", status="no_face", **media):
    verdict = Verdict(path, status, None, None, settings={"hash": settings})
    return verdict.to_dict() | {"media": FACTS | media}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "v.partial"
    with Journal(path, "hash") as journal:
        journal.append(row())
        journal.append(row("https://a.example/b.mp4", sha256="b" * 64, size_bytes=8))
        journal.append(row("c.mp4", status="crashed", sha256="c" * 64))
        journal.append(row("d.mp4", settings="other", sha256="d" * 64))
        journal.append(row("f.mp4", status="internal_error", sha256="f" * 64))
    return path


def test_rows_are_found_by_content_and_get_the_name_of_now(path):
    with Journal(path, "hash", resume=True) as journal:
        assert (journal.sizes_bytes, journal.addresses) == ({7, 8}, {"https://a.example/b.mp4"})
        assert journal.foreign_rows == 1
        assert journal.reuse("moved/x.mp4", "a" * 64)
        assert not any(journal.reuse("c.mp4", digit * 64) for digit in "cdef")
        journal.append(row("new.mp4", sha256="e" * 64))
        rows = list(journal.rows(["new.mp4", "moved/x.mp4"]))
        assert [(item["path"], item["media"]["sha256"][0]) for item in rows] == [("new.mp4", "e"), ("moved/x.mp4", "a")]


def test_a_file_of_others_is_neither_written_nor_deleted(tmp_path):
    path = tmp_path / "v.partial"
    for content in ("notes", '{"mine": 1}\n', "\n"):
        path.write_text(content)
        with pytest.raises(UsageError, match="is in the way"):
            Journal(path, "hash", resume=True)
        assert path.read_text() == content


@pytest.mark.parametrize("content", ["", '{"schema', '{"schema_version":2,"pa'])
def test_what_a_killed_scan_left_is_taken(tmp_path, content):
    path = tmp_path / "v.partial"
    path.write_text(content)
    with Journal(path, "hash", resume=True) as journal:
        journal.append(row())
        assert [item["path"] for item in journal.rows(["a.mp4"])] == ["a.mp4"]
        journal.discard()
    assert not path.exists()


def test_what_an_interrupted_run_left_is_not_written_over(path):
    with pytest.raises(UsageError, match=r"an interrupted run left .*v\.partial; go on with --resume"):
        Journal(path, "hash")
    with Journal(path, "hash", resume=True) as journal:  # it was let go of
        assert journal.sizes_bytes == {7, 8}


def test_rows_of_a_finished_run_are_used_too(path, tmp_path):
    finished = tmp_path / "v.jsonl"
    rows = [row(sha256="a" * 64), row("e.mp4", sha256="e" * 64, size_bytes=9), row(settings="x") | {"media": None}]
    finished.write_text("".join(json.dumps(each) + "\n" for each in rows))
    with Journal(path, "hash", resume=True, finished=finished) as journal:
        assert journal.reuse("e.mp4", "e" * 64)
        assert [item["path"] for item in journal.rows(["e.mp4"])] == ["e.mp4"]
        assert journal.sizes_bytes == {7, 8, 9}
    before = path.read_bytes()
    with Journal(path, "hash", resume=True, finished=finished):
        pass
    assert path.read_bytes() == before, "each row is taken over once"
    with Journal(path, "hash", resume=True, finished=tmp_path / "none") as journal:
        assert journal.reuse("e.mp4", "e" * 64)
