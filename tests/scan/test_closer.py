"""Closer looks: which further frames are asked for, and a scan that finds what is short."""

from dataclasses import replace

import numpy as np
import pytest

from tests.scan.timelines import timeline
from unmask.models.card import Thresholds
from unmask.scan.closer import CloserLooks, Suspect, closer_frames, frames_beside_bursts, frames_in_gaps, unseen_shots
from unmask.scan.decide import Judgement
from unmask.scan.stop import Adaptive, FullScan, Progress
from unmask.types import FrameScore, PersonVerdict

RULE = CloserLooks(FullScan(), 32, 256)


def seen(scores, person=1):
    """Frames (index, fake probability) of a person, and what they amount to, in a video of ten frames a second."""
    frames = tuple(FrameScore(person, i, i / 10, (0, 0, 9, 9), 1.0, p) for i, p in scores)
    mean = float(np.mean([p for _, p in scores]))
    label = "inconclusive" if len(scores) < 6 else Thresholds(0.2, 0.8).label(mean)
    return PersonVerdict(person, label, mean, 0, 1, len(frames), {}, b""), frames


def progress(looked, people, film):
    """A scan whose evenly spread frames are all seen."""
    judgement = Judgement(
        "real", 0.1, (), (), tuple(person for person, _ in people), tuple(f for _, frames in people for f in frames)
    )
    return Progress(
        wanted=np.array(looked),
        looked=np.array(looked),
        all_members=1,
        members=1,
        judgement=judgement,
        is_whole=True,
        thresholds=Thresholds(0.2, 0.8),
        is_pooled=False,
        min_frames=6,
        timeline=film,
    )


def test_a_short_clip_whose_people_are_clear_needs_no_closer_look():
    looked = list(range(0, 100, 3))
    assert RULE.next_step(progress(looked, [seen([(i, 0.1) for i in looked])], timeline(100, 0.1))) is None
    assert RULE.next_step(progress(looked, [seen([(i, 0.9) for i in looked])], timeline(100, 0.1))) is None


def test_each_unseen_shot_is_looked_at_the_longest_first():
    film = timeline(1000, 0.1, starts=(0, 400, 420, 425, 800))
    looked = np.array([0, 100, 300, 500, 900])
    frames = unseen_shots(film, looked, 9).tolist()
    assert len(frames) == 2
    assert 400 <= frames[0] < 420 <= frames[1] < 425
    (longest,) = unseen_shots(film, looked, 1).tolist()
    assert 400 <= longest < 420
    (last,) = unseen_shots(replace(film, end_seconds=999.0), looked[:1], 1).tolist()
    assert last >= 800, "it ends with the video"
    assert len(unseen_shots(film, looked[:1], 9)) == 4
    assert not len(unseen_shots(film, looked, 0))


def test_gaps_are_halved_until_they_are_close_or_the_room_is_used():
    film = timeline(1000, 0.1)
    assert frames_in_gaps(film, np.array([0, 999]), 3).tolist() == pytest.approx([250, 500, 750], abs=2)
    many = np.union1d(frames_in_gaps(film, np.array([0, 999]), 999), [0, 999])
    assert np.diff(many).max() <= 10
    assert not len(frames_in_gaps(film, np.arange(0, 1000, 10), 5))


def test_gaps_beside_a_pause_of_the_film_are_halved():
    paused = replace(timeline(1000, 0.1), times_seconds=np.arange(1000) * 0.1 + 60 * (np.arange(1000) >= 500))
    looked = np.array([0, 499, 500, 999])
    many = np.union1d(frames_in_gaps(paused, looked, 999), looked)
    assert np.diff(many).max() <= 10


def test_a_long_video_gets_more_frames_within_the_budget():
    looked = np.linspace(0, 5999, 32).astype(int).tolist()
    known = progress(looked, [seen([(i, 0.1) for i in looked])], timeline(6000, 0.1))
    assert len(RULE.next_step(known).frames) == 56
    three_minutes = progress(np.linspace(0, 1799, 32).astype(int).tolist(), [], timeline(1800, 0.1))
    assert len(RULE.next_step(three_minutes).frames) == int(32 * 3 * 128 / 180), "the longer, the fewer: 128 s get 96"
    assert len(replace(RULE, max_frames=40).next_step(known).frames) == 8
    assert replace(RULE, max_frames=32).next_step(known) is None
    assert RULE.next_step(replace(known, is_pooled=True)) is None


def test_every_second_of_a_shot_is_looked_at_up_to_two_minutes_in_one_pass():
    film = timeline(1200, 0.1)
    looked = np.linspace(0, 1199, 32).astype(int)
    start = replace(progress(looked, [], film), looked=np.empty(0, np.int64), members=0, judgement=None)
    step = RULE.next_step(start)
    assert set(looked.tolist()) <= set(step.frames.tolist())
    assert step.quick == set(step.frames.tolist()) - set(looked.tolist())
    assert np.diff(step.frames).max() <= 10  # 1 s
    assert len(step.frames) <= 4 * 32
    assert len(replace(RULE, max_frames=40).next_step(start).frames) == 40
    assert replace(RULE, max_frames=0).next_step(start).frames.tolist() == looked.tolist()
    assert not replace(RULE, rule=Adaptive()).next_step(start).quick


