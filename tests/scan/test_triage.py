"""Key frames alone, and a full scan of what they do not settle."""

import numpy as np
import pytest

from tests.media_factory import pattern, write_video
from unmask import Scanner
from unmask.errors import UsageError
from unmask.media import open_video
from unmask.scan.sampler import KeyframeSampler
from unmask.scan.triage import TriageScanner


def test_key_frames_alone_are_picked(tmp_path):
    path = tmp_path / "clip.mp4"
    write_video(path, map(pattern, range(40)), options={"g": "10", "sc_threshold": "0"})
    with open_video(path) as video:
        assert KeyframeSampler(32).pick(video).tolist() == [0, 10, 20, 30]
        assert KeyframeSampler(2).pick(video).tolist() == [0, 30]
        from dataclasses import replace

        none = replace(video.index, key_frames=np.empty(0, np.int64), key_packets=np.empty(0, np.int64))
        assert len(KeyframeSampler(8).pick(replace(video, index=none))) == 8


@pytest.fixture(scope="module")
def clip(clips):
    return clips["authentic"]


def test_what_key_frames_settle_is_not_scanned_in_full(clip, monkeypatch):
    full = Scanner(frames=16)
    whole = full.scan(clip)
    assert (whole.status, whole.label) == ("ok", "real")
    monkeypatch.setattr("unmask.scan.triage.KeyframeSampler", lambda frames: Fixed([0, 7, 14, 21, 28, 35, 39]))
    triage = TriageScanner(full, 0.9)
    quick = triage.scan(clip)
    assert quick.frames_asked == 7
    assert quick.warnings[-1] == "Only 7 key frames were looked at: they are clearly authentic."
    assert TriageScanner(full, 0.0).scan(clip).frames_asked == whole.frames_asked
    assert triage.settings_hash != full.settings_hash


class Fixed:
    def __init__(self, indices):
        self.indices = np.array(indices, np.int64)

    def pick(self, video):
        return self.indices


def test_bounds_and_scanners_that_make_no_sense():
    with pytest.raises(UsageError, match="no probability"):
        TriageScanner(Scanner(), 1.5)
    with pytest.raises(UsageError, match="no cheap look"):
        TriageScanner(object(), 0.5)
    with pytest.raises(UsageError, match="use one of time, reference, keyframes"):
        Scanner(sampling="sometimes")
