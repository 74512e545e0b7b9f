import json

import pytest

from unmask.storage.rowlog import RowLog, json_line


def key_of(row):
    return row["key"] if row["usable"] else None


def row(key, value=0, usable=True):
    return {"key": key, "value": value, "usable": usable}


def test_rows_come_back_by_key_and_the_last_one_counts(tmp_path):
    with RowLog(tmp_path / "log", key_of) as log:
        assert log.was_empty
        for each in (row("a", 1), row("b", 2), row("a", 3)):
            log.append(each["key"], each)
    with RowLog(tmp_path / "log", key_of) as log:
        assert not log.was_empty
        assert log.get("a") == row("a", 3)
        assert log.get("c") is None
        assert "b" in log
        assert list(log.rows(["b", "a"])) == [row("b", 2), row("a", 3)]


def test_a_row_is_in_the_file_once_it_is_appended(tmp_path):
    """A killed process loses what Python still holds."""
    with RowLog(tmp_path / "log", key_of) as log:
        log.append("a", row("a"))
        assert (tmp_path / "log").read_text() == json_line(row("a")) + "\n"


@pytest.mark.parametrize("torn", [b'{"key": "b", "val', b"\xff\xfe", b"3\n", b"[" * 100_000])
def test_a_torn_or_foreign_line_is_ignored(tmp_path, torn):
    path = tmp_path / "log"
    path.write_bytes(json_line(row("a")).encode() + b"\n" + torn)
    with RowLog(path, key_of) as log:
        log.append("c", row("c"))
    with RowLog(path, key_of) as log:
        assert "a" in log
        assert log.get("c") == row("c")


def test_rows_that_are_not_to_be_used_again_have_no_key(tmp_path):
    (tmp_path / "log").write_text(json_line(row("a", usable=False)) + "\n")
    with RowLog(tmp_path / "log", key_of) as log:
        assert "a" not in log
        assert not log.was_empty


def test_a_tidy_log_has_the_wanted_rows_alone(tmp_path):
    log = RowLog(tmp_path / "log", key_of)
    for each in (row("a", 1), row("b", 2), row("a", 3)):
        log.append(each["key"], each)
    log.tidy(["b", "a"])
    lines = (tmp_path / "log").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [row("b", 2), row("a", 3)]


def test_a_log_that_was_removed_is_an_error_at_once(tmp_path):
    with RowLog(tmp_path / "log", key_of) as log:
        (tmp_path / "log").unlink()
        with pytest.raises(FileNotFoundError):
            log.append("a", row("a"))


def test_a_discarded_log_is_gone(tmp_path):
    RowLog(tmp_path / "log", key_of).discard()
    assert not (tmp_path / "log").exists()


def test_any_file_name_survives():
    line = json_line({"path": "a\udcff\n\u00e9"})
    assert line.isascii()
    assert json.loads(line) == {"path": "a\udcff\n\u00e9"}
