"""Scans that stop early: the rule, and that what nobody stopped is a full scan."""

import json
import shutil
from concurrent.futures import Future
from dataclasses import replace

import numpy as np
import pytest

import unmask.seen
from tests.media_factory import on_canvas, write_video
from unmask import Scanner
from unmask.adaptive import Adaptive
from unmask.judge import Judgement
from unmask.models import CropScore, Fusion
from unmask.models.card import Thresholds, bundled_folder
from unmask.types import Face, FaceVerdict, Frame

RULE = Adaptive(first_frames=8, frame_gap=0.5, member_gap=0.4)


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


def judgement(label, *people):
    faces = tuple(FaceVerdict(i + 1, label, p, 0, 1, 9, {}, b"") for i, p in enumerate(people))
    return Judgement(label, people[0], (), (), faces, ())


@pytest.fixture
def card(scanner):
    return replace(scanner.cards[0], thresholds=Thresholds(0.2, 0.8), fusion=Fusion())


@pytest.mark.parametrize(
    ("label", "probability", "frames_left", "members_left", "closed"),
    [
        ("fake", 0.8, 0, 0, True),
        ("fake", 0.89, 1, 0, False),
        ("fake", 0.91, 1, 0, True),  # half of the room from 0.8 to 1
        ("fake", 0.91, 1, 1, False),
        ("fake", 0.985, 1, 1, True),  # nine tenths
        ("fake", 0.87, 0, 1, False),
        ("fake", 0.885, 0, 1, True),
        ("real", 0.2, 0, 0, True),
        ("real", 0.11, 1, 0, False),
        ("real", 0.09, 1, 0, True),
        ("real", 0.03, 1, 1, False),
        ("real", 0.015, 1, 1, True),
        ("inconclusive", 0.01, 0, 0, False),  # too few frames of anybody
    ],
)
def test_the_gap_shrinks_as_more_is_seen(card, label, probability, frames_left, members_left, closed):
    assert RULE.is_closed(judgement(label, probability), card, frames_left, members_left) == closed


def test_a_fleeting_suspect_keeps_a_video_open(card):
    assert not RULE.is_closed(judgement("real", 0.01, 0.5), card, 0.5, 0)
    assert RULE.is_closed(judgement("real", 0.01, 0.5), card, 0, 0.5)
    pooled = replace(card, fusion=Fusion(people="pool"))
    assert RULE.is_closed(judgement("real", 0.01, 0.5), pooled, 0.5, 0)


@pytest.mark.parametrize("wrong", [{"first_frames": 0}, {"frame_gap": 0.6}, {"member_gap": -0.1}])
def test_nonsense_is_refused(wrong):
    with pytest.raises(ValueError, match="gaps"):
        Adaptive(**wrong)


class Says:
    """A network that gives every face one logit, and counts them."""

    def __init__(self, card, logit):
        self.card, self.logit, self.faces = card, logit, 0

    def submit(self, crops):
        self.faces += len(crops)
        futures = [Future() for _ in crops]
        for future in futures:
            future.set_result(CropScore(self.logit, None))
        return futures


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
    return write_video(path, [on_canvas(portrait, (320, 320), (20, 20), 280)] * 40, rate=10)


@pytest.mark.parametrize(
    ("logits", "faces", "label"),
    [
        ((5, 0, 0), [8, 0, 0], "fake"),  # beyond 0.8 + 0.7 * 0.2: at once
        ((-5, 0, 0), [8, 0, 0], "real"),
        ((1.6, 3, 3), [32, 32, 0], "fake"),  # 0.832 is too little for one of three members, 0.892 enough for two
        ((1, 1, 1), [32, 32, 32], "inconclusive"),
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
    says = [Says(network.card, 1) for network in ensemble.networks]
    monkeypatch.setattr(ensemble, "networks", says)
    monkeypatch.setattr(unmask.seen, "MOST_KEPT", 10)
    assert len(ensemble.scan(clip).models) == 3
    assert [network.faces for network in says] == [32, 32, 32]


def test_a_frame_counts_once(card):
    """A frame that replaced a damaged one at one stage is not counted again when it comes itself."""
    seen = unmask.seen.Seen([Says(card, 1)], 1)
    image, face = np.full((200, 200, 3), 90, np.uint8), Face((50, 50, 150, 150), 1.0)
    for index in (4, 0, 4):
        seen.note(Frame(image, index / 10, index), [face])
    assert [sighting.index for sighting in seen.sightings()] == [0, 4]
    assert seen.decoded == 2


def test_what_nobody_stopped_is_a_full_scan(clips, scanner):
    """The blended clip is clear after some frames; without room for that, all frames in any order are the same."""
    patient = Scanner(precision="fp32", frames=16, adaptive=Adaptive(first_frames=2, frame_gap=0.999, member_gap=0))
    full, staged = scanner.scan(clips["authentic"]), patient.scan(clips["authentic"])
    assert 0.01 < full.fake_probability < 0.99, "this clip must stay open"
    assert staged.frames == full.frames
    assert (staged.reasons, staged.fake_probability) == (full.reasons, full.fake_probability)
    assert staged.faces == full.faces
    assert staged.frames_asked == 16


def test_workers_change_nothing(ensemble, clips):
    together = [verdict.to_dict() for verdict in ensemble.scan_many(clips.values())]
    assert together == [ensemble.scan(path).to_dict() for path in clips.values()]
