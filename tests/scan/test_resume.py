import pytest

from tests.scan.test_journal import row
from unmask.media import Limits
from unmask.scan import resume
from unmask.scan.inputs import Input
from unmask.scan.journal import Journal
from unmask.scan.resume import find_known, scan_rows


@pytest.fixture
def read(monkeypatch):
    """Paths that are read for their hash."""
    paths = []
    original = resume.hash_input
    monkeypatch.setattr(resume, "hash_input", lambda item, *rest: paths.append(item.path) or original(item, *rest))
    return paths


def test_only_files_of_known_length_and_known_addresses_are_read(tmp_path, read):
    for name, content in (("same", b"1234567"), ("other", b"abcdefg"), ("long", b"12345678")):
        (tmp_path / name).write_bytes(content)
    sha256 = "8bb0cf6eb9b17d0f7d22b456f121257dc1254e1f01665370476383ea776df414"  # of 1234567
    with Journal(tmp_path / "j.partial", "hash") as journal:
        journal.append(row("gone.mp4", sha256=sha256))
    items = [Input(str(tmp_path / name), name) for name in ("same", "other", "long", "missing")]
    items.append(Input("https://a.example/x.mp4", "x.mp4"))
    with Journal(tmp_path / "j.partial", "hash", resume=True) as journal:
        assert find_known(items, journal, Limits()) == {str(tmp_path / "same")}
    assert sorted(read) == [str(tmp_path / "other"), str(tmp_path / "same")]


def test_rows_come_in_order_with_their_time(scanner, short_clips, tmp_path):
    items = [Input(str(path), path.name) for path in short_clips.values()]
    with Journal(tmp_path / "j.partial", scanner.settings_hash) as journal:
        first = list(scan_rows(scanner, items[1:], journal, Limits()))
    with Journal(tmp_path / "j.partial", scanner.settings_hash, resume=True) as journal:
        rows = list(scan_rows(scanner, items, journal, Limits()))
        assert list(journal.rows([item.path for item in items])) == rows
    assert [item["path"] for item in rows] == [item.path for item in items]
    assert rows[1] == first[0]
    assert all("elapsed_seconds" in item and "scanned_at" in item for item in rows)
