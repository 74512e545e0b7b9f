"""Whatever the user names as an output, nothing that unmask did not write itself is lost."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from unmask.cli import app
from unmask.scan.base import BaseScanner

pytestmark = pytest.mark.usefixtures("searched_once")


def unmask(*args, stdin=None):
    return CliRunner().invoke(app, [str(arg) for arg in args], input=stdin)


@pytest.fixture
def folder(tmp_path, short_clips, monkeypatch):
    """A working directory with two clips, a link and a hard link to one, and somebody's own files."""
    folder = tmp_path / "work"
    folder.mkdir()
    for name, clip in zip(("a.mp4", "b.mp4"), short_clips.values(), strict=True):
        shutil.copy(clip, folder / name)
    (folder / "link.csv").symlink_to("a.mp4")
    os.link(folder / "b.mp4", folder / "hard")
    (folder / "labels.csv").write_text("filename,label\na.mp4,0\nb.mp4,1\n")
    (folder / "notes.txt").write_text("mine\n")
    (folder / "data.json").write_text('{"mine": 1}\n')
    (folder / "journal").mkdir()
    (folder / "journal" / "verdicts.jsonl").write_text('{"mine": 1}\n')
    (folder / "notes").mkdir()
    (folder / "notes" / "index.html").write_text("<p>mine</p>")
    monkeypatch.chdir(folder)
    return folder


