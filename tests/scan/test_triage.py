"""Key frames alone, and a full scan of what they do not settle."""

import numpy as np
import pytest

from tests.media_factory import pattern, write_video
from unmask import Scanner
from unmask.errors import UsageError
from unmask.media import open_video
from unmask.scan.sampler import CheapSampler, KeyframeSampler
from unmask.scan.triage import TriageScanner


def test_key_frames_alone_are_picked(tmp_path):
    path = tmp_path / "clip.mp4"
    write_video(path, map(pattern, range(40)), options={"g": "10", "sc_threshold": "0"})
    with open_video(path) as video:
        assert KeyframeSampler(32).pick(video).tolist() == [0, 10, 20, 30]
        assert KeyframeSampler(2).pick(video).tolist() == [0, 30]
        assert CheapSampler(32, 4).pick(video).tolist() == [0, 10, 20, 30]
        assert len(CheapSampler(32, 8).pick(video)) == 8, "four key frames are too few"
        assert len(CheapSampler(6, 8).pick(video)) == 6
        from dataclasses import replace

        none = replace(video.index, key_frames=np.empty(0, np.int64), key_packets=np.empty(0, np.int64))
        assert len(KeyframeSampler(8).pick(replace(video, index=none))) == 8


@pytest.fixture(scope="module")
def clip(clips):
    return clips["authentic"]


def test_what_a_cheap_look_settles_is_not_scanned_in_full(clip):
    full = Scanner(frames=16)
    whole = full.scan(clip)
    assert (whole.status, whole.label) == ("ok", "real")
    triage = TriageScanner(full, 0.9)
    quick = triage.scan(clip)
    assert quick.frames_asked == 8
    assert quick.warnings[-1] == "Only 8 frames were looked at: they are clearly authentic."
    assert TriageScanner(full, 0.0).scan(clip).frames_asked == whole.frames_asked
    assert triage.settings_hash != full.settings_hash


def test_bounds_and_scanners_that_make_no_sense():
    with pytest.raises(UsageError, match="no probability"):
        TriageScanner(Scanner(), 1.5)
    with pytest.raises(UsageError, match="no cheap look"):
        TriageScanner(object(), 0.5)
    with pytest.raises(UsageError, match="use one of time, reference, keyframes"):
        Scanner(sampling="sometimes")
