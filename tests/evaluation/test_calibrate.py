from dataclasses import replace

import numpy as np
import pytest

from tests.evaluation.samples import faces
from unmask.errors import ModelError, UsageError
from unmask.evaluation import LabelledPrediction, Prediction, Truth, fit_calibration, write_calibration
from unmask.evaluation.calibrate import fit_thresholds
from unmask.evaluation.scored_clips import ScoredClips
from unmask.models import load_card
from unmask.models.card import CARD_FILE, Calibration, Thresholds, bundled_folder

CARD = replace(load_card(bundled_folder()), calibration=Calibration(), thresholds=Thresholds())
PLAIN, BLURRED = {}, {"degradation": "gblur 2"}


def clip(name, label, people, source=None, traits=PLAIN):
    """Return a clip with these fake probabilities of each person's faces, scored by the uncalibrated model."""
    sha256 = CARD.files["model.onnx"].sha256
    prediction = Prediction(name, float(people[0][0]), None, faces(*people), sha256, Calibration())
    return LabelledPrediction(prediction, Truth(name, label, source or name, traits))


def sure_model(clips=600, temperature=3.0, offset=1.0, seed=0):
    """Clips of a model whose logits are ``temperature`` times too large and ``offset`` too high."""
    rng, labelled = np.random.default_rng(seed), []
    for i, honest in enumerate(rng.normal(0, 2, clips)):
        label = "fake" if rng.random() < 1 / (1 + np.exp(-honest)) else "real"
        p = 1 / (1 + np.exp(-(honest * temperature + offset)))
        labelled.append(clip(f"{i}.mp4", label, [[p] * 6], f"source {i // 2}"))
    return labelled


def evenly_scored(count=40):
    """Real clips with scores of 0.1 to 0.6 and fakes of 0.4 to 0.9, each of its own source."""
    scores = [("real", p) for p in np.linspace(0.1, 0.6, count)] + [("fake", p) for p in np.linspace(0.4, 0.9, count)]
    return [clip(f"{i}.mp4", label, [[p] * 6]) for i, (label, p) in enumerate(scores)]


@pytest.mark.slow
def test_temperature_and_offset_are_found():
    fit = fit_calibration(sure_model(700), CARD)
    assert fit.calibration.temperature == pytest.approx(3, rel=0.1)
    assert fit.calibration.offset == pytest.approx(1, abs=0.3)
    assert fit.after.calibration_error < fit.before.calibration_error / 2
    assert fit.helps


@pytest.mark.slow
def test_the_fit_depends_on_the_seed_alone():
    labelled = sure_model(40)
    fits = [fit_calibration(labelled, CARD, seed=seed) for seed in (1, 1, 2)]
    assert fits[0] == fits[1] != fits[2]


def test_each_class_needs_two_sources():
    own = [LabelledPrediction(said, replace(truth, source=truth.label)) for said, truth in sure_model(40)]
    with pytest.raises(UsageError, match="at least two sources each"):
        fit_calibration(own, CARD)


@pytest.mark.slow
def test_sources_weigh_the_same_however_many_clips_they_have():
    labelled = sure_model(30)
    many = [replace(labelled[0].prediction, name=f"copy {i}") for i in range(30)]
    copies = [LabelledPrediction(prediction, labelled[0].truth) for prediction in many]
    lone = [pair for pair in labelled if pair.truth.source != labelled[0].truth.source or pair is labelled[0]]
    assert fit_calibration(lone + copies, CARD).calibration == fit_calibration(lone, CARD).calibration


def test_held_out_clips_are_judged_without_their_source():
    """A source that no other resembles is called fake by a fit to the others, and real by a fit to all."""
    labelled = [
        pair for pair in evenly_scored() if pair.truth.label == "fake" or pair.prediction.fake_probability < 0.5
    ]
    labelled.append(clip("odd.mp4", "real", [[0.97] * 6], "odd"))
    fit = fit_calibration(labelled, CARD, false_alarms=0)
    reals = sum(pair.truth.label == "real" for pair in labelled)
    assert fit.held_out.authentic_called_fake == pytest.approx(1 / reals, abs=1e-4)
    clips = ScoredClips(labelled, CARD)
    odd = clips.fake_probabilities(fit.calibration)[-1]
    assert fit.thresholds.label(odd) != "fake"


