import codecs
import json

import pytest

from unmask.datasets.tables import column_of, decode_text, read_table
from unmask.errors import UsageError

ROWS = [("a/ä, b.mp4", "real"), ("c;d.mp4", "fake"), ('say "e".mp4', "fake")]


def written(separator):
    quoted = [",".join(("filename", "label")).replace(",", separator)]
    quoted += ['"{}"{}{}'.format(name.replace('"', '""'), separator, label) for name, label in ROWS]
    return "\r\n".join(quoted) + "\r\n"


def cells(table):
    return [(row.cells["filename"], row.cells["label"]) for row in table.rows]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_separators_and_encodings(tmp_path, separator, encoding):
    path = tmp_path / "t.csv"
    path.write_bytes(written(separator).encode(encoding))
    table = read_table(path, ("filename", "label"))
    assert cells(table) == ROWS
    assert table.separator == separator
    assert [row.place for row in table.rows] == ["line 2", "line 3", "line 4"]


def test_utf_16_of_either_order_with_its_mark(tmp_path):
    for mark, encoding in ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")):
        (tmp_path / "t").write_bytes(mark + written(",").encode(encoding))
        assert cells(read_table(tmp_path / "t", ("filename", "label"))) == ROWS


OBJECTS = [{"filename": name, "label": label} for name, label in ROWS]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(OBJECTS), "\ufeff" + json.dumps(OBJECTS, indent=1), "\n".join(map(json.dumps, OBJECTS)),
        json.dumps({name: {"filename": name, "label": label} for name, label in ROWS}),
    ],
)  # fmt: skip
def test_json(tmp_path, text):
    (tmp_path / "t.json").write_text(text)
    assert cells(read_table(tmp_path / "t.json", ("filename", "label"))) == ROWS


def test_json_by_file_name_and_values_that_are_no_text(tmp_path):
    (tmp_path / "t.json").write_text('{"a.mp4": 1, "b.mp4": false, "c.mp4": null}')
    table = read_table(tmp_path / "t.json", ())
    assert [(row.cells["path"], row.cells["label"]) for row in table.rows] == [
        ("a.mp4", "1"), ("b.mp4", "false"), ("c.mp4", ""),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"), (b"\n \n", "is empty"), (b"PK\x03\x04rest", "Excel workbook; save it as CSV"),
        (b"PAR1....", "suffix .parquet"), (b"\x1f\x8b", "gzip; unpack"), (b"\0\0\0\x18ftypisom", "it is a video"),
        (b"\xff\xd8\xff\xe0", "it is an image"), (b"abc\0" + b"d" * 99, "zero bytes"),
        (b'path,label\n"a.mp4,1\n', "is no CSV: line"), (b"path,path,label\n", "two columns named 'path'"),
        (b"[1, 2]", "is no object"), (b"[{", "no JSON"), (b'{"a": 1', "no JSON"),
        (codecs.BOM_UTF16_LE + b"a", "UTF-16-LE"),
        (b"[" * 100_000, "nested too deep"),
    ],
)  # fmt: skip
def test_what_is_no_table_is_told_for_what_it_is(tmp_path, data, message):
    (tmp_path / "t").write_bytes(data)
    with pytest.raises(UsageError, match=message):
        read_table(tmp_path / "t", ("path", "label"))


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(UsageError, match="No such file"):
        read_table(tmp_path / "none.csv", ())
    with pytest.raises(UsageError, match="is a folder"):
        read_table(tmp_path, ())


def test_uneven_rows_are_marked(tmp_path):
    (tmp_path / "t.csv").write_text("path,label\na,1\nb\nc,1,2\n")
    table = read_table(tmp_path / "t.csv", ("path", "label"))
    assert [row.even for row in table.rows] == [True, False, False]
    assert table.rows[1].cells == {"path": "b", "label": ""}


def test_missing_columns_are_named(tmp_path):
    (tmp_path / "t.csv").write_text("a;b\n1;2\n")
    table = read_table(tmp_path / "t.csv", ("a", "b"))
    assert column_of(table, ("x", "b"), tmp_path) == "b"
    with pytest.raises(UsageError, match="path or file; it has 'a, b', separated by semicolons"):
        column_of(table, ("path", "file"), tmp_path)


def test_bytes_outside_utf_8_are_kept(tmp_path):
    assert (
        decode_text(b"path,label\n\xff.mp4,1\n", tmp_path).encode("utf-8", "surrogateescape")
        == b"path,label\n\xff.mp4,1\n"
    )
