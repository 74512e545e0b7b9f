import numpy as np
import pytest

import unmask.systems  # noqa: F401 - enters the rules of published systems
from unmask.errors import UsageError
from unmask.models import FUSE_RULES, FUSIONS, Fusion, fuse
from unmask.models.fusion import MODEL_RULES, PEOPLE_RULES, fuse_person, fuse_video


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0.9] * 13 + [0.1] * 19, 0.9),
        ([0.9] * 12 + [0.1] * 20, 0.4),
        ([0.1] * 29 + [0.9] * 3, 0.1),
        ([0.1] * 28 + [0.9] * 4, 0.2),
        ([0.9] * 12 + [0.5] * 17, 0.9),
        ([0.9] * 12 + [0.5] * 18, 0.66),
        ([0.9], 0.9),
        ([0.1], 0.1),
    ],
)
def test_confident_rule_of_the_winner(scores, expected):
    assert fuse(scores, "confident") == pytest.approx(expected)
    assert fuse(scores[::-1], "confident") == pytest.approx(expected)


def test_weighted_rule_of_ntech():
    assert fuse([0.9, 0.6, 0.5, 0.2], "weighted") == pytest.approx(0.6015, abs=5e-5)
    assert fuse([0.5], "weighted") == 0.5
    assert fuse([1.0, 1.0], "weighted") == pytest.approx(0.99)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0.9] * 20 + [0.1] * 5 + [0.5] * 2, 0.9),  # 4 of 5 groups; the last two frames are left out
        ([0.9] * 15 + [0.1] * 10, 0.58),  # 3 of 5 is not over 70 %
        ([0.1] * 20 + [0.9] * 5, 0.1),
        ([0.9, 0.5, 0.1, 0.5, 0.5] * 6, 0.5),  # mean of the logits within a group
        ([0.9, 0.9, 0.1, 0.9, 0.9], 0.78899),  # sigmoid(3/5 ln 9)
        ([0.9, 0.1], 0.5),
        ([1.0, 0.0, 1.0, 0.0, 0.5], 0.5),
    ],
)
def test_groups_rule_of_robustforensics(scores, expected):
    assert fuse(scores, "groups") == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0.2, 0.91], 0.91),
        ([0.61, 0.7], 0.7),
        ([0.5, 0.7], 0.6),
        ([0.1, 0.39], 0.1),
        ([0.1, 0.4], 0.25),
        ([0.9], 0.9),
    ],
)
def test_people_rule_of_robustforensics(scores, expected):
    assert PEOPLE_RULES["clearest"](np.array(scores)) == pytest.approx(expected)


def test_model_rule_of_robustforensics():
    rule = MODEL_RULES["majority"]
    weights = np.array([10.0, 8, 4, 8])
    assert rule(np.array([0.9, 0.9, 0.81, 0.1]), weights) == pytest.approx((9 + 7.2 + 3.24) / 22)
    assert rule(np.array([0.9, 0.9, 0.5, 0.1]), weights) == pytest.approx((9 + 7.2 + 2 + 0.8) / 30)
    assert rule(np.array([0.1, 0.19, 0.1, 0.9]), weights) == pytest.approx((1 + 1.52 + 0.4) / 22)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [([0.8] * 9 + [0.1], 0.8), ([0.8] * 8 + [0.1] * 2, 0.66), ([0.2] * 9 + [0.7], 0.2), ([0.5], 0.5)],
)
def test_frame_rule_of_deepware(scores, expected):
    assert fuse(scores, "clear") == pytest.approx(expected)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0.95, 0.9], 0.95 - np.log10(0.95)),  # clear-cut: mean |2p - 1| is 0.85
        ([0.8, 0.5], 0.8),  # 0.3: not clear-cut
        ([0.1, 0.05], 0.05),
        ([0.4, 0.6], 0.5),
        ([0.999, 0.0], 0.99),
        ([0.001], 0.01),
    ],
)
def test_people_rule_of_deepware(scores, expected):
    assert PEOPLE_RULES["stretched"](np.array(scores)) == pytest.approx(expected)


ORDERLESS = sorted({*FUSE_RULES} - {"groups"})


@pytest.mark.parametrize("rule", FUSE_RULES)
def test_rules_stay_in_range_and_most_ignore_order(rule):
    rng = np.random.default_rng(0)
    for size in (1, 2, 5, 32, 100):
        scores = rng.random(size)
        value = fuse(scores, rule)
        assert 0 <= value <= 1
        if rule in ORDERLESS:
            assert fuse(rng.permutation(scores), rule) == pytest.approx(value)


def people(*scores):
    """One person for each argument: (M, n)."""
    return [np.array(each, np.float64) for each in scores]


def test_the_winner_pools_the_faces_of_all_people_for_each_model():
    first, second = [[0.9] * 12, [0.1] * 12], [[0.5] * 17, [0.1] * 17]
    both = fuse_video(people(first, second), FUSIONS["winner"], [1, 1])
    assert both == pytest.approx((0.9 + 0.1) / 2)


def test_the_second_place_weighs_models():
    scores = [[[0.2, 0.4], [0.8, 0.8], [0.5, 0.5]]]
    assert fuse_video(people(*scores), FUSIONS["wm"], [0.2, 0.7, 0.1]) == pytest.approx(0.06 + 0.56 + 0.05)


def test_plain_rules_name_the_most_suspicious_person():
    scores = people([[0.2, 0.4]], [[0.1, 0.8]])
    assert fuse_video(scores, FUSIONS["mean"], [1]) == pytest.approx(0.45)
    assert fuse_video(scores, FUSIONS["max"], [1]) == pytest.approx(0.8)
    apart = people([[0.9], [0.1]], [[0.1], [0.9]])
    assert fuse_video(apart, FUSIONS["mean"], [1, 1]) == pytest.approx(0.5), "models first, then people"


def test_robustforensics_fuses_people_for_each_model():
    scores = people([[0.95] * 5, [0.5] * 5], [[0.1] * 5, [0.5] * 5])
    assert fuse_video(scores, FUSIONS["robust"], [1, 1]) == pytest.approx((0.95 + 0.5) / 2)


def test_deepware_fuses_the_logits_of_each_face():
    scores = people([[0.9] * 4, [0.1] * 4])
    assert fuse_person(scores[0], FUSIONS["deepware"], [1, 1]) == pytest.approx(0.5)
    assert fuse_person(scores[0], FUSIONS["deepware"], [3, 1]) == pytest.approx(0.75)  # sigmoid(ln 9 / 2)


def test_one_model_and_one_person_are_themselves():
    for name in {*FUSIONS} - {"ntech", "deepware"}:
        assert fuse_video(people([[0.7] * 5]), FUSIONS[name], [2.0]) == pytest.approx(0.7)


@pytest.mark.parametrize("wrong", [{"frames": "x"}, {"people": "x"}, {"models": "x"}, {"weight": 0.0}])
def test_unknown_rules_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Fusion(**wrong)


@pytest.mark.parametrize("scores", [[], [1.5], [-0.1], [float("nan")], [[0.5]]])
def test_nonsense_is_refused(scores):
    with pytest.raises(UsageError):
        fuse(scores)


def test_unknown_rule_names_the_known_ones():
    with pytest.raises(UsageError, match="confident"):
        fuse([0.5], "guess")
