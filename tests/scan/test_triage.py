"""Key frames alone, and a full scan of what they do not settle."""

import av
import numpy as np
import pytest

from tests.media_factory import pattern, write_video
from unmask import Scanner
from unmask.errors import UsageError
from unmask.media import open_video
from unmask.scan.sampler import KeyframeSampler
from unmask.scan.triage import with_triage


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


def test_what_a_cheap_look_settles_is_not_scanned_in_full(clip):
    full = Scanner(frames=16)
    whole = full.scan(clip)
    assert (whole.status, whole.label) == ("ok", "real")
    triage = with_triage(full, 0.9)
    quick = triage.scan(clip)
    assert (quick.label, quick.frames_asked) == ("real", 8)
    assert quick.reasons[-1] == "8 of 16 frames and 1 of 1 models were enough to tell."
    assert triage.settings_hash != full.settings_hash


def test_a_cheap_look_may_leave_seconds_out_and_a_full_scan_may_not(clips, tmp_path):
    slow = slowed(clips["authentic"], tmp_path / "slow.mp4", 12)  # 19 s
    quick = with_triage(Scanner(frames=16), 0.9).scan(slow)
    assert (quick.label, quick.reasons[-1].code) == ("real", "frames_apart")
    full = with_triage(Scanner(frames=16, max_frames=0), 0.0).scan(slow)
    assert (full.label, full.reasons[-1].code) == ("inconclusive", "frames_apart_not_real")


def slowed(source, target, times):
    """Copy a clip, so many times as slow."""
    with av.open(str(source)) as original, av.open(str(target), "w") as copy:
        track = original.streams.video[0]
        out = copy.add_stream_from_template(track)
        for packet in original.demux(track):
            if packet.size:
                packet.pts, packet.dts, packet.duration = (
                    packet.pts * times, packet.dts * times, packet.duration * times,
                )  # fmt: skip
                packet.stream = out
                copy.mux(packet)
    return target


def test_what_it_does_not_settle_gets_the_verdict_of_a_full_scan(clip):
    full = Scanner(frames=16)
    whole, staged = full.scan(clip).to_dict(), with_triage(full, 0.0).scan(clip).to_dict()
    assert staged.pop("settings") != whole.pop("settings")
    assert staged == whole


def test_bounds_and_scanners_that_make_no_sense():
    with pytest.raises(UsageError, match="no probability"):
        with_triage(Scanner(), 1.5)
    with pytest.raises(UsageError, match="no cheap look"):
        with_triage(object(), 0.5)
    with pytest.raises(UsageError, match="leave out --triage"):
        with_triage(Scanner(adaptive=True), 0.5)
    with pytest.raises(UsageError, match="use one of time, reference, keyframes"):
        Scanner(sampling="sometimes")
