import base64
import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from typer.main import get_command
from typer.testing import CliRunner

from tests.media_factory import heed_interrupts, pattern, write_video
from tests.scan.test_scanner import bad_inputs
from unmask.cli import app

pytestmark = pytest.mark.usefixtures("searched_once")


def unmask(*args, stdin=None):
    return CliRunner().invoke(app, [str(arg) for arg in args], input=stdin)


@pytest.fixture
def folder(tmp_path, short_clips):
    """Three short clips: authentic, blended, and one without a face."""
    folder = tmp_path / "videos"
    folder.mkdir()
    for clip in short_clips.values():
        (folder / clip.name).write_bytes(clip.read_bytes())
    write_video(folder / "nobody.mp4", map(pattern, range(10)))
    return folder


def test_options_are_frozen():
    """A new option needs a reason: say it here."""
    commands = get_command(app).commands
    options = {name: sorted(o for p in c.params for o in p.opts if o.startswith("--")) for name, c in commands.items()}
    assert options["scan"] == [
        "--adaptive", "--address", "--csv", "--device", "--engine", "--follow-links", "--frames", "--frames-folder",
        "--fuse", "--html", "--identity", "--json", "--limits", "--maps", "--metrics", "--model", "--out", "--people",
        "--pieces", "--precision", "--preset", "--quiet", "--recursive", "--resume", "--sampling", "--shard",
        "--timing", "--triage", "--trust", "--verbose", "--workers",
    ]  # fmt: skip
    assert options["people"] == [
        "--csv", "--frames", "--html", "--identity", "--json", "--known", "--limits", "--quiet", "--recursive",
        "--workers",
    ]  # fmt: skip
    assert options["explore"] == [
        "--dataset", "--detectors", "--extract-audio", "--extract-frames", "--follow-links", "--frames-per-second",
        "--limits", "--out", "--quiet", "--resume", "--sample", "--seed", "--trust", "--workers",
    ]  # fmt: skip
    assert options["faces"] == ["--at", "--out", "--stages"]
    assert options["prepare"] == [
        "--address", "--as", "--boxes-from", "--dataset", "--detector", "--detector-scale", "--engine", "--every",
        "--fold-by", "--folds", "--follow-links", "--image-format", "--limits", "--metrics", "--out", "--quiet",
        "--resume", "--shard", "--steps", "--unchanged", "--workers",
    ]  # fmt: skip
    assert options["manifest"] == ["--column", "--follow-links", "--out", "--recursive"]
    assert options["merge"] == ["--csv", "--json", "--parquet"]
    assert options["sample"] == ["--groups", "--parts", "--seconds", "--seed"]
    assert options["evaluate"] == [
        "--bootstrap", "--calibrate", "--data", "--error", "--false-alarms", "--json", "--labels", "--model", "--out",
        "--quiet", "--seed",
    ]  # fmt: skip
    assert options["bench"] == [
        "--bootstrap", "--cell", "--clips", "--device", "--frames", "--metamorphic", "--on", "--out", "--quiet",
        "--robustness", "--seed", "--split", "--workers",
    ]  # fmt: skip
    assert options["train"] == [
        "--checkpoint-every", "--data", "--device", "--dry-run", "--out", "--plot", "--quiet", "--resume", "--set",
        "--workers",
    ]  # fmt: skip
    assert options["serve"] == [
        "--allow-host", "--allow-origin", "--certificate", "--data", "--database", "--frames", "--host", "--keep-days",
        "--key", "--limits", "--max-queue", "--max-upload", "--model", "--port", "--workers",
    ]  # fmt: skip
    assert options["watch"] == [
        "--frames", "--limits", "--model", "--once", "--out", "--quiet", "--recursive", "--workers",
    ]  # fmt: skip
    assert options["mcp"] == ["--url"]
    assert options["compare"] == [
        "--device", "--frames", "--html", "--json", "--limits", "--maps", "--model", "--precision", "--quiet",
        "--verbose",
    ]  # fmt: skip
    assert sorted(commands) == [
        "bench",
        "compare",
        "doctor",
        "evaluate",
        "explore",
        "faces",
        "manifest",
        "mcp",
        "merge",
        "models",
        "people",
        "prepare",
        "sample",
        "scan",
        "serve",
        "train",
        "watch",
    ]


def test_one_line_a_video(folder):
    done = unmask("scan", folder, "--frames", 8)
    lines = done.stdout.splitlines()
    assert done.exit_code == 3
    assert [line.split()[0] for line in lines] == ["real", "fake", "no_face"]
    assert "1 fake, 1 real, 1 no_face" in done.stderr


