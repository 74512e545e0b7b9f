import json

import pytest

from unmask.prepare.manifest import ClipRecord, FileStamp, StepRecord, count_files, hash_clip

RECORD = ClipRecord(
    "a", "ok", "", "00", FileStamp(5, 7), 640, 480, {"crops": "one is missing"}, {"crops": StepRecord("k", "s", (2, 9))}
)


def test_a_line_is_read_back():
    row = json.loads(json.dumps(RECORD.to_row()))
    assert ClipRecord.from_row(row) == RECORD
    assert list(row) == [
        "width", "height", "id", "status", "leader", "sha256", "size_bytes", "mtime_ns", "notes", "steps",
    ]  # fmt: skip


@pytest.mark.parametrize("wrong", [{"steps": {"crops": {"key": "k", "source": "s", "files": [1]}}}, {"steps": None}])
def test_a_line_of_another_form_is_refused(wrong):
    with pytest.raises((ValueError, TypeError)):
        ClipRecord.from_row(RECORD.to_row() | wrong)


def test_a_clip_that_has_not_changed_is_not_read_again(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"abc")
    stamp = FileStamp.of(path)
    digest = hash_clip(path, stamp, None, 1 << 20)
    assert len(digest) == 64
    old = ClipRecord("a", "ok", "", "known", stamp)
    assert hash_clip(path, stamp, old, 1 << 20) == "known"
    assert hash_clip(path, FileStamp(3, 0), old, 1 << 20) == digest
    gone = tmp_path / "gone.mp4"
    assert hash_clip(gone, FileStamp.of(gone), None, 1 << 20) == ""
    assert hash_clip(path, FileStamp(3, 0), old, 2) == ""  # longer than is read


def test_count_files(tmp_path):
    (tmp_path / "a").write_bytes(b"12")
    (tmp_path / "b").write_bytes(b"3")
    assert count_files(tmp_path) == (2, 3)
    assert count_files(tmp_path / "a") == (1, 2)
