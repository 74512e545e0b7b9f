"""``unmask explore`` and ``unmask prepare``."""

import json
import shutil
import signal
import subprocess
import sys
import time

import pytest
from typer.testing import CliRunner

from tests.media_factory import heed_interrupts
from unmask.cli import app
from unmask.prepare.layout import read_folds

pytestmark = pytest.mark.usefixtures("searched_once")


def unmask(*args):
    return CliRunner().invoke(app, [str(arg) for arg in args])


def test_explore(sample, tmp_path):
    done = unmask("explore", sample, "--out", tmp_path / "eda", "--sample", 3, "--detectors", "haar")
    assert done.exit_code == 3  # one clip is broken
    assert done.stdout == f"{tmp_path / 'eda' / 'index.html'}: 10 of 11 clips of dfdc can be read\n"
    names = sorted(path.name for path in (tmp_path / "eda").iterdir())
    assert names == ["explore.jsonl", "faces.parquet", "index.html", "index.parquet", "videos.parquet"]


def test_one_clip_is_described_as_ffprobe_does(sample, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"nothing")
    clip = next((sample / "dfdc_train_part_1").glob("*.mp4"))
    done = unmask("explore", clip)
    facts = json.loads(done.stdout)
    assert done.exit_code == 0
    assert facts["format"]["filename"] == str(clip)
    assert (facts["streams"][0]["codec_name"], facts["streams"][0]["avg_frame_rate"]) == ("h264", "25/1")
    done = unmask("explore", broken)
    assert done.exit_code == 4
    assert json.loads(done.stdout)["error"]["status"] == "unreadable"
    done = unmask("explore", sample)
    assert done.exit_code == 2
    assert "name one with --out" in done.stderr
    assert "missing.mp4 does not exist" in unmask("explore", tmp_path / "missing.mp4").stderr


@pytest.mark.parametrize(
    ("mistake", "sentence"),
    [
        ("missing", "does not exist; name a dataset's folder"),
        ("empty", "is an empty folder; name the folder that holds the videos"),
        ("texts", "holds no video, and has no known layout"),
        ("noise.csv", "is no text: it holds zero bytes; name a CSV file"),
        ("columns.csv", "needs a header with the column path"),
        ("rows.csv", "its tables have no rows; write one for each clip"),
        ("gone.csv", "the file 'x.mp4' is not there"),
    ],
)
def test_each_mistake_has_its_sentence_with_or_without_a_folder_to_fill(tmp_path, mistake, sentence):
    for name in ("empty", "texts"):
        (tmp_path / name).mkdir()
    (tmp_path / "texts" / "a.txt").write_text("no video")
    (tmp_path / "noise.csv").write_bytes(bytes(range(256)))
    (tmp_path / "columns.csv").write_text("a,b\n1,2\n")
    (tmp_path / "rows.csv").write_text("path,label\n")
    (tmp_path / "gone.csv").write_text("path,label\nx.mp4,FAKE\n")
    for options in ([], ["--out", tmp_path / "out"]):
        done = unmask("explore", tmp_path / mistake, *options)
        assert (done.exit_code, done.stdout) == (2, "")
        assert sentence in done.stderr


def test_clips_without_labels_are_explored(sample, tmp_path):
    folder = tmp_path / "clips"
    folder.mkdir()
    clips = sorted((sample / "dfdc_train_part_1").glob("*.mp4"))[:2]
    for clip in clips:
        shutil.copy(clip, folder)
    options = ["--frames-per-second", 1, "--detectors", "haar"]
    done = unmask("explore", folder, "--out", tmp_path / "all", *options)
    assert done.stdout == f"{tmp_path / 'all' / 'index.html'}: 2 of 2 clips of plain can be read\n"
    done = unmask("explore", folder / clips[0].name, "--out", tmp_path / "one", *options)
    assert done.stdout == f"{tmp_path / 'one' / 'index.html'}: 1 of 1 clips of plain can be read\n"
    page = (tmp_path / "all" / "index.html").read_text()
    assert "Faces in a video" in page
    assert "Frames without" in page
    done = unmask("prepare", folder, "--out", tmp_path / "prepared")
    assert done.exit_code == 2
    assert "nothing that says which are real" in done.stderr


def test_prepare_reads_what_explore_wrote(sample, tmp_path):
    unmask("explore", sample, "--out", tmp_path / "eda", "--sample", 0, "-q")
    options = ["--out", tmp_path / "out", "--every", 20, "--fold-by", "group", "--folds", 4]
    done = unmask("prepare", tmp_path / "eda" / "index.parquet", *options)
    assert done.exit_code == 3
    assert done.stdout == f"{tmp_path / 'out'}: 10 of 11 clips of dfdc, 18 lines in folds.csv\n"
    assert "no face was found" in done.stderr
    assert "this is no media file" in done.stderr
    assert {row.frame for row in read_folds(tmp_path / "out" / "folds.csv")} == {0, 20}
    assert len({row.fold for row in read_folds(tmp_path / "out" / "folds.csv")}) == 4
    assert json.loads((tmp_path / "out" / "prepare.json").read_text())["every"] == 20


