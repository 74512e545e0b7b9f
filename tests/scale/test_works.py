"""What a run at scale works on: scans of rows, and families of clips to prepare."""

import json
from functools import partial

import pytest

from tests.scale.test_drive import Threads, Worker
from tests.web.stub import PICTURE, StubScanner
from unmask.datasets import read_index
from unmask.errors import UsageError
from unmask.prepare.clip_steps import Settings
from unmask.prepare.families import families
from unmask.prepare.manifest import ClipRecord, FileStamp
from unmask.scale import preparing, scanning
from unmask.scale.preparing import PrepareWork, forget, prepare_families, records_of
from unmask.scale.rows import SAME, Row, short
from unmask.scale.scanning import ScanWork


@pytest.fixture
def scans(tmp_path):
    """A work that scans with a stub, a row, and what was scanned."""
    path = tmp_path / "clip.mp4"
    path.write_bytes(PICTURE + b"stub:a")
    log = tmp_path / "log"
    log.touch()
    work = ScanWork(partial(StubScanner, str(log)))
    return work, Row(str(path), "clip.mp4", path.stat().st_size), log


def test_a_row_gets_the_line_that_a_scan_writes_and_equal_content_none(scans):
    work, row, log = scans
    answer = work(row, ())
    assert json.loads(answer.line) | {"path": ""} == StubScanner(str(log)).scan(row.uri).to_dict() | {"path": ""}
    assert (answer.status, len(answer.sha256), answer.is_final) == ("ok", 64, True)
    log.write_text("")
    twin = work(row, {short(answer.sha256)})
    assert (twin.sha256, twin.status, twin.line, log.read_text()) == (answer.sha256, SAME, b"", "")
    assert work(row, {"0" * 32}).line == answer.line
    assert work.settings_hash == StubScanner(str(log)).settings_hash
    assert work.cpu_seconds() > 0


def test_a_row_that_brought_workers_down_is_not_opened(scans):
    work, row, log = scans
    answer = work.crashed(row, "2 workers died of this file.")
    line = json.loads(answer.line)
    assert (line["status"], line["reasons"], line["path"]) == ("crashed", ["2 workers died of this file."], row.uri)
    assert (answer.sha256, answer.status, answer.is_final, log.read_text()) == ("", "crashed", False, "")


def test_a_work_for_a_graphics_card_has_a_row_a_core_under_way(scans, monkeypatch):
    monkeypatch.setattr(scanning, "cores", lambda: 7)
    work, _, log = scans
    assert (work.width, ScanWork(partial(StubScanner, str(log)), on_gpu=True).width) == (1, 7)


@pytest.fixture
def index(tmp_path_factory):
    """Two originals, the first one with two fakes, as DFDC lays them out; nobody opens these files."""
    folder = tmp_path_factory.mktemp("dfdc")
    entries = {"a.mp4": {"label": "REAL"}, "b.mp4": {"label": "REAL"}}
    entries |= {f"fake{n}.mp4": {"label": "FAKE", "original": "a.mp4"} for n in (1, 2)}
    for name in entries:
        (folder / name).write_text(name)
    (folder / "metadata.json").write_text(json.dumps(entries))
    return read_index(folder)


@pytest.fixture
def done(monkeypatch):
    """Families are prepared by a stub, which keeps what it was asked for and what was known of each clip."""
    done = {}

    class Steps:
        def __init__(self, index, out, steps, settings, records, stopping):
            self.index, self.records = index, records

        def do(self, family):
            clips = (family.leader, *family.followers)
            done[family.leader.id] = [self.records.get(clip.id) for clip in clips]
            return [
                ClipRecord(clip.id, "ok", family.leader.id, "a" * 64, FileStamp.of(self.index.path_of(clip)))
                for clip in clips
            ]

    monkeypatch.setattr(preparing, "FamilySteps", Steps)
    return done


