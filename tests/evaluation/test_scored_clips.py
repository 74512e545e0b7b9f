import numpy as np
import pytest

from tests.evaluation.samples import faces
from tests.evaluation.test_calibrate import CARD, clip
from unmask.evaluation import LabelledPrediction, Truth
from unmask.evaluation.predictions import prediction_of
from unmask.evaluation.scored_clips import ScoredClips
from unmask.models.card import Calibration


def test_a_clip_is_fused_as_a_scan_does(scanner, short_clips):
    card = scanner.cards[0]
    labelled = [
        LabelledPrediction(prediction_of(scanner.scan(path).to_dict()), Truth(name, "real", name))
        for name, path in short_clips.items()
    ]
    again = ScoredClips(labelled, card).fake_probabilities(card.calibration)
    assert again == pytest.approx([pair.prediction.fake_probability for pair in labelled], abs=1e-5)


def test_people_seen_too_briefly_are_pooled():
    """The example for which two rules once gave 0.90 and 0.42; the scan gives 0.42."""
    p = 1 / (1 + np.exp(-2.2))
    scored = ScoredClips([clip("a.mp4", "real", [[p] * 2, [1 - p] * 3])], CARD)
    assert scored.fake_probabilities(Calibration()) == pytest.approx([0.42], abs=0.001)
    assert not scored.can_be_fake_C.any()


def test_another_calibration_moves_the_scores():
    scored = ScoredClips([clip("a.mp4", "fake", [[0.9] * 6])], CARD)
    logit = np.log(9)
    assert scored.fake_probabilities(Calibration(2.0, 1.0)) == pytest.approx([1 / (1 + np.exp(-(logit - 1) / 2))])


def test_the_order_of_time_is_kept():
    assert [face.frame for face in clip("a", "real", [[0.1, 0.9, 0.2]]).prediction.faces] == [0, 1, 2]
    assert [face.person for face in faces((0.5, 0.5), (0.1,))] == [1, 1, 2]
