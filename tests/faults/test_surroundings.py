"""The same bytes come out wherever, whenever and by whomever it is run."""

import os

import pytest

from tests.faults.processes import contents, start

ELSEWHERE = {"LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8", "TZ": "Pacific/Kiritimati", "PYTHONUTF8": "0"}
PLAIN = {"LC_ALL": "C", "TZ": "UTC", "PYTHONHASHSEED": "1"}


@pytest.fixture
def folder(tmp_path, short_clips):
    folder = tmp_path / "vidéos"
    folder.mkdir()
    for name, clip in short_clips.items():
        (folder / f"é{name}.mp4").write_bytes(clip.read_bytes())
    (folder / "broken.mp4").write_bytes(b"no video")
    return folder


def run(*args, home, umask, **environment):
    """Run in a working folder of its own; return what it wrote into ``out`` there."""
    home.mkdir()
    (home / "out").mkdir()
    process = start(*args, mark=home, cwd=home, umask=umask, environment=environment)
    _, talk = process.communicate(timeout=120)
    assert process.returncode in (0, 3), talk
    return contents(home / "out")


def test_scans(folder, tmp_path):
    args = ["scan", folder, "--json", "out/o.jsonl", "--csv", "out/s.csv", "--html", "out/report", "--frames", 2]
    here = run(*args, home=tmp_path / "here", umask=0o022, **PLAIN)
    there = run(*args, home=tmp_path / "there", umask=0o077, **ELSEWHERE)
    assert len(here) == 6
    assert here == there
    if os.name == "posix":
        assert (tmp_path / "there" / "out" / "s.csv").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("command", ["explore", "prepare"])
def test_datasets(sample, tmp_path, command):
    more = ["--sample", 0] if command == "explore" else ["--steps", "boxes,folds", "--every", 20]
    args = [command, sample, "--out", "out", *more, "-q"]
    here = run(*args, home=tmp_path / "here", umask=0o022, **PLAIN)
    there = run(*args, home=tmp_path / "there", umask=0o077, **ELSEWHERE)
    assert len(here) > 4
    assert here == there
