"""Whatever a file is called, its name stays a name."""

import csv
import os
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.cli.test_scan import unmask
from tests.hostile.conftest import scan
from unmask.report.csv import FORMULA_STARTS, spreadsheet_name

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="most of these names cannot be given there")

NAMES = [
    os.fsdecode(name)
    for name in (
        b"=cmd|' _C calc'!A0.mp4",
        b"@SUM(1+1).mp4",
        b"+1.mp4",
        b"-rf.mp4",
        b"'=1+1.mp4",
        b"<script>alert(1)<_script>.mp4",
        b'"><svg onload=alert(1)>.mp4',
        b"' onmouseover='alert(1).mp4",
        b"{{ 7 * 7 }}.mp4",
        b"a,b\"c'.mp4",
        b"a'b;$(touch pwn)`touch pwn`.mp4",
        b"new\nline.mp4",
        b"carriage\rreturn.mp4",
        b"tab\t.mp4",
        b"\ttab first.mp4",
        b"\x1b[31mred\x07.mp4",
        b"\xff\xfe\x80.mp4",
        "\u202egpj.mp4".encode(),
        "e\u0301.mp4".encode(),
        b"%41%2e.mp4",
        b"x%03d.mp4",
        b"http:evil.mp4",
        b"concat:x|y.mp4",
        b"CON.mp4",
        b".hidden.mp4",
        b" .MP4",
        b"x" * 250 + b".mp4",
    )
]


class Structure(HTMLParser):
    """The elements of a page with the names of their attributes, in order."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, ...]] = []
        self.feed(page.read_text())

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, *(name for name, _ in attrs)))


@pytest.fixture(scope="module")
def films(tmp_path_factory, good):
    """Two folders with the same files, the one judged and the many broken, under hostile and under plain names."""
    folders = [tmp_path_factory.mktemp(kind) for kind in ("hostile_names", "plain_names")]
    for number, name in enumerate(sorted(NAMES)):
        content = good[0].read_bytes() if number == 0 else b"not a video"
        for folder, called in zip(folders, (name, f"{number:02d}.mp4"), strict=True):
            (folder / called).write_bytes(content)
    return folders


@pytest.fixture(scope="module")
def scans(films, tmp_path_factory):
    return [scan(tmp_path_factory.mktemp("names"), folder) for folder in films]


def test_json_and_table_keep_every_name(scans):
    hostile, plain = scans
    assert [Path(row["path"]).name for row in hostile.rows] == sorted(NAMES)
    assert [row["status"] for row in hostile.rows] == [row["status"] for row in plain.rows]
    with (hostile.place / "out" / "s.csv").open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        cells = [row[0] for row in csv.reader(file, strict=True)][1:]
    assert [spreadsheet_name(cell) for cell in cells] == sorted(NAMES)
    assert not [cell for cell in cells if cell.startswith(FORMULA_STARTS) and not cell.startswith("'")]


def test_one_printable_line_each(scans):
    hostile, plain = scans
    assert len(hostile.lines) == len(plain.lines) == len(NAMES)
    assert all(line.isprintable() for line in hostile.lines)
    assert hostile.exit_code == plain.exit_code == 4  # all but one fail alike


def test_no_element_is_born_of_a_name(scans):
    pages = [sorted((result.place / "out" / "report").iterdir()) for result in scans]
    assert len(pages[0]) == len(NAMES) + 1
    for hostile, plain in zip(*pages, strict=True):
        assert Structure(hostile).elements == Structure(plain).elements, hostile
        assert "default-src 'none'" in hostile.read_text()


def test_nothing_is_run(scans):
    for folder in ("home", "tmp", "work"):
        assert not list((scans[0].place / folder).iterdir())


def test_equal_names_in_two_folders_stay_apart_and_a_folder_has_no_row(tmp_path):
    films = []
    for folder in ("a", "b.mp4"):
        (tmp_path / folder / "folder.mp4").mkdir(parents=True)
        films.append(tmp_path / folder / "x.mp4")
        films[-1].write_bytes(b"not a video")
    unmask("scan", tmp_path / "a", tmp_path / "b.mp4", "--csv", tmp_path / "s.csv", "-q")
    with (tmp_path / "s.csv").open(newline="") as file:
        assert [row[0] for row in csv.reader(file)][1:] == list(map(str, films))
