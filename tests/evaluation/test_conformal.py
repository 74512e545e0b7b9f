import numpy as np
import pytest

from unmask.errors import UsageError
from unmask.evaluation import LabelledPrediction, Prediction, Truth, conformal_thresholds
from unmask.evaluation.conformal import beta_range


def pairs(scores, label="real", per_source=1):
    return [
        LabelledPrediction(
            Prediction(f"{label}{i}", float(p)), Truth(f"{label}{i}", label, f"{label}{i // per_source}")
        )
        for i, p in enumerate(scores)
    ]


def test_the_threshold_is_the_score_of_the_stated_rank():
    scores = np.linspace(0.5, 0.99, 99)  # (99 + 1) * 0.9 = 90: the 90th smallest
    found = conformal_thresholds(pairs(scores) + pairs(1 - scores, "fake"), 0.1)
    ninetieth = scores[89]
    assert ninetieth < found.fake_above.threshold <= ninetieth + 1.001e-3
    assert found.real_below.threshold == pytest.approx(1 - found.fake_above.threshold, abs=2e-3)
    assert found.real_below.threshold < 1 - ninetieth
    assert found.fake_above.sources == 99
    assert found.fake_above.needed == 9


def test_too_few_sources_promise_nothing():
    eighteen, nineteen = (conformal_thresholds(pairs(np.full(n, 0.6)), 0.05) for n in (18, 19))
    assert (eighteen.fake_above.threshold, eighteen.fake_above.needed) == (None, 19)
    assert nineteen.fake_above.threshold == 0.601
    assert nineteen.real_below.threshold is None  # no fakes at all


@pytest.mark.parametrize("score", [0.5, 0.7, 0.3, 0.901, 0.999])
def test_a_threshold_lies_above_its_score_and_above_a_half(score):
    threshold = conformal_thresholds(pairs(np.full(30, score)), 0.1).fake_above.threshold
    assert threshold > score
    assert 0.5 <= threshold <= max(0.5, score + 0.0011)


def test_scores_that_are_as_sure_as_can_be_leave_no_threshold():
    assert conformal_thresholds(pairs(np.full(40, 1.0)), 0.1).fake_above.threshold is None


def test_a_source_counts_with_its_worst_clip():
    rng = np.random.default_rng(0)
    many = conformal_thresholds(pairs(rng.uniform(0, 1, 100), per_source=5), 0.1)
    assert many.fake_above.sources == 20
    assert many.fake_above.threshold > conformal_thresholds(pairs(rng.uniform(0, 1, 100)), 0.1).fake_above.threshold


@pytest.mark.slow
def test_the_promise_is_kept_on_new_sources():
    """Over many draws, new clips are called wrongly as often as stated at most, and as spread as foretold."""
    rng, rates, inside = np.random.default_rng(1), [], 0
    for _ in range(200):
        found = conformal_thresholds(pairs(rng.beta(2, 2, 60)), 0.1).fake_above
        rate = float((rng.beta(2, 2, 4000) >= found.threshold).mean())
        rates.append(rate)
        low, high = found.expected_error
        inside += low - 0.01 <= rate <= high + 0.01
    assert np.mean(rates) == pytest.approx(1 - 55 / 61, abs=0.009)  # its deviation is 0.0027
    assert inside >= 180


def test_the_range_of_a_beta_distribution():
    low, high = beta_range(1, 1)
    assert (low, high) == pytest.approx((0.025, 0.975), abs=1e-6)
    rng = np.random.default_rng(0)
    assert beta_range(3, 17) == pytest.approx(np.quantile(rng.beta(3, 17, 200_000), (0.025, 0.975)), abs=0.003)


@pytest.mark.parametrize("error", [0, 0.6, -1, float("nan")])
def test_an_error_that_makes_no_sense_is_refused(error):
    with pytest.raises(UsageError, match="above 0 and at most"):
        conformal_thresholds(pairs([0.5]), error)