def test_all_outputs(folder, tmp_path):
    done = unmask(
        "scan",
        folder,
        "--frames",
        8,
        "--csv",
        tmp_path / "s.csv",
        "--json",
        tmp_path / "o.jsonl",
        "--html",
        tmp_path / "report",
    )
    rows = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    assert [Path(row["path"]).name for row in rows] == ["authentic.mp4", "blended.mp4", "nobody.mp4"]
    needed = "path status label fake_probability reasons faces frames models media settings version"
    assert set(needed.split()) <= set(rows[0])
    assert {"duration_seconds", "width", "height"} <= set(rows[0]["media"])
    table = list(csv.DictReader((tmp_path / "s.csv").read_text().splitlines()))
    assert [row["filename"] for row in table] == ["authentic.mp4", "blended.mp4", "nobody.mp4"]
    assert [float(row["label"]) for row in table] == [rows[0]["fake_probability"], rows[1]["fake_probability"], 0.5]
    assert "1 videos have no number" in done.stderr
    index = (tmp_path / "report" / "index.html").read_text()
    assert "000002.html" in index
    assert "blended.mp4" in (tmp_path / "report" / "000002.html").read_text()
    assert not list(tmp_path.glob("*.partial"))


def test_json_to_stdout_and_a_list_from_stdin(short_clips):
    done = unmask("scan", "-", "--json", "-", "--frames", 4, "-q", stdin="\n".join(map(str, short_clips.values())))
    assert [json.loads(line)["path"] for line in done.stdout.splitlines()] == list(map(str, short_clips.values()))
    assert done.exit_code == 0
    assert not done.stderr


def test_fusion_and_adaptive_reach_the_scanner(short_clips, tmp_path):
    out = tmp_path / "o.jsonl"
    assert unmask("scan", short_clips["blended"], "--json", out, "--fuse", "max", "--adaptive", "-q").exit_code == 0
    row = json.loads(out.read_text())
    assert row["settings"]["fusion"]["frames"] == "max"
    assert row["settings"]["adaptive"]["first_frames"] == 8
    assert row["fake_probability"] == max(frame["fake_probability"] for frame in row["frames"])


def test_verbose_shows_the_people(short_clips):
    done = unmask("scan", short_clips["blended"], "-v", "--frames", 8)
    assert "person 1" in done.stdout
    assert done.exit_code == 0


def test_exit_codes(tmp_path, short_clips):
    expected = bad_inputs(tmp_path, short_clips)
    assert unmask("scan", *(tmp_path / name for name in expected), "-q").exit_code == 4
    assert (
        unmask(
            "scan", short_clips["authentic"], tmp_path / "empty.mp4", tmp_path / "noise.mp4", "-q", "--frames", 2
        ).exit_code
        == 4
    )
    assert unmask("scan", short_clips["authentic"], tmp_path / "empty.mp4", "-q", "--frames", 2).exit_code == 3
    assert unmask("scan", short_clips["authentic"], "-q", "--frames", 2).exit_code == 0


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["scan"], "Missing argument"),
        (["scan", "x.mp4", "--precision", "int4"], "int4"),
        (["scan", "x.mp4", "--frames", "0"], "equal to 1"),
        (["scan", "x.mp4", "--model", "nobody"], "no model"),
        (["scan", "x.mp4", "--preset", "winner"], "unmask models pull winner"),
        (["scan", "x.mp4", "--preset", "winner", "--model", "bundled"], "margin is 0.0"),
        (["scan", "x.mp4", "--identity", "nowhere"], "no embedder"),
        (["scan", "x.mp4", "--csv", "/nowhere/at/all.csv"], "does not exist"),
        (["scan", "x.mp4", "--csv", "{empty}"], "this is a folder"),
        (["scan", "x.mp4", "--html", __file__], "this is a file"),
        (["scan", "x.mp4", "--csv", "{empty}/z", "--json", "{empty}/z"], "are the same"),
        (["scan", "x.mp4", "--csv", "-", "--json", "-"], "only one of --json and --csv can go to stdout"),
        (["scan", "x.mp4", "--csv", "-", "--resume"], "needs an output"),
        (["scan", "x.mp4", "y.mp4", "--html", "{empty}/z.html"], "there are 2 videos; name a folder"),
        (["scan", "x.mp4", "--resume"], "needs an output"),
        (["scan", "{empty}"], "no video found"),
    ],
)
def test_wrong_use_is_code_2_and_a_sentence(tmp_path, args, message):
    done = unmask(*(arg.replace("{empty}", str(tmp_path)) for arg in args))
    assert done.exit_code == 2
    assert message in done.stderr
    assert "Traceback" not in done.output


