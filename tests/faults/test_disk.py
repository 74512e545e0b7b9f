"""Disks that are full, read-only, or gone: an error with its cure, and what was there before stays."""

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager

import pytest
from typer.testing import CliRunner

from unmask.cli import app
from unmask.prepare.clip_steps import ClipSteps
from unmask.scan.scanner import Scanner
from unmask.storage.outputs import PAGE_MARK

pytestmark = pytest.mark.usefixtures("searched_once")


def unmask(*args):
    return CliRunner().invoke(app, [str(arg) for arg in args])


@contextmanager
def mounted(folder, *options):
    """Mount a small disk in memory, where that is permitted."""
    folder.mkdir()
    if sys.platform != "linux" or os.geteuid():
        pytest.skip("only root can mount a disk")
    command = ["mount", "-t", "tmpfs", *options, "none", str(folder)]
    if (done := subprocess.run(command, capture_output=True, text=True, check=False)).returncode:
        pytest.skip(f"no disk can be mounted: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def tiny_disk(tmp_path):
    with mounted(tmp_path / "disk", "-o", "size=16k") as folder:
        yield folder


OLD = {
    "--json": b'{"schema_version": 2, "status": "ok", "settings": {}}\n',
    "--csv": b"filename,label\nold.mp4,0.123456\n",
    "--html": PAGE_MARK,
}
"""What an earlier run may have left, in the form of each output."""


@pytest.mark.parametrize("option", list(OLD))
def test_a_full_disk_in_the_middle_of_a_scan(tiny_disk, short_clips, option):
    old = tiny_disk / "old"
    if option == "--html":
        old.mkdir()
    file = old / "index.html" if option == "--html" else old
    file.write_bytes(OLD[option])
    done = unmask("scan", *short_clips.values(), option, old, "--frames", 16, "-q")
    assert done.exit_code == 2
    assert "No space left on device; the disk is full: make room, or name another place" in done.stderr
    assert "Traceback" not in done.output
    assert file.read_bytes() == OLD[option]
    assert not list(tiny_disk.rglob("*.tmp"))


def test_a_full_disk_in_the_middle_of_a_preparation(tiny_disk, sample):
    done = unmask("prepare", sample, "--out", tiny_disk / "out", "-q")
    assert done.exit_code == 2
    assert "make room" in done.stderr
    assert "Traceback" not in done.output


def test_room_on_a_full_disk_is_enough_to_go_on(tmp_path, short_clips):
    with mounted(tmp_path / "disk", "-o", "size=64k") as disk:
        (disk / "ballast").write_bytes(b"x" * (48 << 10))
        args = ["scan", *short_clips.values(), "--json", disk / "o.jsonl", "--frames", 16, "-q"]
        assert unmask(*args).exit_code == 2
        (disk / "ballast").unlink()
        assert unmask(*args, "--resume").exit_code == 0
        assert len((disk / "o.jsonl").read_text().splitlines()) == len(short_clips)


@contextmanager
def read_only(folder):
    """A folder in which nothing can be written, for root neither."""
    if os.geteuid():
        folder.mkdir(mode=0o500)
        yield folder
    else:
        with mounted(folder, "-o", "ro"):
            yield folder


@pytest.mark.skipif(sys.platform == "win32", reason="folders have no such permission")
def test_a_read_only_folder_is_reported_before_the_work(tmp_path, short_clips, sample, monkeypatch):
    monkeypatch.setattr(Scanner, "_scan", lambda *_: pytest.fail("nothing should be scanned"))
    with read_only(tmp_path / "closed") as folder:
        for args in (
            ["scan", short_clips["authentic"], "--json", folder / "o.jsonl"],
            ["explore", sample, "--out", folder],
            ["prepare", sample, "--out", folder / "out"],
        ):
            done = unmask(*args)
            assert done.exit_code == 2
            assert "name another" in done.stderr
            assert "Traceback" not in done.output


def test_an_output_folder_that_is_removed_ends_a_scan_soon(tmp_path, short_clips, monkeypatch):
    scanned, honest = [], Scanner._scan
    out = tmp_path / "out"
    out.mkdir()

    def scan(self, path, stopping):
        scanned.append(path)
        shutil.rmtree(out, ignore_errors=True)
        return honest(self, path, stopping)

    monkeypatch.setattr(Scanner, "_scan", scan)
    args = ["scan", *[short_clips["authentic"]] * 20, "--csv", out / "s.csv", "--frames", 2, "--workers", 1, "-q"]
    done = unmask(*args)
    assert done.exit_code == 2
    assert "was removed meanwhile: make it, or name another place" in done.stderr
    assert len(scanned) < 20


def test_an_output_folder_that_is_removed_ends_a_preparation_soon(tmp_path, sample, monkeypatch):
    honest, out = ClipSteps.run, tmp_path / "out"

    def run(self, *args):
        shutil.rmtree(out, ignore_errors=True)
        return honest(self, *args)

    monkeypatch.setattr(ClipSteps, "run", run)
    done = unmask("prepare", sample, "--out", out, "--steps", "boxes", "--workers", 1, "-q")
    assert done.exit_code == 2
    assert "was removed meanwhile" in done.stderr


def test_two_runs_on_one_output(tmp_path, short_clips, sample):
    """Whatever else they write: each output is held."""
    from unmask.storage.lock import sole_writer

    table = tmp_path / "s.csv"
    table.write_bytes(OLD["--csv"])
    with sole_writer(table):
        done = unmask("scan", short_clips["authentic"], "--json", tmp_path / "o.jsonl", "--csv", table)
        assert done.exit_code == 2
        assert f"another run is writing {table}; wait for it, or name another output" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["s.csv"]
    assert table.read_bytes() == OLD["--csv"]


def test_what_a_killed_run_held_is_free(tmp_path, short_clips):
    code = "import os, pathlib, sys, unmask.storage.lock\n"
    code += "held = unmask.storage.lock.sole_writer(pathlib.Path(sys.argv[1]))\nheld.__enter__()\nos._exit(9)"
    assert subprocess.run([sys.executable, "-c", code, tmp_path / "s.csv"], check=False).returncode == 9
    assert (tmp_path / ".s.csv.lock").exists()
    assert unmask("scan", short_clips["authentic"], "--csv", tmp_path / "s.csv", "--frames", 2, "-q").exit_code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["s.csv"]


@pytest.mark.parametrize("command", ["explore", "prepare"])
def test_two_runs_on_one_folder(tmp_path, sample, command):
    from unmask.storage.rowlog import RowLog

    out = tmp_path / "out"
    out.mkdir()
    log = out / ("explore.jsonl" if command == "explore" else "manifest.jsonl")
    with RowLog(log, lambda row: None):
        done = unmask(command, sample, "--out", out, "--resume")
    assert done.exit_code == 2
    assert f"another run is writing {log}" in done.stderr
