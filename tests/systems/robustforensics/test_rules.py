"""Check values worked out by hand from the published rules."""

import math
from collections import Counter

import numpy as np
import pytest

from unmask.models.fusion import by_majority, clearest
from unmask.systems.robustforensics.members import MEMBERS, member_card, member_network
from unmask.systems.robustforensics.rules import (
    every_nth,
    fuse_members,
    group_scores,
    image_frames,
    shrink,
)


def logit(probability):
    return math.log(probability / (1 - probability))


@pytest.mark.parametrize(("frames", "kept", "last"), [(300, 150, 298), (160, 160, 159), (161, 81, 160), (1, 1, 0)])
def test_frames_of_a_video(frames, kept, last):
    places = every_nth(frames, 160)
    assert (len(places), places[-1]) == (kept, last)


@pytest.mark.parametrize(
    ("frames", "kept", "step"),
    [(150, 30, 5), (35, 35, 1), (36, 15, 2), (160, 30, 5), (80, 25, 3), (9, 5, 1), (4, 4, 1), (1, 1, 1)],
)
def test_frames_of_the_image_models(frames, kept, step):
    places = image_frames(frames)
    assert (len(places), places.step, places[0]) == (kept, step, 0)


class TestGroups:
    def test_five_logits_make_one_score(self):
        logits = np.array([0, 0, 0, 0, 5 * logit(0.9), *[logit(0.2)] * 5])
        assert group_scores(logits) == pytest.approx([0.9, 0.2])

    def test_fewer_than_five_are_one_group(self):
        assert group_scores(np.array([logit(0.8), 0.0])) == pytest.approx([1 / (1 + 0.25**0.5)])

    def test_sure_logits_do_not_overflow(self):
        assert group_scores(np.full(5, -1e5)) == [0]

    def test_agreed_groups_decide(self):
        # five of six are 83 %
        assert by_majority(np.array([0.9, 0.95, 0.9, 0.95, 0.9, 0.1])) == pytest.approx(4.6 / 5)
        assert by_majority(np.array([0.1, 0.05, 0.1, 0.05, 0.1, 0.9])) == pytest.approx(0.4 / 5)

    def test_otherwise_all_do(self):
        # four of six are 67 %
        assert by_majority(np.array([0.9, 0.9, 0.9, 0.9, 0.1, 0.1])) == pytest.approx(3.8 / 6)

    def test_bounds_are_not_within(self):
        # 7 of 10 are not more than 70 %, and 0.85 does not exceed 0.85
        assert by_majority(np.array([0.95] * 7 + [0.5] * 3)) == pytest.approx(8.15 / 10)
        assert by_majority(np.array([0.85] * 9 + [0.0])) == pytest.approx(0.765)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0.95, 0.1], 0.95),  # one is sure
        ([0.9, 0.1], 0.5),  # 0.9 is not
        ([0.7, 0.61], 0.7),  # all lean to fake
        ([0.7, 0.6], 0.65),
        ([0.39, 0.1], 0.1),  # all lean to real
        ([0.4, 0.1], 0.25),
        ([0.3], 0.3),
    ],
)
def test_faces(scores, expected):
    assert clearest(np.array(scores)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("score", "expected"), [(1.0, 0.98), (0.98, 0.9608), (0.979, 0.979), (0.02, 0.0392), (0.0, 0.02), (0.5, 0.5)]
)
def test_shrink(score, expected):
    assert shrink(score) == pytest.approx(expected)


class TestEnsemble:
    VIDEO = ("slowfast_32x4_aug", "slowfast_32x4_noaug", "slowfast_16x8_aug", "slowfast_32x4_alldata")

    def test_both_groups(self):
        # Video: three of four, 75 %, are above 0.8: (10 .9 + 8 .85 + 8 .95) / 26 = 0.9. Image: 0.5 throughout.
        scores = dict(zip(self.VIDEO, (0.9, 0.85, 0.1, 0.95), strict=True))
        scores |= {member.name: 0.5 for member in MEMBERS if member.group == "image"}
        assert fuse_members(scores) == pytest.approx(0.4 * 23.4 / 26 + 0.3)

    def test_image_models_that_agree_on_real(self):
        # Five of seven, 71 %, are below 0.2: xcep 10, b3 6, r34 4, b1 10, b1_long 8.
        names = ("xcep", "b3", "r34", "b1", "b1_long_alldata")
        scores = dict(zip(names, (0.1, 0.0, 0.15, 0.05, 0.1), strict=True)) | {"b1_alldata": 0.9, "b0": 0.9}
        assert fuse_members(scores) == pytest.approx((1.0 + 0 + 0.6 + 0.5 + 0.8) / 38)

    def test_a_member_that_failed_is_left_out(self):
        assert fuse_members({"xcep": 0.7, "b0": 0.3}) == pytest.approx((7 + 2.1) / 17)
        assert fuse_members({"slowfast_16x8_aug": 0.3}) == pytest.approx(0.3)

    def test_the_table(self):
        assert [member.weight for member in MEMBERS] == [10, 8, 4, 8, 10, 6, 4, 10, 8, 8, 7]
        assert Counter(member.side_px for member in MEMBERS) == {256: 5, 299: 6}
        assert {member.name for member in MEMBERS if member.mirrored} == {"xcep", "b1", "b0", "r34"}
        assert {member.name for member in MEMBERS if member.shrunk} == {"b3", "r34"}
        assert {member.name for member in MEMBERS if member.bgr} == {"xcep"}

    def test_cards_and_networks(self):
        for member in MEMBERS:
            card = member_card(member)
            assert (card.name, card.crop.size_px) == (f"robustforensics-{member.name}", member.side_px)
            assert (card.crop.detection.detector, card.crop.colours, card.precision) == (
                "retinaface",
                "bt601",
                "fp32",
            )
            assert member_network(member)[0] == ("slowfast" if member.group == "video" else "two_class")
