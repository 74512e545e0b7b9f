"""A scanner of one's own writes one method; everything else is there."""

import json
import threading
from dataclasses import replace

import numpy as np
import pytest

from tests.media_factory import pattern, write_video
from unmask import BaseScanner, Scanner, UsageError
from unmask.errors import UnreadableError
from unmask.evidence.signature import extra_version
from unmask.runtime.parallel import Stopped
from unmask.scale.rows import Row
from unmask.scale.scanning import ScanWork
from unmask.systems.robustforensics.scanner import RobustScanner


class Counter(BaseScanner):
    """Counts frames; a clip of one frame is more than it can take, one of two brings it down."""

    def scan_video(self, video, draft):
        frames = sum(1 for _ in video.decode(np.arange(len(video.index))))
        if frames == 1:
            raise UnreadableError("one frame alone")
        if frames == 2:
            raise RuntimeError("two frames")
        return replace(draft, status="ok", label="real", fake_probability=0.0, frames_decoded=frames)


def test_one_method_is_abstract():
    assert BaseScanner.__abstractmethods__ == {"scan_video"}
    for scanner in (Scanner, RobustScanner):
        assert issubclass(scanner, BaseScanner)
        assert not scanner.__abstractmethods__
    assert not issubclass(RobustScanner, Scanner)


def test_one_row_in_one_row_out(tmp_path):
    paths = [write_video(tmp_path / f"{count}.mp4", map(pattern, range(count))) for count in (3, 1, 2, 5)]
    paths.insert(1, tmp_path / "missing.mp4")
    counter, told = Counter([{"name": "none", "version": "1", "sha256": ""}], {"rule": "count"}, workers=2), []
    verdicts = list(counter.scan_many(paths, on_verdict=told.append))
    assert [verdict.path for verdict in verdicts] == [str(path) for path in paths]
    assert [verdict.status for verdict in verdicts] == ["ok", "unreadable", "unreadable", "internal_error", "ok"]
    assert [verdict.frames_decoded for verdict in verdicts] == [3, 0, 0, 0, 5]
    assert "two frames" in verdicts[3].reasons[0]
    assert sorted(verdict.path for verdict in told) == sorted(map(str, paths))
    assert counter.scan(paths[0]).to_dict() == verdicts[0].to_dict()
    assert verdicts[0].media.frames == 3
    signatures = {"c2pa": extra_version(), "trust_sha256": None}
    assert verdicts[0].settings == {"rule": "count", "signatures": signatures, "hash": counter.settings_hash}


def test_inputs_that_come_one_by_one_start_no_threads(tmp_path):
    """OpenCV keeps something of each thread that it ran in: 0.9 kB a file, where each has a thread of its own."""
    seen = []

    class Watcher(Counter):
        def scan_video(self, video, draft):
            seen.append(threading.current_thread())
            return super().scan_video(video, draft)

    counter = Watcher([{"name": "none", "version": "1", "sha256": ""}], {})
    good, bad = (write_video(tmp_path / f"{count}.mp4", map(pattern, range(count))) for count in (3, 2))
    verdict = counter.scan_input(good)
    assert verdict.to_dict() == counter.scan(good).to_dict()
    assert "two frames" in counter.scan_input(bad).reasons[0]
    assert counter.scan_input(tmp_path / "missing.mp4").status == "unreadable"
    work = ScanWork(lambda: counter)
    row = json.loads(work(Row(str(good), good.name), ()).line)
    assert (row["path"], row["frames_decoded"]) == (str(good), 3)
    assert set(seen) == {threading.current_thread()}


def test_what_fails_when_nobody_waits_any_more_has_no_verdict(tmp_path):
    """It may have failed for that reason: a later run would take the row for the file's."""
    counter, stopping = Counter([], {}), threading.Event()
    stopping.set()
    with pytest.raises(Stopped):
        counter._scan(tmp_path / "missing.mp4", stopping)
    with pytest.raises(Stopped):
        counter._scan(write_video(tmp_path / "a.mp4", map(pattern, range(3))), stopping)


def test_the_hash_tells_settings_and_models_apart():
    def hash_of(name="a", **settings):
        return Counter([{"name": name}], settings).settings_hash

    assert hash_of(rule=1) == hash_of(rule=1)
    assert len({hash_of(rule=1), hash_of(rule=2), hash_of("b", rule=1), hash_of()}) == 4


def test_there_is_at_least_one_worker():
    with pytest.raises(UsageError, match="0 workers"):
        Counter([], {}, workers=0)