def test_thresholds_keep_the_share_of_false_alarms():
    labelled = evenly_scored()
    clips = ScoredClips(labelled, CARD)
    scores = clips.fake_probabilities(Calibration())
    chosen = np.ones(len(clips), bool)
    for share in (0.0, 0.05, 0.2):
        thresholds = fit_thresholds(clips, scores, chosen, share)
        assert np.mean(scores[:40] >= thresholds.fake_above) == pytest.approx(share, abs=1e-9)
        assert np.mean(scores[40:] <= thresholds.real_below) == pytest.approx(share, abs=1e-9)
    assert fit_thresholds(clips, scores, chosen, 0.5) == Thresholds(0.5, 0.5)


def test_thresholds_stay_in_range_for_sure_scores():
    labelled = [clip(f"{i}", label, [[p] * 6]) for i, (label, p) in enumerate([("real", 1.0), ("fake", 0.0)] * 2)]
    clips = ScoredClips(labelled, CARD)
    assert fit_thresholds(clips, clips.fake_probabilities(Calibration()), np.ones(4, bool), 0) == Thresholds(0, 1)


def test_each_degradation_keeps_the_share_of_false_alarms_by_itself():
    labelled = evenly_scored(20)
    blurred = [clip(f"blurred {i}", "real", [[0.8] * 6], f"{i}.mp4", BLURRED) for i in range(2)]
    fit = fit_calibration(labelled + blurred, CARD, false_alarms=0.1)
    clips = ScoredClips(labelled + blurred, CARD)
    assert (clips.fake_probabilities(fit.calibration)[-2:] < fit.thresholds.fake_above).all()
    assert sorted(fit.false_alarms_by_degradation) == ["as it is", "gblur 2"]
    counts = fit.clips
    assert (counts.authentic, counts.authentic_degraded, counts.fake, counts.sources) == (20, 2, 20, 40)


def test_a_clip_too_short_to_be_called_fake_is_no_false_alarm():
    labelled = evenly_scored(20)
    brief = [clip(f"brief {i}", "real", [[0.99] * 2]) for i in range(5)]
    clips = ScoredClips(labelled + brief, CARD)
    assert not clips.can_be_fake_C[-5:].any()
    scores, chosen = clips.fake_probabilities(Calibration()), np.ones(len(clips), bool)
    alone = fit_thresholds(clips, scores, chosen & np.array([True] * 40 + [False] * 5), 0)
    assert fit_thresholds(clips, scores, chosen, 0) == alone


@pytest.mark.slow
def test_a_fit_that_does_not_help_keeps_the_cards_calibration():
    labelled = sure_model(50)
    card = replace(CARD, calibration=fit_calibration(labelled, CARD).calibration)
    fit = fit_calibration(labelled, card)
    assert not fit.helps
    assert fit.calibration == card.calibration
    assert fit.thresholds != card.thresholds


@pytest.mark.slow
def test_many_sources_are_dealt_into_folds(monkeypatch):
    monkeypatch.setattr("unmask.evaluation.calibrate.MAX_FOLDS", 20)
    labelled = sure_model(80)
    fit = fit_calibration(labelled, CARD)
    assert fit.clips.sources == 2 * 20
    assert fit.helps


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"faces": ()}, "no frame scores"),
        ({"calibration": None}, "no frame scores of a single model"),
        ({"model_sha256": "0" * 64}, "was not scored by the model"),
    ],
)
def test_predictions_of_something_else_are_refused(change, words):
    prediction, truth = sure_model(1)[0]
    with pytest.raises(UsageError, match=words):
        fit_calibration([LabelledPrediction(replace(prediction, **change), truth)], CARD)


def test_a_share_out_of_range_is_refused():
    with pytest.raises(UsageError, match=r"must be in 0\.\.0\.5, not 0\.7"):
        fit_calibration(sure_model(20), CARD, false_alarms=0.7)


@pytest.mark.slow
def test_the_card_keeps_everything_else(tmp_path):
    (tmp_path / CARD_FILE).write_text((bundled_folder() / CARD_FILE).read_text())
    before = load_card(tmp_path)
    fit = fit_calibration(sure_model(40), CARD)
    write_calibration(fit, tmp_path, "made up")
    card = load_card(tmp_path)
    assert (card.calibration, card.thresholds) == (fit.calibration, fit.thresholds)
    facts = card.evaluation["calibration"]
    assert facts["data"] == "made up"
    assert facts["after"]["log_loss_balanced"] == fit.after.log_loss_balanced
    assert facts["separation"]["auc"] == fit.separation.auc
    kept = {"calibration": before.calibration, "thresholds": before.thresholds, "evaluation": before.evaluation}
    assert replace(card, **kept) == before
    assert [path.name for path in tmp_path.iterdir()] == [CARD_FILE]


def test_a_folder_without_a_card_is_refused(tmp_path):
    with pytest.raises(ModelError):
        write_calibration(fit_calibration(sure_model(20), CARD), tmp_path, "")