def test_faults_are_told_and_cost_only_their_row(sample, tmp_path):
    part = tmp_path / "dfdc_train_part_0"
    part.mkdir()
    real = next(p for p in (sample / "dfdc_train_part_1").glob("*.mp4"))
    entries = {"a.mp4": {"label": "REAL"}, "../b.mp4": {"label": "REAL"}, "c.mp4": {"label": "MAYBE"}}
    (part / "a.mp4").write_bytes(real.read_bytes())
    (part / "metadata.json").write_text(json.dumps(entries))
    done = unmask("prepare", tmp_path, "--out", tmp_path / "out", "--steps", "boxes", "-q")
    assert "dfdc_train_part_0/metadata.json: '../b.mp4': no plain file name" in done.stderr
    assert "dfdc_train_part_0/metadata.json: 'c.mp4': label 'MAYBE' is not REAL or FAKE" in done.stderr
    assert (tmp_path / "out" / "boxes" / "a.json").exists()


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["prepare", "missing", "--out", "out"], "does not exist"),
        (["explore", "empty", "--out", "out"], "is an empty folder"),
        (["prepare", "sample", "--out", "out", "--steps", "crops,masks"], "unknown steps masks"),
        (["prepare", "sample", "--out", "out", "--detector-scale", "half"], "use adaptive, or a number"),
        (["prepare", "sample", "--out", "out", "--detector", "retinaface"], "not installed"),
        (["prepare", "sample", "--out", "out", "--detector", "eyes"], "unknown face detector 'eyes'"),
        (["prepare", "sample", "--out", "out", "--dataset", "imagenet"], "unknown dataset layout"),
        (["prepare", "sample", "--out", "file"], "this is a file; name a folder"),
        (["explore", "sample", "--out", "out", "--detectors", "mtcnn,eyes"], "unknown face detector 'eyes'"),
    ],
)
def test_wrong_use_is_told_with_the_cure(sample, tmp_path, monkeypatch, args, words):
    (tmp_path / "sample").symlink_to(sample)
    monkeypatch.setenv("UNMASK_HOME", str(tmp_path / "home"))
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    done = unmask(*args)
    assert (done.exit_code, done.stdout) == (2, "")
    assert words in done.stderr
    assert not (tmp_path / "out").exists()


def test_an_earlier_run_is_not_overwritten(sample, tmp_path):
    for command in ("explore", "prepare"):
        # The steps of one broken fake are not among those asked for.
        more, code = (["--sample", 0], 3) if command == "explore" else (["--steps", "boxes"], 0)
        out = tmp_path / command
        assert unmask(command, sample, "--out", out, *more, "-q").exit_code == code
        again = unmask(command, sample, "--out", out, *more, "-q")
        assert again.exit_code == 2
        assert "go on with --resume" in again.stderr
        assert unmask(command, sample, "--out", out, *more, "-q", "--resume").exit_code == code


@pytest.mark.slow
@pytest.mark.parametrize("command", ["explore", "prepare"])
def test_an_interrupt_is_quick_and_tells_how_to_go_on(sample, tmp_path, command):
    out = tmp_path / "out"
    args = [sys.executable, "-m", "unmask", command, str(sample), "--out", str(out)]
    run = subprocess.Popen(args, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=heed_interrupts)
    log = out / ("explore.jsonl" if command == "explore" else "manifest.jsonl")
    started = time.monotonic()
    while not (log.exists() and log.stat().st_size) and time.monotonic() - started < 60:
        time.sleep(0.005)
    run.send_signal(signal.SIGINT)
    asked = time.monotonic()
    stdout, stderr = run.communicate(timeout=60)
    assert time.monotonic() - asked < 10
    assert run.returncode == 130
    assert stdout == ""
    assert "--resume goes on" in stderr
    assert "Traceback" not in stderr
    assert not [path for path in out.glob("*/.tmp-*") if any(path.iterdir())]


def test_links_in_a_dataset_are_not_followed_unless_asked(sample, tmp_path):
    data = tmp_path / "data"
    clip = next((sample / "dfdc_train_part_1").glob("*.mp4"))
    for label in ("real", "fake"):
        (data / label).mkdir(parents=True)
        (data / label / "link.mp4").symlink_to(clip)
    args = ["prepare", data, "--steps", "folds", "-q", "--out"]
    done = unmask(*args, tmp_path / "out")
    assert done.exit_code == 2
    assert "no clip that can be used, e.g. fake/link.mp4: a link" in done.stderr
    assert unmask(*args, tmp_path / "out", "--follow-links").exit_code == 0
    assert unmask("explore", data, "--out", tmp_path / "eda", "--sample", 0).exit_code == 2
    (data / "real" / "own.mp4").write_bytes(clip.read_bytes())
    (tmp_path / "named").symlink_to(data)  # which is the user's own choice
    done = unmask("prepare", tmp_path / "named", "--steps", "boxes", "-q", "--out", tmp_path / "new")
    assert "real/link.mp4: a link, or in a linked folder; set aside; use --follow-links" in done.stderr
    assert [path.name for path in (tmp_path / "new" / "boxes").iterdir()] == ["real__own.json"]