def contents(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


TARGETS = [
    "a.mp4", "./a.mp4", "A.mp4", "../work/a.mp4", "{folder}/b.mp4", "link.csv", "hard", "labels.csv", "notes.txt",
    "data.json", "new.mp4", "new.JPG", "notes",
]  # fmt: skip


@pytest.mark.parametrize("option", ["--json", "--csv", "--people", "--html"])
@pytest.mark.parametrize("target", TARGETS)
def test_scan_refuses_to_write_over_anything_of_others(folder, option, target):
    before = contents(folder)
    for args in (("a.mp4", "b.mp4", option, target.format(folder=folder)), (".", option, target.format(folder=folder))):
        if option == "--html" and target.startswith("new"):
            continue
        done = unmask("scan", *args, "--frames", 2)
        assert done.exit_code == 2, done.output
        assert "cannot write" in done.stderr
        assert "e.g. " in done.stderr or "remove it" in done.stderr
        assert not done.stdout
        assert contents(folder) == before


def test_the_option_that_swallows_a_list_of_videos_is_refused(folder):
    """``unmask scan --json *.mp4``: the shell gives the first video to the option."""
    before = contents(folder)
    for option in ("--json", "--csv", "--people"):
        done = unmask("scan", option, "a.mp4", "b.mp4")
        assert done.exit_code == 2
        assert "named like a video" in done.stderr
        assert contents(folder) == before


def test_a_page_in_place_of_a_clip_and_a_journal_in_the_way(folder):
    (folder / "page.html").write_text("mine")
    (folder / "v.csv.partial").write_text("my notes")
    before = contents(folder)
    assert "did not write" in unmask("scan", "a.mp4", "--html", "page.html").stderr
    for more in ((), ("--resume",)):
        done = unmask("scan", "a.mp4", "--csv", "v.csv", *more)
        assert done.exit_code == 2
        assert "is in the way" in done.stderr
    assert contents(folder) == before


COMMANDS = [
    ("explore", "{data}", "--out", "{data}"), ("prepare", "{data}", "--out", "{data}"),
    ("explore", "{data}", "--out", "notes"), ("prepare", "{data}", "--out", "a.mp4"),
    ("explore", "labels.csv", "--out", "labels.csv"), ("prepare", "labels.csv", "--out", "labels.csv"),
    ("train", "tiny", "--data", "{data}", "--out", "{data}"), ("train", "tiny", "--data", "{data}", "--out", "a.mp4"),
    ("evaluate", "p.csv", "--labels", "labels.csv", "--json", "p.csv"),
    ("evaluate", "p.csv", "--labels", "labels.csv", "--json", "labels.csv"),
    ("evaluate", "p.csv", "--labels", "labels.csv", "--json", "a.mp4"),
    ("evaluate", "p.csv", "--labels", "labels.csv", "--json", "data.json"),
    ("evaluate", "p.csv", "--labels", "labels.csv", "--out", "notes"),
    ("evaluate", "p.csv", "--labels", "labels.csv", "--out", "labels.csv"),
    ("bench", "--on", "{data}", "--out", "{data}"), ("bench", "--on", "{data}", "--out", "labels.csv"),
    ("models", "export", "{data}", "--out", "{data}", "--licence", "x"),
    ("models", "export", "{data}", "--out", "notes", "--licence", "x"),
    ("watch", ".", "--out", "."), ("watch", "{data}", "--out", "labels.csv", "--once"),
    ("watch", "{data}", "--out", "journal", "--once"), ("serve", "--data", "labels.csv", "--port", "0"),
    *(("scan", "a.mp4", "--engine", "local", "--out", out) for out in ("b.mp4", "link.csv", "labels.csv", "notes")),
    *(
        ("scan", "a.mp4", "--engine", "local", "--out", "run", "--metrics", metrics)
        for metrics in ("a.mp4", "link.csv", "hard", "new.mkv", "labels.csv", "notes")
    ),
    ("prepare", "{data}", "--out", "run", "--engine", "local", "--metrics", "a.mp4"),
    ("bench", "--on", "{data}", "--out", "{data}"), ("bench", "--on", "labels.csv", "--out", "notes.txt"),
    *(("merge", "run", option, "run/parts/1.jsonl") for option in ("--json", "--csv")),
    *(
        (*command, option, target)
        for command, options in (
            (("compare", "a.mp4", "b.mp4"), ("--json", "--html")),
            (("people", "a.mp4", "{data}"), ("--json", "--csv", "--html")),
            (("manifest", "a.mp4"), ("--out",)),
            (("faces", "a.mp4"), ("--out",)),
        )
        for option in options
        for target in ("a.mp4", "link.csv", "hard", "new.mkv", "labels.csv", "notes")
    ),
    ("sample", "{data}", "--portrait", "{portrait}"), ("sample", "a.mp4", "--portrait", "{portrait}"),
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_other_command_refuses_as_well(folder, command, portrait_file):
    (folder / "p.csv").write_text("filename,label\na.mp4,0.1\nb.mp4,0.9\n")
    data = folder / "data"
    shutil.copytree(folder, data, ignore=shutil.ignore_patterns("data"))
    (folder / "run" / "parts").mkdir(parents=True)
    (folder / "run" / "parts" / "1.jsonl").write_text(json.dumps({"schema_version": 1, "status": "ok", "settings": {}}))
    before = contents(folder)
    done = unmask(*(part.format(data=data, portrait=portrait_file) for part in command))
    assert done.exit_code == 2, done.output
    assert "Traceback" not in done.output
    assert not isinstance(done.exception, AssertionError)
    assert contents(folder) == before


@pytest.fixture
def portrait_file():
    from examples.make_clips import PORTRAIT

    return PORTRAIT


def test_what_unmask_wrote_is_replaced(folder):
    args = ("--csv", "v.csv", "--people", "p.csv", "--json", "v.jsonl", "--html", "report", "--frames", 2, "-q")
    assert unmask("scan", "a.mp4", *args).exit_code == 0
    assert unmask("scan", "b.mp4", *args).exit_code == 0
    assert [row["filename"] for row in csv.DictReader(Path("p.csv").read_text().splitlines())] == ["b.mp4"]
    assert json.loads(Path("v.jsonl").read_text())["path"] == "b.mp4"
    assert "b.mp4" in Path("report/000001.html").read_text()


def test_a_second_report_in_one_folder_has_no_pages_of_other_clips(folder):
    assert unmask("scan", "a.mp4", "b.mp4", "--html", "report", "--frames", 2, "-q").exit_code == 0
    assert unmask("scan", "a.mp4", "--html", "report", "--frames", 2, "-q").exit_code == 0
    assert sorted(path.name for path in Path("report").iterdir()) == ["000001.html", "index.html"]


def test_one_page_for_one_clip(folder):
    for _ in range(2):
        assert unmask("scan", "a.mp4", "--html", "a.html", "--frames", 2, "-q").exit_code == 0
    assert Path("a.html").is_file()
    assert "a.mp4" in Path("a.html").read_text()
    done = unmask("scan", "a.mp4", "b.mp4", "--html", "a.html", "--frames", 2)
    assert done.exit_code == 2
    assert "--html report" in done.stderr


@pytest.mark.parametrize("option", ["--csv", "--people"])
def test_tables_to_stdout(folder, clips, option):
    for name, clip in zip(("a.mp4", "b.mp4"), clips.values(), strict=True):
        shutil.copy(clip, name)  # long enough to be judged
    done = unmask("scan", "a.mp4", "b.mp4", option, "-", "--frames", 2)
    assert [row["filename"] for row in csv.DictReader(io.StringIO(done.stdout))] == ["a.mp4", "b.mp4"]
    assert "1 fake, 1 real" in done.stderr
    assert not Path("-").exists()
    assert not list(Path().glob("*.partial"))


NOT_TO_STDOUT = [
    ("scan", "a.mp4", "--html", "-"), ("scan", "a.mp4", "--engine", "local", "--out", "-"),
    ("scan", "a.mp4", "--engine", "local", "--out", "run", "--metrics", "-"), ("merge", "run", "--parquet", "-"),
    ("scan", "a.mp4", "--engine", "local", "--out", "run", "--csv", "-"), ("compare", "a.mp4", "b.mp4", "--html", "-"),
    ("people", "a.mp4", "--html", "-"), ("manifest", "a.mp4", "--out", "-"), ("faces", "a.mp4", "--out", "-"),
    ("explore", "labels.csv", "--out", "-"), ("prepare", "labels.csv", "--out", "-"), ("watch", ".", "--out", "-"),
    ("evaluate", "p.csv", "--labels", "labels.csv", "--out", "-"), ("train", "tiny", "--data", ".", "--out", "-"),
    ("serve", "--data", "-"),
]  # fmt: skip


@pytest.mark.parametrize("command", NOT_TO_STDOUT, ids=" ".join)
def test_nothing_is_called_dash(folder, command):
    before = contents(folder)
    done = unmask(*command)
    assert done.exit_code == 2, done.output
    assert "stdout" in done.stderr
    assert contents(folder) == before


def test_a_merged_run_goes_to_stdout(folder):
    unmask("scan", "a.mp4", "b.mp4", "--engine", "local", "--out", "run", "--frames", 2, "--workers", 1, "-q")
    table = unmask("merge", "run", "--csv", "-")
    assert [row["filename"] for row in csv.DictReader(io.StringIO(table.stdout))] == ["a.mp4", "b.mp4"]
    assert "2 rows: 2 ok" in table.stderr
    assert [json.loads(line)["path"] for line in unmask("merge", "run", "--json", "-").stdout.splitlines()] == [
        "a.mp4", "b.mp4",
    ]  # fmt: skip
    assert unmask("merge", "run", "--json", "-", "--csv", "-").exit_code == 2
    assert not Path("-").exists()


def test_time_is_written_on_request(folder):
    for more, keys in (((), set()), (("--timing",), {"elapsed_seconds", "scanned_at"})):
        for where in ("v.jsonl", "-"):
            done = unmask("scan", "a.mp4", "--json", where, "--frames", 2, "-q", *more)
            row = json.loads(done.stdout if where == "-" else Path("v.jsonl").read_text())
            assert row.keys() & {"elapsed_seconds", "scanned_at"} == keys


@pytest.fixture
def scanned(monkeypatch):
    """Names of the files that are really scanned."""
    names = []
    original = BaseScanner._scan

    def noting(self, path, stopping):
        names.append(Path(path).name)
        return original(self, path, stopping)

    monkeypatch.setattr(BaseScanner, "_scan", noting)
    return names


@pytest.mark.parametrize("spelling", ["{folder}", ".", "../work", "./", "a.mp4", "{folder}/a.mp4"])
def test_resume_knows_a_file_however_it_is_spelled(folder, scanned, spelling):
    unmask("scan", "../work/a.mp4", "b.mp4", "--json", "../v.jsonl", "--frames", 2, "-q")
    assert scanned == ["a.mp4", "b.mp4"]
    scanned.clear()
    named = spelling.format(folder=folder)
    done = unmask("scan", named, "--json", "../v.jsonl", "--csv", "../v.csv", "--frames", 2, "--resume", "-q")
    assert done.exit_code == 0, done.output
    assert scanned == []
    rows = [json.loads(line) for line in Path("../v.jsonl").read_text().splitlines()]
    assert [Path(row["path"]).name for row in rows] == (
        ["a.mp4"] if named.endswith("a.mp4") else ["a.mp4", "b.mp4", "hard"]
    )
    assert all(row["path"] == str(Path(named, name) if Path(named).is_dir() else named)
               for row, name in zip(rows, ("a.mp4", "b.mp4", "hard"), strict=False))  # fmt: skip


def test_resume_after_a_move_and_a_change(folder, scanned, short_clips):
    unmask("scan", "a.mp4", "b.mp4", "--json", "v.jsonl", "--frames", 2, "-q")
    scanned.clear()
    Path("a.mp4").rename("c.mp4")
    shutil.copy(short_clips["authentic"], "b.mp4")
    assert unmask("scan", "c.mp4", "b.mp4", "--json", "v.jsonl", "--frames", 2, "--resume", "-q").exit_code == 0
    assert scanned == []  # b.mp4 has changed, to what was judged under another name
    rows = [json.loads(line) for line in Path("v.jsonl").read_text().splitlines()]
    assert [row["path"] for row in rows] == ["c.mp4", "b.mp4"]
    assert rows[0]["sha256"] == rows[1]["sha256"]
    with Path("b.mp4").open("ab") as file:
        file.write(b"\0\0\0\x08free")
    unmask("scan", "c.mp4", "b.mp4", "--json", "v.jsonl", "--frames", 2, "--resume", "-q")
    assert scanned == ["b.mp4"]


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of a shell")
@pytest.mark.parametrize("more", ["", "--json -", "--csv -", "--csv v.csv", "-v"])
def test_a_reader_that_leaves_ends_it_quietly(folder, more):
    Path("hard").unlink()
    for number in range(2):
        shutil.copy("a.mp4", f"c{number}.mp4")
    command = f"{sys.executable} -m unmask scan . --frames 2 {more} | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120)
    *shown, code = done.stdout.splitlines()
    assert len(shown) == 1
    assert "Broken pipe" not in done.stderr
    assert "Traceback" not in done.stderr
    assert code in ("141", "0")
    assert code == "141" or more == "--csv -"  # the whole table is one write, which the pipe holds


def test_a_closed_stdout_is_quiet_for_all_commands(folder):
    for command in ("models list", "doctor", "--help", "scan -h"):
        code = f"{sys.executable} -m unmask {command} | true; echo ${{PIPESTATUS[0]}}"
        done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, timeout=120)
        assert "Broken pipe" not in done.stderr
        assert "Traceback" not in done.stderr
