"""Scans that stop early: the rule, and that what nobody stopped is a full scan."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

import unmask.scan.scores
from tests.media_factory import on_canvas, write_video
from tests.scan.test_scores import Says
from tests.scan.timelines import timeline
from unmask import Scanner
from unmask.models import Fusion
from unmask.models.card import Thresholds, bundled_folder
from unmask.scan.decide import Judgement
from unmask.scan.stop import Adaptive, Progress
from unmask.types import FrameScore, PersonVerdict

RULE = Adaptive(first_frames=8, spread=0.7, sigmas=2, max_loss=0.005)


@pytest.mark.parametrize(
    ("count", "sizes"), [(32, [8, 8, 16]), (100, [13, 12, 25, 50]), (15, [8, 7]), (5, [5]), (1, [1])]
)
def test_stages_are_nested_from_coarse_to_fine(count, sizes):
    indices = np.arange(count) * 3
    stages = RULE.stages(indices)
    assert [len(stage) for stage in stages] == sizes
    np.testing.assert_array_equal(np.sort(np.concatenate(stages)), indices)
    for k in range(len(stages)):
        together = np.sort(np.concatenate(stages[: k + 1]))
        assert len(set(np.diff(together).tolist())) <= 1, "evenly spread"


def test_frames_that_closer_looks_saw_are_not_asked_for_again(card):
    wanted = np.arange(32) * 3
    first, second, third = RULE.stages(wanted)
    start = Progress(
        wanted=wanted,
        looked=np.empty(0, np.int64),
        all_members=1,
        members=0,
        judgement=None,
        is_whole=True,
        thresholds=card.thresholds,
        is_pooled=False,
        min_frames=card.fusion.min_frames,
        timeline=timeline(100, 0.1),
    )
    begin = RULE.next_step(start)
    assert (begin.frames.tolist(), begin.members) == (first.tolist(), 1)
    looked = np.concatenate([first, second[2:4], third[:1]])
    progress, steps = replace(start, looked=looked, members=1, judgement=judgement(card, 0.2)), []
    while (step := RULE.next_step(progress)) is not None:
        assert len(step.frames), "a step without frames or members would be asked for again and again"
        steps.append(step.frames.tolist())
        progress = replace(progress, looked=np.concatenate([progress.looked, step.frames]))
    assert steps == [np.delete(second, [2, 3]).tolist(), third[1:].tolist()]


def judgement(card, *people, members=(), frames=()):
    """What people amount to, the first of whom decides; by default all members and frames say what he scores."""
    verdicts = []
    for i, p in enumerate(people):
        models = {f"m{k}": score for k, score in enumerate(members or (p, p))}
        verdicts.append(PersonVerdict(i + 1, card.thresholds.label(p), p, 0, 1, 9, models, b""))
    seen = tuple(FrameScore(1, i, i / 10, (0, 0, 9, 9), 1.0, score) for i, score in enumerate(frames or people[:1] * 8))
    return Judgement(verdicts[0].label, people[0], (), (), tuple(verdicts), seen)


def next_step(judgement, card, frames_left, members_left, rule=RULE, *, is_whole=True):
    """Return ``frames``, ``member`` or ``stop``: what the rule does next, given shares of what is left."""
    wanted = np.arange(100)
    looked = np.concatenate(rule.stages(wanted))[: round(100 * (1 - frames_left))]
    progress = Progress(
        wanted=wanted,
        looked=looked,
        all_members=10,
        members=round(10 * (1 - members_left)),
        judgement=judgement,
        is_whole=is_whole,
        thresholds=card.thresholds,
        is_pooled=card.fusion.pooled,
        min_frames=card.fusion.min_frames,
        timeline=timeline(100, 0.1),
    )
    step = rule.next_step(progress)
    if step is None:
        return "stop"
    return "member" if step.members > progress.members else "frames"


@pytest.fixture
def card(scanner):
    return replace(scanner.cards[0], thresholds=Thresholds(0.2, 0.8), fusion=Fusion())


@pytest.mark.parametrize(
    ("probability", "frames_left", "members_left", "step"),
    [
        # With eight frames and two members that agree, the variances are 0.98 / 9 / 8 and 0.98 / 3 / 2.
        (0.99, 0.75, 0.5, "stop"),  # the logit is 3.2 from the threshold's, with an error of 0.3
        (0.01, 0.75, 0.5, "stop"),
        (0.9, 0, 0.5, "stop"),  # 0.81 away, error 0.286; costs 0.0037 of log loss
        (0.85, 0, 0.5, "member"),  # 0.35 away
        (0.5, 0.75, 0.5, "member"),  # far from both thresholds, but costs 0.0115
        (0.5, 0.1, 0.1, "stop"),  # nobody can tell, and no more would help
        (0.79, 0.1, 0, "frames"),  # 0.061 away, error 0.037
        (0.78, 0.1, 0, "stop"),  # 0.121 away
        (0.8, 0, 0, "stop"),
    ],
)
def test_a_scan_stops_when_more_can_change_little(card, probability, frames_left, members_left, step):
    assert next_step(judgement(card, probability), card, frames_left, members_left) == step


def test_without_a_verdict_or_of_a_damaged_file_all_frames_are_looked_at_first(card):
    """Where nobody was found, no member is asked: there is no face to show it."""
    damaged = judgement(card, 0.999)
    assert next_step(None, card, 0.5, 0.5) == next_step(damaged, card, 0.5, 0.5, is_whole=False) == "frames"
    assert next_step(None, card, 0, 0.5) == "stop"
    assert next_step(damaged, card, 0, 0.5, is_whole=False) == "member"


def test_what_varies_most_is_asked_for(card):
    assert next_step(judgement(card, 0.9, frames=[0.5, 0.99] * 4), card, 0.75, 0.1) == "frames"
    assert next_step(judgement(card, 0.9, members=(0.2, 0.99)), card, 0.75, 0.1) == "member"
    assert next_step(judgement(card, 0.9, frames=[0.0, 1.0] * 4), card, 0.75, 0.1) == "frames", "not infinite"


def test_a_fleeting_suspect_keeps_a_video_open(card):
    seen = judgement(card, 0.01, 0.5)
    assert next_step(seen, card, 0.5, 0) == "frames"
    assert next_step(seen, card, 0, 0.5) == "stop"
    assert next_step(seen, replace(card, fusion=Fusion(people="pool")), 0.5, 0) == "stop"


def test_who_was_seen_too_briefly_is_looked_at_again(card):
    seen = replace(judgement(card, 0.01), label="inconclusive")
    assert next_step(seen, card, 0.5, 0) == "frames"


@pytest.mark.parametrize("wrong", [{"first_frames": 0}, {"spread": 0}, {"sigmas": -1}, {"max_loss": -0.1}])
def test_nonsense_is_refused(wrong):
    with pytest.raises(ValueError, match="must be at least 1"):
        Adaptive(**wrong)
    assert Adaptive(first_frames=1, sigmas=0, max_loss=0).first_frames == 1


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory):
    """Three members with thresholds of 0.2 and 0.8."""
    folder = tmp_path_factory.mktemp("models")
    for name in "abc":
        shutil.copytree(bundled_folder(), folder / name)
        card = json.loads((folder / name / "card.json").read_text())
        card |= {"name": name, "thresholds": {"real_below": 0.2, "fake_above": 0.8}}
        (folder / name / "card.json").write_text(json.dumps(card))
    return Scanner([folder / name for name in "abc"], precision="fp32", adaptive=True)


@pytest.fixture(scope="module")
def clip(tmp_path_factory, portrait):
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    swaying = [on_canvas(portrait, (320, 320), (12 + 3 * (i % 7), 20), 280) for i in range(40)]
    return write_video(path, swaying, rate=10)


@pytest.mark.parametrize(
    ("logits", "faces", "label"),
    [
        ((5, 0, 0), [8, 0, 0], "fake"),
        ((-5, 0, 0), [8, 0, 0], "real"),
        ((1.6, 3, 3), [8, 8, 8], "fake"),  # two of three would cost 0.0057 of log loss
        ((1, 1, 1), [8, 8, 8], "inconclusive"),
        ((1.35, 1.35, 1.35), [32, 32, 32], "inconclusive"),  # on the brink
    ],
)
def test_frames_and_members_are_added_while_the_verdict_is_open(ensemble, clip, monkeypatch, logits, faces, label):
    says = [Says(network.card, logit) for network, logit in zip(ensemble.networks, logits, strict=True)]
    monkeypatch.setattr(ensemble, "networks", says)
    verdict = ensemble.scan(clip)
    assert [network.faces for network in says] == faces
    assert verdict.label == label
    assert verdict.frames_asked == verdict.frames_decoded == len(verdict.frames) == faces[0]
    assert [model["name"] for model in verdict.models] == [n for n, f in zip("abc", faces, strict=True) if f]
    spared = f"{faces[0]} of 32 frames and {sum(map(bool, faces))} of 3 models were enough to tell."
    assert (verdict.reasons[-1] == spared) == (sum(faces) < 96)


def test_a_crowd_is_shown_to_all_members_at_once(ensemble, clip, monkeypatch):
    says = [Says(network.card, 5) for network in ensemble.networks]
    monkeypatch.setattr(ensemble, "networks", says)
    monkeypatch.setattr(unmask.scan.scores, "MAX_KEPT_FACES", 5)
    assert len(ensemble.scan(clip).models) == 3
    assert [network.faces for network in says] == [8, 8, 8]


def test_what_nobody_stopped_is_a_full_scan(clips, scanner):
    """The blended clip is clear after some frames; without room for that, all frames in any order are the same."""
    patient = Scanner(frames=16, adaptive=Adaptive(first_frames=2, max_loss=0))
    full, staged = scanner.scan(clips["authentic"]), patient.scan(clips["authentic"])
    assert 0.01 < full.fake_probability < 0.99, "this clip must stay open"
    assert staged.frames == full.frames
    assert (staged.reasons, staged.fake_probability) == (full.reasons, full.fake_probability)
    assert staged.faces == full.faces
    assert staged.frames_asked == 16


def test_workers_change_nothing(ensemble, clips):
    together = [verdict.to_dict() for verdict in ensemble.scan_many(clips.values())]
    assert together == [ensemble.scan(path).to_dict() for path in clips.values()]