def test_in_a_long_video_both_sides_of_each_burst_are_looked_at():
    film = replace(timeline(6000, 0.1), bursts=np.array([1234, 4321]))
    looked = np.linspace(0, 5999, 32).astype(int)
    start = replace(progress(looked.tolist(), [], film), looked=np.empty(0, np.int64), members=0, judgement=None)
    step = RULE.next_step(start)
    beside = {1232, 1236, 4319, 4323}
    assert beside <= step.quick
    assert len(step.frames) == 32 + 56
    assert not beside & set(replace(RULE, max_frames=33).next_step(start).frames.tolist()) - {1232}
    assert frames_beside_bursts(film, np.array([1233]), 9).tolist() == [1236, 4319, 4323]
    at_the_end = replace(timeline(100, 0.1), bursts=np.array([98]))
    assert frames_beside_bursts(at_the_end, np.array([0]), 9)[-1] == 99


def test_who_was_seen_briefly_is_looked_at_in_their_shot():
    looked = list(range(0, 300, 10))
    film = timeline(300, 0.1, starts=(0, 95, 125))
    steady, brief = [i for i in looked if not 95 <= i < 125], [100, 110, 120]
    step = RULE.next_step(
        progress(looked, [seen([(i, 0.1) for i in steady]), seen([(i, 0.5) for i in brief], 2)], film)
    )
    assert len(step.frames) == 5
    assert all(95 <= index < 125 and index not in looked for index in step.frames)


def test_who_was_seen_briefly_is_looked_at_up_to_the_frames_without_them():
    looked, brief = list(range(0, 300, 10)), [100, 110, 120]
    steady = [i for i in looked if i not in brief]
    people = [seen([(i, 0.1) for i in steady]), seen([(i, 0.5) for i in brief], 2)]
    step = RULE.next_step(progress(looked, people, timeline(300, 0.1)))
    assert len(step.frames) == 5
    assert all(90 < index < 130 for index in step.frames)
    assert step.frames[0] < 100
    assert step.frames[-1] > 120


def test_a_frame_between_two_that_are_seconds_apart_is_looked_at():
    assert frames_in_gaps(timeline(10, 2.0), np.array([0, 2, 4, 6, 8]), 9).tolist() == [1, 3, 5, 7]
    assert frames_in_gaps(timeline(3, 2.0), np.array([0]), 9).tolist() == [1], "also up to the end"


def test_a_score_at_the_threshold_is_not_above_it():
    looked = list(range(0, 300, 10))
    scores = [(i, 0.8 if i == 150 else 0.1) for i in looked]
    assert RULE.next_step(progress(looked, [seen(scores)], timeline(300, 0.1))) is None


def test_a_short_run_of_high_scores_is_looked_at_around():
    looked = list(range(0, 300, 10))
    scores = [(i, 0.95 if i == 150 else 0.1) for i in looked]
    step = RULE.next_step(progress(looked, [seen(scores)], timeline(300, 0.1)))
    assert len(step.frames) == 7
    assert all(143 <= index <= 157 for index in step.frames)
    closely = sorted({*looked, *step.frames.tolist()})
    scores = [(i, 0.95 if i == 150 else 0.1) for i in closely]
    known = progress(looked, [seen(scores)], timeline(300, 0.1))
    known = replace(known, looked=np.array([*looked, *step.frames]))
    assert RULE.next_step(known) is None, "it stays alone"


def test_one_high_score_among_close_frames_is_no_passage():
    looked = list(range(0, 100, 3))
    scores = [(i, 0.95 if i == 51 else 0.1) for i in looked]
    assert RULE.next_step(progress(looked, [seen(scores)], timeline(100, 0.1))) is None


def test_the_most_suspicious_come_first():
    film = timeline(1000, 0.1)
    suspects = [Suspect(0.2, 0, 99, 6), Suspect(0.9, 500, 599, 6)]
    frames = closer_frames(suspects, np.array([50, 550]), film, 8)
    assert len(frames) == 8
    assert sum(frames >= 500) == 6


def test_suspects_at_both_ends_of_a_film_are_looked_at():
    film = timeline(100, 0.1)
    ends = [Suspect(0.9, 0, 20, 2), Suspect(0.8, 80, 99, 2)]
    frames = closer_frames(ends, np.array([10, 90]), film, 8).tolist()
    assert len(frames) == 4
    assert all(0 < frame < 20 for frame in frames[:2])
    assert all(80 <= frame < 99 for frame in frames[2:])
    assert len(closer_frames(ends, np.array([10, 90]), film, 2)) == 2, "there is no room for the other one"
    slow = timeline(100, 0.2)
    assert closer_frames([Suspect(0.9, 90, 99, 1)], np.arange(88, 98), slow, 8).tolist() == [98]
    assert closer_frames([Suspect(0.9, 0, 9, 1)], np.arange(2, 12), slow, 8).tolist() == [1]


def test_after_an_early_stop_frames_of_a_full_scan_fill_the_gaps_up_to_both_ends():
    film, wanted = timeline(126, 0.1), np.linspace(0, 125, 32).astype(int)
    looked = wanted[::4]
    person, frames = seen([(i, 0.05) for i in looked])
    stopped = replace(progress(looked, [(replace(person, models={"a": 0.05}), frames)], film), wanted=wanted)
    step = replace(RULE, rule=Adaptive()).next_step(stopped)
    assert np.isin(step.frames, wanted).all()
    assert not step.quick
    assert np.diff([0, *np.union1d(looked, step.frames), 125]).max() <= 10
    assert len(looked) + len(step.frames) <= 17


def test_where_a_full_scan_has_no_frame_in_a_gap_another_one_fills_it():
    film = timeline(460, 0.1)
    left = np.array([100, 300])
    frames = frames_in_gaps(film, np.array([0, 200]), 99, left=left)
    assert np.isin(left, frames).all()
    assert np.diff([0, *np.union1d(frames, [200]), 459]).max() <= 10
