import json
from dataclasses import replace

import numpy as np
import pytest

from unmask.errors import ModelError, UsageError
from unmask.evaluation import Prediction, Truth, fit_calibration, write_calibration
from unmask.evaluation.calibrate import _logits, clip_probability
from unmask.evaluation.predictions import prediction_of
from unmask.models import load_card
from unmask.models.card import CARD_FILE, Calibration, bundled_folder
from unmask.models.fusion import Fusion

CARD = load_card(bundled_folder())


def sure_model(clips=600, temperature=3.0, offset=1.0, seed=0):
    """Clips of a model whose logits are ``temperature`` times too large and ``offset`` too high."""
    rng, pairs = np.random.default_rng(seed), []
    for i, honest in enumerate(rng.normal(0, 2, clips)):
        fake = rng.random() < 1 / (1 + np.exp(-honest))
        p = float(1 / (1 + np.exp(-(honest * temperature + offset))))
        said = Prediction(f"{i}.mp4", p, None, ((p,) * 8,), CARD.files["model.onnx"].sha256, Calibration(1.0, 0.0))
        pairs.append((said, Truth(said.name, "fake" if fake else "real", f"source {i // 2}")))
    return pairs


def test_temperature_and_offset_are_found():
    fit = fit_calibration(sure_model(1500), CARD)
    assert fit.calibration.temperature == pytest.approx(3, rel=0.1)
    assert fit.calibration.offset == pytest.approx(1, abs=0.3)
    assert fit.after["calibration_error"] < fit.before["calibration_error"] / 2
    assert fit.after["log_loss_balanced"] < fit.before["log_loss_balanced"]


def test_the_fit_depends_on_the_seed_alone():
    pairs = sure_model(200)
    assert fit_calibration(pairs, CARD, 1) == fit_calibration(pairs, CARD, 1) != fit_calibration(pairs, CARD, 2)


def test_the_halves_share_no_source_and_both_have_both_classes():
    pairs = sure_model(200)
    fit = fit_calibration(pairs, CARD)
    assert fit.fitted_clips + fit.held_out_clips == 200
    assert fit.sources == 100
    assert abs(fit.fitted_clips - fit.held_out_clips) <= 4
    own = [(said, replace(truth, source=truth.label)) for said, truth in pairs]
    with pytest.raises(UsageError, match="at least two sources each"):
        fit_calibration(own, CARD)


def test_a_clip_is_fused_as_a_scan_does(scanner, clips):
    card = scanner.cards[0]
    for clip in clips.values():
        said = prediction_of(scanner.scan(clip).to_dict())
        again = clip_probability(_logits(said.people, said.calibration), card.calibration, card.fusion)
        assert again == pytest.approx(said.fake_probability, abs=1e-5)


def test_the_most_suspicious_steady_person_decides():
    people = np.full(6, -2.0), np.full(2, 4.0)
    assert clip_probability(people, Calibration(), Fusion()) == pytest.approx(1 / (1 + np.exp(2)))
    pooled = clip_probability(people, Calibration(), Fusion(people="pool"))
    assert pooled == pytest.approx((6 / (1 + np.exp(2)) + 2 / (1 + np.exp(-4))) / 8)
    assert clip_probability(people, Calibration(), Fusion(min_frames=9)) == pytest.approx(pooled)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"people": ()}, "no frame scores"),
        ({"calibration": None}, "no frame scores of a single model"),
        ({"model_sha256": "0" * 64}, "was not scored by the model"),
    ],
)
def test_predictions_of_something_else_are_refused(change, words):
    said, truth = sure_model(1)[0]
    with pytest.raises(UsageError, match=words):
        fit_calibration([(replace(said, **change), truth)], CARD)


def test_the_card_keeps_everything_else(tmp_path):
    before = (bundled_folder() / CARD_FILE).read_text()
    (tmp_path / CARD_FILE).write_text(before)
    fit = fit_calibration(sure_model(100), CARD)
    write_calibration(fit, tmp_path, "made up")
    card = load_card(tmp_path)
    assert card.calibration == fit.calibration
    assert card.evaluation["calibration"]["data"] == "made up"
    assert card.evaluation["calibration"]["after"] == fit.after
    old, new = json.loads(before), json.loads((tmp_path / CARD_FILE).read_text())
    for raw in (old, new):
        del raw["calibration"]
        raw["evaluation"].pop("calibration", None)
    assert old == new
    assert [path.name for path in tmp_path.iterdir()] == [CARD_FILE]


def test_a_folder_without_a_card_is_refused(tmp_path):
    with pytest.raises(ModelError):
        write_calibration(fit_calibration(sure_model(100), CARD), tmp_path, "")
