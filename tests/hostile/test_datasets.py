"""A dataset whose description lies and whose clips are hostile: a row each, and nothing written but the output."""

import csv
import json
import os
import shutil
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.cli.test_scan import unmask
from tests.hostile.test_names import Structure
from unmask.datasets import Index, read_index
from unmask.datasets.index import Clip
from unmask.errors import UsageError

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="there, nothing confines a decoder"),
]

REAL, FAKE = {"label": "REAL", "split": "train"}, {"label": "FAKE", "split": "train", "original": "good_0.mp4"}

CLIPS = {
    "good_0.mp4": "ok",
    "good_1.mp4": "ok",
    "a_cut_in_index.mp4": "unreadable",
    "a_hole.mp4": "ok",
    "b_268_million_samples.mp4": "unreadable",
    "b_two_billion_frames.mp4": "ok",
    "c_sound_only.mp4": "no_video",
    "d_8k.mp4": "rejected_limit",
    "e_concat_neighbour.mp4": "unsupported",
    "e_hls_address.mp4": "unreadable",
    "a_empty.mp4": "unreadable",
}
"""File -> the status of its row; all but the first are fakes of it."""

UNUSABLE = {
    "../../evil.mp4": FAKE,
    "/etc/passwd": REAL,
    "listed_but_absent.mp4": FAKE,
    "pipe.mp4": FAKE,
    "itself.mp4": {**FAKE, "original": "itself.mp4"},
    "cycle_a.mp4": {**FAKE, "original": "cycle_b.mp4"},
    "cycle_b.mp4": {**FAKE, "original": "cycle_a.mp4"},
    "climbs.mp4": {**FAKE, "original": "../../evil.mp4"},
    "nan.mp4": {**FAKE, "label": float("nan")},
    "maybe.mp4": {**FAKE, "label": "MAYBE"},
    "<img src=x onerror=alert(1)>.mp4": None,
}


@pytest.fixture(scope="module")
def dataset(corpus, tmp_path_factory):
    """Three parts: hostile clips with a lying description, a far too deep one, and one with oddities."""
    root = tmp_path_factory.mktemp("dataset") / "dfdc"
    parts = [root / f"dfdc_train_part_{number}" for number in range(3)]
    for part in parts:
        part.mkdir(parents=True)
    entries = {name: FAKE if name != "good_0.mp4" else REAL for name in CLIPS}
    for name in CLIPS:
        shutil.copy(corpus / name, parts[0] / name)
    for name in UNUSABLE:
        if "/" not in name and "absent" not in name and "pipe" not in name:
            (parts[0] / name).touch()
    os.mkfifo(parts[0] / "pipe.mp4")
    (parts[0] / "there_but_unlisted.mp4").touch()
    (parts[0] / "metadata.json").write_text(json.dumps(entries | UNUSABLE))
    (parts[1] / "metadata.json").write_bytes(b"[" * 200_000)
    (parts[2] / "good_2.mp4").write_bytes((corpus / "good_2.mp4").read_bytes())
    (parts[2] / "elsewhere.mp4").touch()
    twice = '{"good_2.mp4": {"label": "REAL"}, "twice.mp4": {}, "twice.mp4": {}, "elsewhere.mp4": '
    (parts[2] / "metadata.json").write_text("\ufeff" + twice + json.dumps(FAKE) + "}")
    return root


@pytest.fixture(scope="module")
def explored(dataset, tmp_path_factory):
    out = tmp_path_factory.mktemp("explored") / "eda"
    options = "--sample", "99", "--detectors", "mtcnn", "--extract-frames", "--extract-audio", "-q"
    return unmask("explore", dataset, "--out", out, *options), out


@pytest.fixture(scope="module")
def prepared(dataset, tmp_path_factory):
    out = tmp_path_factory.mktemp("prepared") / "out"
    return unmask("prepare", dataset, "--out", out, "--every", "5", "--folds", "2", "-q"), out


def statuses(rows):
    return {row["id"]: row["status"] for row in rows}


EXPECTED = {Path(name).stem: status for name, status in CLIPS.items()} | {"good_2": "ok"}


