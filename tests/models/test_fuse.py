import numpy as np
import pytest

from unmask.errors import UsageError
from unmask.models import FUSE_RULES, fuse


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


@pytest.mark.parametrize("rule", FUSE_RULES)
def test_rules_stay_in_range_and_ignore_order(rule):
    rng = np.random.default_rng(0)
    for size in (1, 2, 5, 32, 100):
        scores = rng.random(size)
        value = fuse(scores, rule)
        assert 0 <= value <= 1
        assert fuse(rng.permutation(scores), rule) == pytest.approx(value)


@pytest.mark.parametrize("scores", [[], [1.5], [-0.1], [float("nan")], [[0.5]]])
def test_nonsense_is_refused(scores):
    with pytest.raises(UsageError):
        fuse(scores)


def test_unknown_rule_names_the_known_ones():
    with pytest.raises(UsageError, match="confident"):
        fuse([0.5], "guess")
