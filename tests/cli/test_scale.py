"""Scans and preparations with an engine: the same bytes as without one."""

import pytest
from pyarrow import parquet
from typer.testing import CliRunner

from unmask.cli import app

pytestmark = pytest.mark.usefixtures("searched_once")


def unmask(*args):
    return CliRunner().invoke(app, [str(arg) for arg in args])


@pytest.fixture(scope="module")
def plain(tmp_path_factory, short_clips):
    """A folder of clips, and what a scan without an engine writes of it."""
    folder = tmp_path_factory.mktemp("scale")
    (folder / "videos").mkdir()
    for name, clip in short_clips.items():
        (folder / "videos" / f"{name}.mp4").write_bytes(clip.read_bytes())
    (folder / "videos" / "=broken.mp4").write_bytes(b"no video")
    done = unmask("scan", folder / "videos", "--frames", 2, "--json", folder / "o.jsonl", "--csv", folder / "o.csv")
    assert done.exit_code == 3, done.output
    return folder


def test_an_engine_and_shards_write_what_a_plain_scan_does(plain, tmp_path):
    args = ["scan", plain / "videos", "--frames", 2]
    outputs = ["--json", tmp_path / "o.jsonl", "--csv", tmp_path / "o.csv"]
    done = unmask(*args, "--engine", "local", "--out", tmp_path / "run", *outputs, "--metrics", tmp_path / "m.prom")
    assert done.exit_code == 3, done.output
    assert done.stdout == f"{tmp_path / 'run'}: 3 rows: 2 ok, 1 unreadable\n"
    assert 'unmask_rows_total{status="unreadable"} 1' in (tmp_path / "m.prom").read_text()
    for name in ("o.jsonl", "o.csv"):
        assert (tmp_path / name).read_bytes() == (plain / name).read_bytes()
        (tmp_path / name).unlink()
    for number in (1, 2):
        done = unmask(*args, "--shard", f"{number}/2", "--out", tmp_path / "shared", "--workers", 1)
        assert done.exit_code == 0, done.output
        if number == 1:
            early = unmask("merge", tmp_path / "shared")
            assert (early.exit_code, "rows have no result yet" in early.stderr) == (2, True)
    done = unmask("merge", tmp_path / "shared", *outputs, "--parquet", tmp_path / "verdicts")
    assert done.exit_code == 3, done.output
    for name in ("o.jsonl", "o.csv"):
        assert (tmp_path / name).read_bytes() == (plain / name).read_bytes()
    rows = parquet.read_table(tmp_path / "verdicts" / "part-00000.parquet").to_pylist()
    assert [row["name"] for row in rows] == ["=broken.mp4", "authentic.mp4", "blended.mp4"]
    assert unmask("merge", tmp_path / "shared", "--parquet", tmp_path / "verdicts").exit_code == 3


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ("--engine local", "name it: --out RUN"),
        ("--engine local --out run --html page", "takes no --html"),
        ("--engine local --out run --json -", "not to stdout"),
        ("--shard 9/8 --out run", "I from 1 to N"),
        ("--shard 1/2 --out run --json x.jsonl", "a shard writes no outputs"),
        ("--engine local --address x --out run", "add --engine ray"),
        ("--metrics m", "add --engine local or --engine ray"),
        ("--out o.json", "name a file by --json or --csv"),
    ],
)
def test_wrong_use(plain, tmp_path, monkeypatch, args, told):
    monkeypatch.chdir(tmp_path)
    done = unmask("scan", plain / "videos", *args.split())
    assert done.exit_code == 2, done.output
    assert told in done.stderr
    assert not (tmp_path / "run" / "parts").exists()


def test_a_manifest(plain, tmp_path):
    done = unmask("manifest", plain / "videos", "--out", tmp_path / "clips.parquet")
    assert (done.exit_code, done.stdout) == (0, f"{tmp_path / 'clips.parquet'}: 3 rows\n")
    assert unmask("manifest", plain / "videos", "--out", tmp_path / "clips.parquet").exit_code == 0
    assert unmask("manifest", tmp_path, "--out", tmp_path / "none.parquet").exit_code == 2
    assert unmask("merge", plain).exit_code == 2


@pytest.mark.slow
def test_a_dataset_is_prepared_by_shards_as_by_one_process(sample, prepared, tmp_path):
    args = ["prepare", sample, "--out", tmp_path, "--steps", "boxes"]
    for number in (1, 2):
        done = unmask(*args, "--shard", f"{number}/2", "--workers", 1)
        assert done.exit_code == 0, done.output
    done = unmask(*args, "--engine", "local", "--workers", 1, "--resume")
    assert done.exit_code == 0, done.output  # the broken clip is a fake: without its crops nobody opens it
    assert "11 of 11 clips of dfdc" in done.stdout
    assert not (tmp_path / "scale").exists()
    boxes = {path.name: path.read_bytes() for path in (tmp_path / "boxes").iterdir()}
    assert boxes == {path.name: path.read_bytes() for path in (prepared / "boxes").iterdir()}
    done = unmask(*args, "--resume")
    assert (done.exit_code, boxes) == (0, {path.name: path.read_bytes() for path in (tmp_path / "boxes").iterdir()})
