from dataclasses import replace

import numpy as np
import pytest

from tests.media_factory import pattern, write_video
from tests.scan.timelines import timeline
from unmask.media import SignatureLog, open_video, read_frames
from unmask.scan.timeline import max_gap_seconds, timeline_of, unseen_seconds


def test_a_shot_ends_where_the_next_one_begins():
    known = timeline(100, 0.1, starts=(0, 30, 60))
    assert [known.shot_of(index) for index in (0, 29, 30, 99)] == [(0, 29), (0, 29), (30, 59), (60, 99)]


def test_a_key_frame_is_easiest():
    known = timeline(100, 0.1, keys=(0, 30, 60))
    assert 30 <= known.easiest(10, 52) <= 35
    assert known.easiest(31, 58) == 44, "there is none within"
    assert known.easiest(58, 60) == 60
    assert known.easiest(30, 31) == 30
    assert timeline(100, 0.125, keys=(30,)).easiest(10, 92) == 34, "half a second after it"


def test_the_middle_is_a_key_frame_if_one_is_near():
    known = timeline(100, 0.1, keys=(0, 30, 60))
    assert known.middle(0, 50, easy=True) == 30
    assert known.middle(0, 50, easy=False) == 25
    assert known.middle(30, 60, easy=True) == 45
    assert known.middle(7, 9, easy=True) == 8
    quarter = timeline(9, 1.0, keys=(2,))
    assert quarter.middle(0, 8, easy=True) == 2, "a quarter of the gap away is near"
    assert timeline(9, 1.0, keys=(1,)).middle(0, 8, easy=True) == 4
    paused = replace(timeline(4, 1.0), times_seconds=np.array([0.0, 1.0, 10.0, 11.0]))
    assert paused.middle(0, 2, easy=False) == 1, "the end of the pause may not be taken"
    assert paused.middle(0, 2, easy=True) == 1, "nor may its beginning, a key frame"
    late = replace(timeline(3, 1.0, keys=(0, 2)), times_seconds=np.array([0.0, 9.0, 10.0]))
    assert late.middle(0, 2, easy=True) == 1, "nor a key frame at its end"


@pytest.mark.parametrize(("looked", "gap"), [([], None), ([50], 5), ([0, 99], 9.9), ([20, 30, 90], 6), ([99], 9.9)])
def test_the_longest_gap_is_told(looked, gap):
    assert max_gap_seconds(np.array(looked, np.int64), timeline(100, 0.1)) == (gap and pytest.approx(gap))


def test_where_a_film_pauses_nothing_is_unseen():
    paused = replace(timeline(100, 0.1), times_seconds=np.arange(100) * 0.1 + 20 * (np.arange(100) >= 50))
    assert unseen_seconds(np.arange(0, 100, 7), paused) > 20
    assert unseen_seconds(np.union1d(np.arange(0, 100, 7), [49, 50]), paused) == pytest.approx(0.7)
    assert unseen_seconds(np.arange(100), paused) == 0


def test_a_video_has_a_timeline_before_and_after_it_was_looked_at(tmp_path):
    path = write_video(tmp_path / "clip.mp4", map(pattern, range(50)), gop=10)
    log = SignatureLog()
    with open_video(path) as video:
        before = timeline_of(video)
        list(read_frames(video, np.array([0, 49]), log))
        after = before.with_shots(log)
    assert before.key_indices.tolist() == after.key_indices.tolist() == [0, 10, 20, 30, 40]
    assert len(before.shots) == 1
    assert after.end_seconds == pytest.approx(50 / 30)
