from dataclasses import replace

import pytest

from unmask.evaluation import LabelledPrediction, Prediction, Truth, check_drift
from unmask.evaluation.drift import in_words
from unmask.models import Thresholds, load_card
from unmask.models.card import bundled_folder


@pytest.fixture(scope="module")
def card():
    held_out = {"authentic_called_fake": 0.02, "fake_called_real": 0.04, "decided": 0.5}
    return replace(
        load_card(bundled_folder()), thresholds=Thresholds(0.2, 0.8), evaluation={"quality": {"held_out": held_out}}
    )


def clips(count, wrong, label="real", per_source=1):
    """Clips of which the first ``wrong`` are called by the other word, the others by none."""
    word = "fake" if label == "real" else "real"
    sure = 0.9 if word == "fake" else 0.1
    return [
        LabelledPrediction(
            Prediction(f"{label}{i}", sure if i < wrong else 0.5, word if i < wrong else "inconclusive"),
            Truth(f"{label}{i}", label, f"{label}{i // per_source}"),
        )
        for i in range(count)
    ]


@pytest.mark.parametrize(
    ("reals", "wrong", "answer"),
    [(200, 2, "holds"), (20, 0, "cannot be told"), (40, 12, "does not hold"), (0, 0, "cannot be told")],
)
def test_the_interval_answers(card, reals, wrong, answer):
    check = check_drift(clips(reals, wrong) + clips(200, 0, "fake"), card)
    assert check.checks[0].answer == check.answer == answer
    assert check.checks[1].answer == "holds"
    assert (check.checks[0].clips, check.checks[0].wrong) == (reals, wrong)


def test_as_many_sources_as_it_says_can_show_that_thresholds_hold(card):
    needed = check_drift(clips(3, 0), card, 0.1).checks[0].needed
    assert check_drift(clips(needed, 0), card, 0.1).checks[0].answer == "holds"
    assert check_drift(clips(needed - 2, 0), card, 0.1).checks[0].answer == "cannot be told"


def test_clips_of_one_source_are_one_sample(card):
    alone, shared = (check_drift(clips(200, 0, per_source=n), card).checks[0] for n in (1, 20))
    assert (alone.answer, shared.answer) == ("holds", "cannot be told")
    assert (shared.sources, shared.clips) == (10, 200)
    assert shared.high > alone.high


def test_it_is_told_in_words(card):
    lines = in_words(check_drift(clips(40, 12) + clips(5, 0, "fake"), card, 0.05))
    assert lines[0] == "thresholds of bundled 3 (real up to 0.2, fake from 0.8): they do not hold for these clips"
    assert lines[1].startswith(
        "authentic clips called fake: 12 of 40, 18.1% to 45.4% of such sources, allowed 5.0%, 2.0%"
    )
    assert lines[1].endswith("does not hold")
    assert lines[2].endswith("cannot be told; 73 sources without an error would show it")
    assert lines[3] == "called real or fake at all: 27% of the clips, 50% by the card"
    assert lines[4].startswith("offered for 5.0% errors: fake from 0.901 (by 40 authentic sources; ")
    assert lines[5] == "no 'real up to' can be offered for 5.0% errors: that takes 19 fake sources, here are 5"


def test_clips_without_an_answer_count_nowhere(card):
    nothing = [LabelledPrediction(Prediction("a", None), Truth("a", "real", "a"))]
    check = check_drift(nothing, card)
    assert (check.checks[0].clips, check.decided, check.answer) == (0, 0.0, "cannot be told")
    assert "no 'fake from' can be offered" in in_words(check)[4]
