"""A folder of hostile files and good clips: one row each, as documented, and nothing else happens."""

import csv
import hashlib
import os
import socket
import sys
from pathlib import Path

import pytest

from tests.hostile.conftest import documented, scan
from unmask.media import is_playlist
from unmask.scan.inputs import hash_input, list_inputs

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="there, nothing confines a decoder"),
]


def by_name(result):
    return {Path(row["path"]).name: row for row in result.rows}


def test_the_document_lists_every_file(corpus, good):
    assert {path.name for path in corpus.iterdir()} == {*documented(), *(clip.name for clip in good)}


def test_one_row_each_in_order(inputs, scanned):
    expected = [item.path for item in list_inputs(inputs)]
    assert [row["path"] for row in scanned.rows] == expected
    assert len(scanned.lines) == len(expected)
    with (scanned.place / "out" / "s.csv").open(newline="") as table:
        names = [row["filename"] for row in csv.DictReader(table)]
    assert names == [Path(path).name for path in expected]


def test_the_documented_statuses(scanned, good):
    expected = documented() | {clip.name: "ok" for clip in good}
    assert {name: row["status"] for name, row in by_name(scanned).items()} == expected
    assert scanned.exit_code == 3


def test_a_row_says_why_and_invents_nothing(scanned):
    for row in scanned.rows:
        judged = row["status"] in ("ok", "ok_partial")
        assert (row["fake_probability"] is None) == (not judged), row["path"]
        assert row["reasons"], row["path"]
        assert row["frames_decoded"] <= row["frames_asked"], row["path"]
        if row["sha256"] is not None and not is_playlist(row["path"]):  # whose hash is that of its pieces
            assert row["sha256"] == hashlib.sha256(Path(row["path"]).read_bytes()).hexdigest(), row["path"]
        assert row["sha256"] or row["status"] == "unreadable", "whatever could be opened is identified"
    assert all(row["warnings"] for row in scanned.rows if row["status"] == "ok_partial")


def test_good_clips_have_the_same_numbers_as_alone(scanned, good, tmp_path):
    alone = scan(tmp_path, *good)
    assert alone.exit_code == 0
    among = by_name(scanned)
    assert [among[clip.name] for clip in good] == alone.rows


def test_turned_videos_have_the_score_of_upright_ones(scanned):
    rows = by_name(scanned)
    upright = rows["c_rotated_0.mp4"]
    for name in ("c_rotated_90.mp4", "c_rotated_180.mp4", "c_rotated_270.mp4", "c_mirrored.mp4"):
        assert rows[name]["fake_probability"] == pytest.approx(upright["fake_probability"], abs=0.02), name
        for turned, plain in zip(rows[name]["frames"], upright["frames"], strict=True):
            assert turned["xyxy_px"] == pytest.approx(plain["xyxy_px"], abs=1), name


def test_time_and_memory_have_bounds(scanned):
    assert scanned.seconds < 600
    assert scanned.cpu_seconds < 90
    assert scanned.peak_bytes < 800 << 20


def test_nothing_is_written_elsewhere(scanned, corpus, good):
    for folder in ("home", "tmp", "work"):
        assert not list((scanned.place / folder).iterdir()), folder
    assert sorted(path.name for path in (scanned.place / "out").iterdir()) == ["o.jsonl", "report", "s.csv"]
    assert len(list(corpus.iterdir())) == len(documented()) + len(good)


def test_a_pipe_in_the_place_of_a_scanned_file_stops_no_resumed_run(tmp_path):
    os.mkfifo(tmp_path / "x.mp4")
    (item,) = list_inputs([tmp_path / "x.mp4"])
    assert hash_input(item, 1 << 30, lambda: False) is None  # to open it would be to wait for a writer


def test_no_server_is_called(scanned, listener):
    assert not listener.was_called()
    with socket.create_connection(listener.server.getsockname()):  # it would have been noticed
        assert listener.was_called()
        listener.server.accept()[0].close()
