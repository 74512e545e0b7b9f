"""The fit undoes what poor quality does to scores, and keeps false alarms in every kind of copy as stated."""

import numpy as np
import pytest

from unmask.augment.copies import COPIES
from unmask.errors import UsageError
from unmask.evaluation.excerpts import ScoredCopies, load_scores, save_scores
from unmask.evaluation.quality_fit import LabelledCopies, fit_quality, wilson
from unmask.types import FaceQuality

BLURRED = {"blur 1": 0.08, "blur 2": 0.055, "blur 3": 0.04}


def clip(rng, number, is_fake):
    """Scores that blur raises, whatever is true, and that say less of what is true."""
    copies, raw, qualities = [], [], []
    own = rng.normal(0, 1)
    for place, name in enumerate(COPIES):
        sharpness = BLURRED.get(name, 0.12)
        lack = np.log2(0.11 / min(sharpness, 0.11))
        signal = (2.5 if is_fake else -2.5) / (1 + 2 * lack)
        for _ in range(6):
            copies.append(place)
            raw.append(signal + 2 * lack + own + rng.normal(0, 0.5))
            qualities.append(FaceQuality(200.0, sharpness, 1.0))
    return LabelledCopies(ScoredCopies(np.array(copies), np.array(raw), qualities), is_fake, f"s{number}", "made")


@pytest.fixture(scope="module")
def clips():
    rng = np.random.default_rng(0)
    return [clip(rng, number, number % 2 == 1) for number in range(120)]


@pytest.fixture(scope="module")
def fit(clips):
    return fit_quality(clips, 40.0)


def test_false_alarms_stay_where_they_should_in_every_cell(fit):
    assert fit.held_out["authentic_called_fake"] <= 0.05
    for cell in fit.cells:
        assert cell.called_fake / cell.authentic <= 0.12  # one fold's threshold, on 60 clips
        low, high = cell.called_fake_95
        assert low <= cell.called_fake / cell.authentic <= high


def test_clear_copies_are_decided_and_blurred_ones_are_not(fit):
    decided = {cell.copy: cell.decided for cell in fit.cells}
    assert decided["as it is"] > 0.7
    assert decided["blur 3"] < decided["as it is"] - 0.2


def test_the_lack_of_sharpness_is_what_counts(fit):
    terms = {term.feature: term for term in fit.calibration.quality}
    assert terms["sharpness"].offset + terms["sharpness"].stretch > 0.3
    assert "side" not in terms
    assert fit.tail > 0


def test_too_few_sources_are_refused(clips):
    with pytest.raises(UsageError, match="sources"):
        fit_quality(clips[:4], 40.0)
    with pytest.raises(UsageError, match="large enough"):
        fit_quality(clips, 400.0)


def test_kept_scores_come_back(clips, tmp_path):
    scored = clips[0].scored
    save_scores(scored, tmp_path / "kept.npz")
    again = load_scores(tmp_path / "kept.npz")
    np.testing.assert_array_equal(again.raw_N, scored.raw_N)
    assert again.qualities == scored.qualities


@pytest.mark.parametrize(("hits", "count"), [(0, 0), (0, 50), (3, 60), (50, 50)])
def test_intervals_hold_the_share(hits, count):
    low, high = wilson(hits, count)
    assert 0 <= low <= (hits / count if count else 0) <= high <= 1
    assert count == 0 or high - low < 0.15