def test_what_cannot_be_used_is_reported(dataset):
    index = read_index(dataset)
    assert {clip.id for clip in index.clips} == set(EXPECTED)
    reported = {(fault.file.partition("/")[0][-1], fault.key) for fault in index.faults}
    assert reported == {
        *(("0", name) for name in (*UNUSABLE, "there_but_unlisted.mp4")),
        ("1", None),
        ("2", None),
        ("2", "twice.mp4"),
        ("2", "elsewhere.mp4"),
    }


def test_explore_gives_each_clip_a_row(explored):
    done, out = explored
    assert done.exit_code == 3, done.output
    assert statuses(pq.read_table(out / "videos.parquet").to_pylist()) == EXPECTED
    elements = Structure(out / "index.html").elements
    assert not [element for element in elements if element[0] == "script" or {"onerror", "onload"} & set(element)]
    assert {element[0] for element in elements if "src" in element} <= {"img", "video"}


def test_prepare_gives_each_clip_a_row(prepared):
    done, out = prepared
    assert done.exit_code == 3, done.output
    rows = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    assert statuses(rows) == EXPECTED
    with (out / "skipped.csv").open(newline="") as table:
        assert {name for name, status in EXPECTED.items() if status != "ok"} <= {row[0] for row in csv.reader(table)}


def test_fakes_and_originals_share_a_fold(prepared):
    with (prepared[1] / "folds.csv").open(newline="") as table:
        folds = {(row["video"], row["fold"]) for row in csv.DictReader(table)}
    of_family = {fold for video, fold in folds if video != "good_2"}
    assert {video for video, _ in folds} == {name for name, status in EXPECTED.items() if status == "ok"}
    assert len(of_family) == 1


def test_nothing_is_written_elsewhere(dataset, explored, prepared):
    before = {Path("dfdc_train_part_0", name) for name in (*CLIPS, "there_but_unlisted.mp4", "metadata.json")}
    before |= {Path("dfdc_train_part_0", name) for name in UNUSABLE if "/" not in name and "absent" not in name}
    before |= {Path("dfdc_train_part_1", "metadata.json")}
    before |= {Path("dfdc_train_part_2", name) for name in ("good_2.mp4", "elsewhere.mp4", "metadata.json")}
    assert {path.relative_to(dataset) for path in dataset.rglob("*") if not path.is_dir()} == before
    for _, out in (explored, prepared):
        assert list(out.parent.iterdir()) == [out]
        assert not [path for path in out.rglob("*") if "evil" in path.name or path.is_symlink()]


def test_limits_reach_the_clips(dataset, explored, tmp_path):
    done = unmask("prepare", explored[1] / "index.parquet", "--out", tmp_path, "--limits", "frame-pixels=1000", "-q")
    assert done.exit_code == 4
    rows = [json.loads(line) for line in (tmp_path / "manifest.jsonl").read_text().splitlines()]
    assert statuses(rows)["good_2"] == "rejected_limit"
    again = unmask("prepare", dataset, "--out", tmp_path, "--resume", "-q")
    assert again.exit_code == 3, "what other limits refused is looked at again"
    args = "--out", tmp_path / "eda", "--sample", "0", "-q"
    assert unmask("explore", dataset, *args, "--limits", "frame-pixels=1000").exit_code == 4
    assert unmask("explore", dataset, *args, "--resume").exit_code == 3


@pytest.mark.parametrize("column", ["path", "method", "original", "split"])
def test_an_index_with_numbers_for_text_is_set_aside(column, tmp_path):
    path = tmp_path / "index.parquet"
    Index(tmp_path, "tree", (Clip("a", "a.mp4", "fake", "b", "x"),)).write(path)
    table = pq.read_table(path)
    pq.write_table(table.set_column(table.schema.get_field_index(column), column, [[7]]), path)
    index = read_index(path)
    assert index.clips == ()
    assert "set aside" in index.faults[0].message


def test_an_index_whose_faults_are_none_is_refused(tmp_path):
    path = tmp_path / "index.parquet"
    Index(tmp_path, "tree", ()).write(path)
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata(table.schema.metadata | {b"faults": b'[{"file": 3}]'}), path)
    with pytest.raises(UsageError, match="no list of faults"):
        read_index(path)
