import json
from pathlib import Path

import jsonschema
import pytest
from typer.testing import CliRunner

from tests.comparison.films import frames_of, write
from unmask.cli import app
from unmask.compared import Comparison

pytestmark = pytest.mark.slow

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "comparison.schema.json").read_text())


def unmask(*args):
    return CliRunner().invoke(app, ["compare", *map(str, args)])


@pytest.fixture
def films(made_once, portrait, blended):
    def fill(folder):
        write(folder / "original.mp4", frames_of(portrait))
        write(folder / "suspect.mp4", frames_of(blended), crf=28)
        write(folder / "other.mp4", (frame[::-1] for frame in frames_of(blended, 20)))

    return made_once("compared_by_command", fill)


def test_the_answer_the_json_and_the_page(films, tmp_path):
    out, page = tmp_path / "c.json", tmp_path / "c.html"
    done = unmask(films / "suspect.mp4", films / "original.mp4", "--json", out, "--html", page, "--frames", 8, "-v")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("changed  ")
    assert "person 1" in done.stdout
    row = json.loads(out.read_text())
    jsonschema.Draft202012Validator(SCHEMA).validate(row)
    assert row["faces"][0]["pictures"] == []
    assert Comparison.from_dict(row).outcome == "changed"
    assert "data:image/jpeg" in page.read_text()
    again = unmask(films / "suspect.mp4", films / "suspect.mp4", "--json", out, "--html", page)  # its own files
    assert "same file" in again.stderr
    assert again.exit_code == 2


def test_not_the_same_footage_has_an_exit_code_of_its_own(films, tmp_path):
    done = unmask(films / "other.mp4", films / "original.mp4", "--json", "-", "--html", tmp_path / "page.html")
    assert done.exit_code == 5
    row = json.loads(done.stdout)
    jsonschema.Draft202012Validator(SCHEMA).validate(row)
    assert (row["outcome"], row["alignment"], row["faces"]) == ("not_the_same_footage", None, [])
    assert "not the same footage" in (tmp_path / "page.html").read_text()


def test_a_file_that_cannot_be_read(films, tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"no film")
    done = unmask(tmp_path / "broken.mp4", films / "original.mp4")
    assert done.exit_code == 4
    assert "the suspect, " in done.stderr


def test_outputs_replace_neither_inputs_nor_files_of_others(films, tmp_path):
    mine = tmp_path / "notes.json"
    mine.write_text('{"mine": 1}')
    suspect, original = films / "suspect.mp4", films / "original.mp4"
    for options in (
        ["--json", mine],
        ["--html", original],
        ["--json", tmp_path / "clip.mp4"],
        ["--html", tmp_path],
        ["--html", "-"],
        ["--maps"],
        ["--json", tmp_path / "a", "--html", tmp_path / "a"],
    ):
        done = unmask(suspect, original, *options)
        assert done.exit_code == 2, options
        assert "unmask: " in done.stderr
    assert mine.read_text() == '{"mine": 1}'