def test_resume_scans_only_what_is_new_or_changed(folder, tmp_path, short_clips, monkeypatch):
    out = tmp_path / "o.jsonl"
    unmask("scan", folder, "--json", out, "--frames", 8, "-q")
    first = out.read_bytes()
    from unmask.scan.scanner import Scanner

    scanned = []
    original = Scanner._scan

    def noting(self, path, stopping):
        scanned.append(Path(path).name)
        return original(self, path, stopping)

    monkeypatch.setattr(Scanner, "_scan", noting)
    assert unmask("scan", folder, "--json", out, "--frames", 8, "-q", "--resume").exit_code == 3
    assert scanned == []
    assert out.read_bytes() == first
    (folder / "nobody.mp4").write_bytes(short_clips["authentic"].read_bytes() + b"\0\0\0\x08free")
    unmask("scan", folder, "--json", out, "--frames", 8, "-q", "--resume")
    assert scanned == ["nobody.mp4"]
    done = unmask("scan", folder, "--json", out, "--frames", 7, "-q", "--resume")
    assert len(scanned) == 4
    assert "3 rows of an earlier run were made with other models or settings" in done.stderr


def test_an_interrupted_run_goes_on_with_the_same_result(folder, tmp_path, monkeypatch):
    out = tmp_path / "o.jsonl"
    unmask("scan", folder, "--json", out, "--frames", 8, "-q")
    whole = out.read_bytes()
    out.unlink()
    from unmask.scan.scanner import Scanner

    original = Scanner._scan

    def stop_at_the_second(self, path, stopping):
        if Path(path).name == "blended.mp4":
            raise KeyboardInterrupt
        return original(self, path, stopping)

    with monkeypatch.context() as patch:
        patch.setattr(Scanner, "_scan", stop_at_the_second)
        done = unmask("scan", folder, "--json", out, "--frames", 8, "--workers", 1)
    assert done.exit_code == 130
    assert "--resume" in done.stderr
    assert not out.exists()
    partial = tmp_path / "o.jsonl.partial"
    assert [json.loads(line)["status"] for line in partial.read_bytes().splitlines() if line] == ["ok"]
    with partial.open("ab") as file:
        file.write(b'{"path": "torn')
    assert unmask("scan", folder, "--json", out, "--frames", 8, "-q", "--resume").exit_code == 3
    assert out.read_bytes() == whole
    assert not partial.exists()


def test_outputs_are_replaced_whole_or_not_at_all(folder, tmp_path, monkeypatch):
    out = tmp_path / "s.csv"
    old = "filename,label\nold.mp4,0.123\n"
    out.write_text(old)
    import unmask.report.csv as rows

    original = rows.csv.writer

    class FullAfterTwoRows:
        def __init__(self, *args, **kwargs):
            self.writer, self.count = original(*args, **kwargs), 0

        def writerow(self, row):
            self.count += 1
            if self.count > 2:
                raise OSError("disk full")
            self.writer.writerow(row)

    monkeypatch.setattr(rows.csv, "writer", FullAfterTwoRows)
    done = unmask("scan", folder, "--csv", out, "--frames", 2, "-q")
    assert done.exit_code == 2
    assert out.read_text() == old
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s.csv", "s.csv.partial", "videos"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_device_is_an_error(short_clips):
    done = unmask("scan", short_clips["authentic"], "--csv", "/dev/full", "--frames", 2, "-q")
    assert done.exit_code == 2
    assert "No space left" in done.stderr


def test_models_and_doctor(tmp_path, monkeypatch):
    monkeypatch.setenv("UNMASK_HOME", str(tmp_path))
    assert "bundled" in unmask("models", "list").stdout
    assert unmask("models", "verify").exit_code == 0
    assert unmask("models", "verify", "nobody").exit_code == 3
    done = unmask("doctor")
    assert done.exit_code == 0, done.output
    assert done.stdout.count("ok  ") == 8


def test_doctor_names_the_cure(monkeypatch):
    from unmask.cli import checks

    def broken():
        raise RuntimeError("two wheels; run: pip uninstall one")

    monkeypatch.setitem(checks.CHECKS, "OpenCV", broken)
    done = unmask("doctor")
    assert done.exit_code == 3
    assert "FAIL  OpenCV: two wheels; run: pip uninstall one" in done.stdout


def test_version():
    import unmask as package

    assert unmask("--version").stdout.strip() == f"unmask {package.__version__}"


def test_help_prints_defaults():
    text = " ".join(unmask("scan", "--help").stdout.split())
    assert "[default: 32; x>=1]" in text
    assert "Exit codes" in text


def test_numbers_are_plain(short_clips, tmp_path):
    unmask("scan", short_clips["authentic"], "--json", tmp_path / "o.jsonl", "--frames", 2, "-q")
    row = json.loads((tmp_path / "o.jsonl").read_text(), parse_constant=lambda name: pytest.fail(name))
    assert isinstance(row["frames"][0]["xyxy_px"][0], float)
    assert np.isfinite(row["fake_probability"])


