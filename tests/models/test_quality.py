"""Worse faces need higher scores, and nothing they score says as much; without terms nothing changes."""

import math

import numpy as np
import pytest

from unmask.models.quality import FEATURES, QualityTerm, at_quality, in_plain_sight
from unmask.types import FaceQuality

TERMS = (
    QualityTerm("side", 128.0, offset=0.3, stretch=0.2),
    QualityTerm("sharpness", 0.5, offset=1.0, stretch=0.5),
    QualityTerm("quantiser", 0.5, offset=0.2, stretch=0.1),
)


def quality(side=200.0, sharpness=0.6, quantiser=None):
    return FaceQuality(side, sharpness, 1.0, quantiser=quantiser)


def test_a_face_in_plain_sight_keeps_its_logits():
    logits = np.array([-3.0, 0.0, 4.0])
    np.testing.assert_array_equal(at_quality(logits, [quality()] * 3, TERMS), logits)
    np.testing.assert_array_equal(at_quality(logits, [quality(20, 0.1, 0.9)] * 3, ()), logits)


@pytest.mark.parametrize(
    "worse",
    [[quality(side=s) for s in (128, 90, 64, 40)], [quality(sharpness=s) for s in (0.5, 0.4, 0.3, 0.1)],
     [quality(quantiser=q) for q in (0.5, 0.6, 0.7, 0.9)]],
)  # fmt: skip
def test_the_worse_a_face_is_the_less_a_high_score_says(worse):
    scores = at_quality(np.full(4, 5.0), worse, TERMS)
    assert (np.diff(scores) < 0).all()
    assert np.abs(at_quality(np.full(4, -5.0), worse, TERMS)).max() <= 5.0


def test_undoing_gives_the_logits_back():
    rng = np.random.default_rng(0)
    qualities = [quality(*rng.uniform((20, 0.05, 0), (300, 0.9, 1))) for _ in range(50)]
    logits = rng.normal(0, 4, 50)
    np.testing.assert_allclose(in_plain_sight(at_quality(logits, qualities, TERMS), qualities, TERMS), logits)


def test_what_is_not_known_lacks_nothing():
    assert TERMS[2].lack([quality(quantiser=None)]).tolist() == [0.0]


@pytest.mark.parametrize("feature", FEATURES)
def test_lack_has_an_upper_end(feature):
    worst = FaceQuality(1.0, 0.0, 0.1, quantiser=1.0)
    assert QualityTerm(feature, 0.1 if feature == "quantiser" else 4096.0, max_lack=2.0).lack([worst]).tolist() == [2.0]


@pytest.mark.parametrize(
    "numbers",
    [(0.0, 0, 0, 1), (1.0, -1, 0, 1), (1.0, 0, -1, 1), (1.0, 0, 0, 0), (math.nan, 0, 0, 1), (1.0, math.inf, 0, 1)],
)
def test_impossible_terms_are_refused(numbers):
    with pytest.raises(ValueError, match="quality term"):
        QualityTerm("side", *numbers)
