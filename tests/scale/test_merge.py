"""Merging: one line for each row, whatever was done twice, in several forms."""

import hashlib
import json
import os

import pytest
from pyarrow import parquet

from tests.scale.stubs import line_of
from unmask.errors import UsageError
from unmask.scale.index import Index
from unmask.scale.manifest import Manifest, Piece, write_manifest
from unmask.scale.merge import TABLE, Merge, write_dataset
from unmask.scale.parts import Part
from unmask.scale.rows import Answer, Row

ROWS = [Row(f"/in/{n}/clip.mp4" if n < 2 else f"/in/{n}.mp4", "clip.mp4" if n < 2 else f"{n}.mp4", n) for n in range(6)]


def answer(row, status="ok", content=None):
    sha256 = "" if status == "crashed" else hashlib.sha256((content or row.uri).encode()).hexdigest()
    return Answer(sha256, status, line_of(row, status))


def merge_of(folder, *parts, rows=ROWS):
    """Merge parts, each of which is a list of rows and answers."""
    write_manifest(rows, folder / "m.parquet")
    index = Index()
    for number, answers in enumerate(parts):
        part = Part(folder, f"{number}.jsonl", "s")
        for each in answers:
            part.add(*each)
        index.add(folder / f"{number}.jsonl", part.write())
    return Merge(Manifest(folder / "m.parquet"), index.sealed())


def test_what_was_done_twice_counts_once(tmp_path):
    twice = [(row, answer(row)) for row in reversed(ROWS)]
    assert [line for _, line in merge_of(tmp_path, twice, twice[:3], twice).lines()] == [line_of(row) for row in ROWS]


def test_the_first_final_answer_counts_else_the_last(tmp_path):
    crash = [(ROWS[0], answer(ROWS[0], "crashed"))]
    good = [(row, answer(row)) for row in ROWS]
    merge = merge_of(tmp_path, crash, good, crash)
    assert merge.statuses == {"ok": 6}
    failed = [(ROWS[0], answer(ROWS[0], "internal_error"))]
    merge = merge_of(tmp_path, crash, good[1:], failed)
    assert merge.statuses == {"ok": 5, "internal_error": 1}
    assert next(iter(merge.lines()))[1] == line_of(ROWS[0], "internal_error")


def test_rows_without_an_answer_are_told(tmp_path):
    with pytest.raises(UsageError, match=r"4 of 6 rows have no result yet, e\.g\. /in/2.mp4, /in/3.mp4, /in/4.mp4;"):
        merge_of(tmp_path, [(row, answer(row)) for row in ROWS[:2]])


def test_tables_show_short_names_unless_two_rows_have_the_same(tmp_path):
    merge = merge_of(tmp_path, [(row, answer(row)) for row in ROWS])
    assert [name for name, _ in merge.rows()] == [
        "/in/0/clip.mp4",
        "/in/1/clip.mp4",
        "2.mp4",
        "3.mp4",
        "4.mp4",
        "5.mp4",
    ]


def test_a_row_whose_content_has_a_line_gets_it_under_its_name(tmp_path):
    answers = [(row, answer(row, content="the same")) for row in ROWS[:1]]
    answers += [(row, Answer(answers[0][1].sha256, "same", b"")) for row in ROWS[1:]]
    merge = merge_of(tmp_path, answers)
    assert [line for _, line in merge.lines()] == [line_of(row) for row in ROWS]
    assert merge.statuses == {"ok": 6}


def test_a_dataset_has_files_of_bounded_length(tmp_path, monkeypatch):
    monkeypatch.setattr("unmask.scale.merge._GROUP_BYTES", 150)
    merge = merge_of(tmp_path, [(row, answer(row)) for row in ROWS])
    assert write_dataset(merge.rows(), tmp_path / "d", part_bytes=1) == 3
    first = {path.name: path.read_bytes() for path in (tmp_path / "d").iterdir()}
    rows = [row for name in sorted(first) for row in parquet.read_table(tmp_path / "d" / name).to_pylist()]
    assert [(row["path"], row["fake_probability"]) for row in rows] == [(row.uri, 0.25) for row in ROWS]
    assert list(rows[0]) == list(TABLE)
    assert [json.loads(row["verdict"]) for row in rows] == [json.loads(line_of(row)) for row in ROWS]
    assert write_dataset(merge.rows(), tmp_path / "d", part_bytes=1) == 3
    assert {path.name: path.read_bytes() for path in (tmp_path / "d").iterdir()} == first
    (tmp_path / "d" / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="holds notes"):
        write_dataset(merge.rows(), tmp_path / "d")
    assert write_dataset(iter(()), tmp_path / "empty") == 1


def test_a_file_of_a_dataset_holds_several_groups_of_rows(tmp_path, monkeypatch):
    monkeypatch.setattr("unmask.scale.merge._GROUP_ROWS", 2)
    merge = merge_of(tmp_path, [(row, answer(row)) for row in ROWS])
    assert write_dataset(merge.rows(), tmp_path / "d") == 1
    rows = parquet.read_table(tmp_path / "d" / "part-00000.parquet").to_pylist()
    assert [row["path"] for row in rows] == [row.uri for row in ROWS]


def test_a_line_that_others_refer_to_and_that_is_gone_is_an_error(tmp_path):
    sha256 = answer(ROWS[0], content="the same").sha256
    with pytest.raises(UsageError, match="a line that others refer to is gone from the parts"):
        merge_of(tmp_path, [(row, Answer(sha256, "same", b"")) for row in ROWS])


def test_of_many_parts_few_are_open_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr("unmask.scale.merge._OPEN_FILES", 2)
    merge = merge_of(tmp_path, *([(row, answer(row))] for row in ROWS))
    files, honest, opened = [], os.open, []
    monkeypatch.setattr(os, "open", lambda *a, **k: opened.append(honest(*a, **k)) or opened[-1])
    monkeypatch.setattr(os, "close", lambda number, close=os.close: files.append(number) or close(number))
    lines = merge.lines()
    for count, (row, line) in enumerate(lines, 1):
        assert line == line_of(row)
        assert len(opened) - len(files) <= min(count, 2)
    assert sorted(opened) == sorted(files)


def test_a_folder_of_others_is_not_replaced_by_a_dataset(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"holds notes\.txt, which is no part of a dataset"):
        write_dataset(iter(()), tmp_path)
    assert write_dataset(iter(()), tmp_path / "none") == 1, "of no rows there is one part, without any"
    none = parquet.read_table(tmp_path / "none" / "part-00000.parquet")
    assert (none.num_rows, none.schema.names) == (0, list(TABLE))
    assert none.schema.metadata[b"unmask_dataset"] == b"1", "the number of this form"


def test_a_manifest_without_its_columns_is_told(tmp_path):
    write_manifest(ROWS, tmp_path / "m.parquet")
    (piece,) = Manifest(tmp_path / "m.parquet").pieces()
    with pytest.raises(UsageError, match=r"the manifest is damaged: .*note.*; make it anew"):
        list(Piece(piece.batch.drop_columns(["note"])).rows())