def run(*args, **options):
    """Run the command line in a process of its own."""
    command = [sys.executable, "-m", "unmask", *map(str, args)]
    return subprocess.Popen(command, preexec_fn=heed_interrupts, **options)


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a terminal")
def test_the_progress_bar_leaves_stdout_alone(short_clips):
    main, terminal = os.openpty()
    shown = []

    def read():
        with suppress(OSError):  # nobody holds the terminal any more
            while content := os.read(main, 1 << 16):
                shown.append(content)

    reading = threading.Thread(target=read)  # a terminal that nobody reads is full some time, and the scan waits
    reading.start()
    process = run("scan", *short_clips.values(), "--json", "-", "--frames", 4, stdout=subprocess.PIPE, stderr=terminal)
    os.close(terminal)
    try:
        out, _ = process.communicate(timeout=120)
    finally:
        process.kill()
        process.wait(30)
        reading.join(30)
        os.close(main)
    assert [json.loads(line)["path"] for line in out.splitlines()] == list(map(str, short_clips.values()))
    assert b"scanning" in b"".join(shown)


def test_two_runs_on_one_output_do_not_mix(short_clips, tmp_path):
    from unmask.errors import UsageError
    from unmask.scan.journal import Journal

    with Journal(tmp_path / "o.jsonl.partial", "hash"):
        done = unmask("scan", short_clips["authentic"], "--json", tmp_path / "o.jsonl", "--frames", 2)
        assert done.exit_code == 2
        assert "another run" in done.stderr
        with pytest.raises(UsageError, match="another run"):
            Journal(tmp_path / "o.jsonl.partial", "hash", resume=True)


def test_what_an_interrupted_run_left_is_not_wiped(short_clips, tmp_path):
    (tmp_path / "o.jsonl.partial").write_text('{"schema_version":2}\n')
    done = unmask("scan", short_clips["authentic"], "--json", tmp_path / "o.jsonl", "--frames", 2)
    assert done.exit_code == 2
    assert "--resume" in done.stderr
    assert (tmp_path / "o.jsonl.partial").read_text() == '{"schema_version":2}\n'


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="needs /dev/stdout")
def test_a_table_to_stdout(short_clips, tmp_path):
    with (tmp_path / "out.csv").open("wb") as out:
        assert (
            run("scan", short_clips["authentic"], "--csv", "/dev/stdout", "--frames", 2, "-q", stdout=out).wait() == 0
        )
    assert "filename,label\nauthentic.mp4,0." in (tmp_path / "out.csv").read_text()
    assert Path("/dev/stdout").is_symlink()


def test_a_link_stays_a_link(short_clips, tmp_path):
    (tmp_path / "real.csv").write_text("filename,label\n")
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    unmask("scan", short_clips["authentic"], "--csv", tmp_path / "link.csv", "--frames", 2, "-q")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text().startswith("filename,label")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGINT")
def test_ctrl_c_ends_soon_and_keeps_what_is_done(short_clips, tmp_path, portrait):
    folder = tmp_path / "videos"
    folder.mkdir()
    for i in range(60):
        (folder / f"{i:02d}.mp4").write_bytes(short_clips["authentic"].read_bytes())
    out = tmp_path / "o.jsonl"
    process = run("scan", folder, "--json", out, "-q", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    started = time.monotonic()
    _, talk = process.communicate(timeout=60)
    assert time.monotonic() - started < 10
    assert process.returncode == 130, talk
    assert b"--resume" in talk
    assert len((tmp_path / "o.jsonl.partial").read_bytes().splitlines()) >= 1
    assert not out.exists()


def test_an_unreadable_name_still_gets_a_row(short_clips):
    done = unmask("scan", short_clips["authentic"], "", "-q", "--frames", 2)
    assert len(done.stdout.splitlines()) == 2
    assert done.exit_code == 3


def test_maps_are_written_on_request_alone(short_clips, tmp_path):
    clip, out, page = short_clips["blended"], tmp_path / "o.jsonl", tmp_path / "page.html"
    assert unmask("scan", clip, "--json", out, "--html", page, "-q").exit_code == 0
    assert json.loads(out.read_text())["pictures"] == []
    assert 'class="strip"' in page.read_text()
    assert unmask("scan", clip, "--json", out, "--maps", "-q").exit_code == 0
    (person,) = json.loads(out.read_text())["pictures"]
    assert len(person["strip"]) == 6
    assert all(base64.b64decode(sighting["map_png"]).startswith(b"\x89PNG") for sighting in person["strip"])


def test_maps_need_a_place(short_clips):
    done = unmask("scan", short_clips["blended"], "--maps")
    assert done.exit_code == 2
    assert "--json FILE" in done.stderr
