"""Each mistake in naming a dataset gets a sentence of its own, with what to do."""

import os
import shutil

import pytest
from typer.testing import CliRunner

from unmask.cli import app


@pytest.fixture
def folder(tmp_path, short_clips, monkeypatch):
    for name in ("empty", "unlabelled"):
        (tmp_path / name).mkdir()
    for clip in short_clips.values():
        shutil.copy(clip, tmp_path / "unlabelled")
    shutil.copy(short_clips["authentic"], tmp_path / "clip.mp4")
    (tmp_path / "notes.md").write_text("# Notes\nmine\n")
    (tmp_path / "gone.csv").write_text("path,label\nx/a.mp4,real\nx/b.mp4,fake\n")
    (tmp_path / "torn.csv").write_text('path,label\n"a.mp4,real\n')
    (tmp_path / "words.csv").write_text("path,label\nclip.mp4,so-so\n")
    (tmp_path / "book.csv").write_bytes(b"PK\x03\x04" + os.urandom(99))
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 and no more")
    (tmp_path / "other.csv").write_text("a;b\n1;2\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


MISTAKES = {
    "nowhere": "nowhere does not exist; name a dataset's folder",
    "empty": "empty is an empty folder; name the folder that holds the videos",
    "clip.mp4": "clip.mp4 is no table: it is a video",
    "notes.md": "notes.md needs a header with the column path",
    "unlabelled": "unlabelled holds 2 videos, but nothing that says which are real and which are fake",
    "gone.csv": "gone.csv lists 2 files, and none of them is there, e.g. 'x/a.mp4'; paths start from",
    "torn.csv": "torn.csv is no CSV: line",
    "words.csv": "words.csv: 'line 2': label 'so-so' is neither real nor fake",
    "book.csv": "Excel workbook; save it as CSV",
    "torn.parquet": "torn.parquet",
    "other.csv": "it has 'a, b', separated by semicolons",
}


EXPLORED = ("clip.mp4", "unlabelled")
"""What ``unmask explore`` takes all the same: clips without labels."""


@pytest.mark.parametrize(
    ("command", "data"),
    [("prepare", data) for data in MISTAKES] + [("explore", data) for data in MISTAKES if data not in EXPLORED],
)
def test_each_mistake_has_its_sentence(folder, command, data):
    done = CliRunner().invoke(app, [command, data, "--out", "out"])
    assert done.exit_code == 2, done.output
    assert MISTAKES[data] in done.stderr
    assert "Traceback" not in done.output
    assert not (folder / "out").exists()


def test_the_sentences_differ(folder):
    told = {data: CliRunner().invoke(app, ["prepare", data, "--out", "out"]).stderr for data in MISTAKES}
    plain = {text.replace(data, "") for data, text in told.items()}
    assert len(plain) == len(MISTAKES)