def prepare(index, out, **options):
    return prepare_families(index, out, ("boxes",), Settings(), Threads(Worker(settings_hash=None)), **options)


@pytest.fixture(autouse=True)
def agreeable(monkeypatch):
    """Workers in threads have the settings of their work."""
    monkeypatch.setattr(Worker, "settings_hash", property(lambda self: self.work.settings_hash, lambda *_: None), False)


def test_each_family_is_prepared_once_and_its_records_are_kept(index, tmp_path, done):
    assert prepare(index, tmp_path) == len(families(index)) == len(done)
    records = [ClipRecord.from_row(row) for row in records_of(tmp_path)]
    assert {record.id for record in records} == {clip.id for clip in index.clips}
    paths = {clip.id: index.path_of(clip) for clip in index.clips}
    assert all(record.stamp == FileStamp.of(paths[record.id]) for record in records)
    done.clear()
    assert prepare(index, tmp_path, resume=True) == 0
    assert done == {}
    forget(tmp_path)
    forget(tmp_path)
    with pytest.raises(UsageError, match="holds no run at scale"):
        list(records_of(tmp_path))


def test_a_family_of_which_a_file_changed_is_prepared_again(index, tmp_path, done, monkeypatch):
    prepare(index, tmp_path)
    done.clear()
    family = next(family for family in families(index) if family.followers)
    changed, honest = index.path_of(family.followers[0]), FileStamp.of
    monkeypatch.setattr(FileStamp, "of", lambda path: FileStamp(5, 5) if path == changed else honest(path))
    assert prepare(index, tmp_path, resume=True) == 1
    assert list(done) == [family.leader.id]


def test_what_earlier_runs_know_of_a_clip_goes_with_its_family(index, tmp_path, done):
    first = families(index)[0].leader.id
    prepare(index, tmp_path, known=lambda clip: {"id": clip, "status": "ok"} if clip == first else None)
    assert done[first][0] == {"id": first, "status": "ok"}
    assert not any(any(known) for leader, known in done.items() if leader != first)


def test_a_family_that_brought_workers_down_has_a_record_for_each_clip(index, tmp_path, done):
    work = PrepareWork(index, tmp_path, ("boxes",), Settings())
    family = next(family for family in families(index) if family.followers)
    answer = work.crashed(Row(family.leader.id, "x"), "2 workers died of this file.")
    records = [ClipRecord.from_row(row) for row in json.loads(answer.line)["records"]]
    assert [record.id for record in records] == [family.leader.id, *(clip.id for clip in family.followers)]
    assert {(record.status, record.notes["video"]) for record in records} == {
        ("crashed", "2 workers died of this file.")
    }
    assert (answer.sha256, answer.status, answer.is_final, done) == ("", "crashed", False, {})
    assert work.width == 1
    assert work.cpu_seconds() > 0


def test_a_family_with_a_fault_of_ours_is_tried_again(index, tmp_path, monkeypatch, done):
    class Fails(preparing.FamilySteps):
        def do(self, family):
            found = super().do(family)
            return [found[0], *(ClipRecord(r.id, "internal_error", "", "b" * 64, r.stamp) for r in found[1:])]

    monkeypatch.setattr(preparing, "FamilySteps", Fails)
    family = next(family for family in families(index) if family.followers)
    answer = PrepareWork(index, tmp_path, ("boxes",), Settings())(Row(family.leader.id, "x"), ())
    assert (answer.sha256, answer.status, answer.is_final) == ("a" * 64, "internal_error", False)


def test_settings_and_steps_tell_works_apart(index, tmp_path):
    hashes = {
        PrepareWork(index, tmp_path, steps, settings).settings_hash
        for steps, settings in ((("boxes",), Settings()), (("crops",), Settings()), (("boxes",), Settings(every=3)))
    }
    assert len(hashes) == 3
    assert PrepareWork(index, tmp_path / "x", ("boxes",), Settings()).settings_hash in hashes
