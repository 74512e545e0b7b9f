"""unmask people: over a folder, of two files, with names, and on what shows nobody."""

import csv
import json
import shutil

import cv2
import numpy as np
import pytest
from examples.make_clips import PORTRAIT
from typer.testing import CliRunner

from unmask.cli import app


@pytest.fixture(scope="module")
def folder(tmp_path_factory, portrait, short_clips):
    """A portrait, a clip of her, two of her in one picture, nobody, and what is no picture."""
    folder = tmp_path_factory.mktemp("people")
    bgr = cv2.cvtColor(portrait, cv2.COLOR_RGB2BGR)
    cv2.imwrite(str(folder / "portrait.png"), bgr)
    cv2.imwrite(str(folder / "two.jpg"), np.concatenate([bgr, bgr[:, ::-1]], 1))
    cv2.imwrite(str(folder / "nobody.png"), np.full((200, 200, 3), 90, np.uint8))
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 this is no picture")
    shutil.copy(short_clips["authentic"], folder / "clip.mp4")
    return folder


def run(*arguments):
    return CliRunner().invoke(app, ["people", *map(str, arguments)])


def test_over_a_folder(folder, tmp_path):
    outputs = {name: tmp_path / f"people.{name}" for name in ("html", "csv", "json")}
    options = [part for name, path in outputs.items() for part in (f"--{name}", path)]
    done = run(folder, "--frames", 2, *options)
    assert done.exit_code == 3, done.output
    first, second = done.stdout.splitlines()
    assert first.split()[:4] == ["person", "1", "3", "files"]
    assert "clip.mp4 (0 s to 0." in first
    assert first.endswith("s), portrait.png, two.jpg")
    assert "two.jpg" in second, "two faces of one picture are two people"
    assert "nobody.png: No face of 40 pixels or more was found." in done.stderr
    assert "broken.jpg: " in done.stderr
    assert "2 people in 5 files" in done.stderr
    row = json.loads(outputs["json"].read_text())
    assert [file["status"] for file in row["files"]] == ["unreadable", "ok", "no_face", "ok", "ok"]
    assert len(list(csv.DictReader(outputs["csv"].read_text().splitlines()))) == 4
    assert outputs["html"].read_text().count("<img") == 4
    assert run(folder, "--csv", folder / "portrait.png").exit_code == 2
    assert run(folder, "--csv", "-", "--json", "-").exit_code == 2


def test_two_files_and_names(folder, tmp_path):
    done = run(folder / "portrait.png", folder / "clip.mp4", "--frames", 2)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("the same person: the distance 0.0")
    none = run(folder / "portrait.png", folder / "nobody.png")
    assert none.exit_code in (3, 4)
    assert none.stdout == "nothing to compare: nobody.png: No face of 40 pixels or more was found.\n"
    known = tmp_path / "known"
    known.mkdir()
    (known / "Eileen.png").write_bytes(PORTRAIT.read_bytes())
    (known / "Two.jpg").write_bytes((folder / "two.jpg").read_bytes())
    named = run(folder / "clip.mp4", "--known", known, "--frames", 1)
    assert named.stdout.split()[:3] == ["person", "1", "Eileen"]
    assert "shows 2 faces, so it does not tell which is Two's" in named.stderr
    assert run(folder / "clip.mp4", "--known", folder / "broken.jpg").exit_code == 2
