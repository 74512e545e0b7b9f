import json
from dataclasses import replace

import pytest

from tests.evaluation.samples import faces, made_up
from unmask.errors import UsageError
from unmask.evaluation import Labels, Prediction, Truth, evaluate
from unmask.evaluation.evaluate import METRICS
from unmask.evaluation.page import MEASURES


def test_measures_and_intervals():
    from sklearn import metrics as reference  # here, since it takes long and each process collects all tests

    predictions, truth = made_up()
    report = evaluate(predictions[::-1], truth, repeats=50)
    labels = [clip.label == "fake" for clip in truth.clips]
    scores = [prediction.fake_probability for prediction in predictions]
    level = report.answered
    assert (level.reals, level.fakes, level.sources) == (40, 80, 40)
    assert set(level.scores) == set(METRICS) == set(MEASURES)
    assert level.scores["auc"].value == pytest.approx(reference.roc_auc_score(labels, scores), abs=1e-12)
    assert level.scores["log_loss"].value == pytest.approx(reference.log_loss(labels, scores), abs=1e-9)
    assert all(score.low <= score.value <= score.high for score in (level.scores["auc"], level.scores["brier"]))
    assert report.kaggle is level
    assert report.frames is None
    assert not report.missing
    assert sum(map(sum, report.histogram)) == len(labels)
    assert (report.roc[0], report.roc[-1]) == ((0, 0), (1, 1))
    assert report.risk_coverage[-1][0] == 1
    again, other = (evaluate(predictions, truth, repeats=50, seed=seed).answered for seed in (0, 1))
    assert again.scores["auc"] == level.scores["auc"]  # whatever the order of the rows
    assert other.scores["auc"] != level.scores["auc"]


def test_each_method_stands_against_all_reals():
    report = evaluate(*made_up(), repeats=10)
    table = {(part.trait, part.value): part for part in report.slices}
    assert sorted(table) == [
        ("filmed", "youtube"),
        ("method", "Deepfakes"),
        ("method", "FaceSwap"),
        ("split", "test"),
        ("split", "train"),
    ]
    assert (table["method", "FaceSwap"].level.reals, table["method", "FaceSwap"].level.fakes) == (40, 40)
    assert (table["split", "test"].level.reals, table["split", "test"].level.fakes) == (20, 40)
    filmed = table["filmed", "youtube"]
    assert filmed.level.scores["auc"].value is None
    assert filmed.fakes_called_real is None
    called = report.confusion["real"]
    assert filmed.reals_called_fake == pytest.approx(called["fake"] / sum(called.values()))


def test_nothing_is_dropped_in_silence():
    predictions, truth = made_up()
    predictions[0] = replace(predictions[0], fake_probability=None)
    predictions[1] = replace(predictions[1], name="stranger.mp4")
    clips = (replace(truth.clips[2], label=None), *truth.clips[3:], truth.clips[0], truth.clips[1])
    report = evaluate(predictions, Labels(clips, ("a fault",)), repeats=10)
    assert report.missing.abstained == ("original/000.mp4",)
    assert report.missing.unmatched_predictions == ("stranger.mp4",)
    assert report.missing.unmatched_labels == ("Deepfakes/000.mp4",)
    assert report.missing.unlabelled == ("FaceSwap/000.mp4",)
    assert report.missing
    assert report.faults == ("a fault",)
    assert report.answered.reals == 39
    assert report.kaggle.reals == 40
    assert report.confusion["real"]["none"] == 1


def test_an_unanswered_clip_scores_one_half():
    predictions = [Prediction("a", 1e-9), Prediction("b", 1 - 1e-9), Prediction("c", None)]
    truth = Labels((Truth("a", "real", "a"), Truth("b", "fake", "b"), Truth("c", "fake", "c")))
    report = evaluate(predictions, truth, repeats=10)
    assert report.answered.scores["log_loss"].value == pytest.approx(0, abs=1e-6)
    assert report.kaggle.scores["log_loss"].value == pytest.approx(0.6931 / 3, abs=1e-4)


def test_words_come_from_the_verdict_and_else_from_one_half():
    predictions = [Prediction("a", 0.6, "inconclusive"), Prediction("b", 0.6, "fake"), Prediction("c", 0.6)]
    truth = Labels(tuple(Truth(name, label, name) for name, label in zip("abc", ("real", "fake", "real"), strict=True)))
    confusion = evaluate(predictions, truth, repeats=10).confusion
    assert confusion["real"] == {"real": 0, "inconclusive": 1, "fake": 1, "none": 0}
    assert confusion["fake"]["fake"] == 1


def test_the_frames_are_a_level_of_their_own():
    predictions = [
        Prediction("a", 0.2, "real", faces((0.1, 0.3))),
        Prediction("b", 0.9, "fake", faces((0.9,), (0.2, 0.2))),
    ]
    truth = Labels((Truth("a", "real", "a"), Truth("b", "fake", "b")))
    report = evaluate(predictions, truth, repeats=10)
    assert (report.frames.reals, report.frames.fakes, report.frames.sources) == (2, 3, 2)
    assert report.frames.scores["auc"].value == pytest.approx(4 / 6)


def test_one_class_alone_is_measured_as_far_as_it_goes():
    predictions, truth = made_up()
    reals = [(p, clip) for p, clip in zip(predictions, truth.clips, strict=True) if clip.label == "real"]
    report = evaluate([p for p, _ in reals], Labels(tuple(clip for _, clip in reals)), repeats=10)
    assert report.answered.scores["auc"].value is None
    assert report.answered.scores["log_loss"].value is not None
    assert report.roc == ()
    assert "No fake clip was answered" in report.notes[0]


def test_clips_without_known_originals_are_told():
    predictions, truth = made_up()
    alone = Labels(tuple(replace(clip, source=clip.name) for clip in truth.clips))
    assert any("intervals are too narrow" in note for note in evaluate(predictions, alone, repeats=10).notes)


@pytest.mark.parametrize("predictions", [[], [Prediction("x.mp4", 0.5)], [Prediction("original/000.mp4", None)]])
def test_nothing_in_common_is_an_error(predictions):
    with pytest.raises(UsageError, match="names are compared by path"):
        evaluate(predictions, made_up()[1])


def test_an_evaluation_is_plain_json():
    predictions, truth = made_up()
    report = evaluate(predictions, truth, repeats=10)
    assert json.loads(json.dumps(report.to_dict()))["answered"]["scores"]["auc"]["value"] > 0.8
