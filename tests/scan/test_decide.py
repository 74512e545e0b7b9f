"""Nobody is called real while somebody is unjudged, and the passage of a manipulation is named."""

from dataclasses import replace

import numpy as np
import pytest

from tests.scan.sayable import assert_sayable
from unmask.faces.crop import crop_region
from unmask.models import load_card
from unmask.models.card import QualityFloor, Thresholds, bundled_folder
from unmask.models.passages import PassageRule
from unmask.scan.decide import judge
from unmask.scan.unjudged import SmallFace
from unmask.types import CropScore, Face, FaceQuality, ScoredFace

PORTRAIT = np.zeros((96, 96, 3), np.uint8)


@pytest.fixture(scope="module")
def card():
    bundled = load_card(bundled_folder())
    return replace(
        bundled,
        thresholds=Thresholds(0.3, 0.7),
        fusion=replace(bundled.fusion, passages=PassageRule(0.5, 6)),
        floor=QualityFloor(0.05),
    )


def person(number, logits, *, start=0.0, side=120.0, sharpness=0.1, confidence=1.0):
    face = Face((0.0, 0.0, side, side), confidence)
    quality = FaceQuality(side, sharpness, confidence)
    return [
        ScoredFace(number, round(10 * (start + i)), start + i, face, (CropScore(float(x), None),), PORTRAIT, quality)
        for i, x in enumerate(logits)
    ]


def judged(card, *people, **others):
    faces = sorted((face for group in people for face in group), key=lambda face: face.index)
    verdict = judge(faces, [card], **others)
    assert_sayable(verdict.reasons)
    return verdict


def test_everybody_low_is_real(card):
    verdict = judged(card, person(1, [-3] * 20), person(2, [-2] * 20))
    assert verdict.label == "real"
    assert not verdict.unjudged
    trace = "(threshold 0.30): no trace of manipulation was found."
    assert verdict.reasons == (f"All 2 people scored at most 0.12 {trace}",)
    assert judged(card, person(1, [-3] * 20)).reasons == (f"The one person scored at most 0.05 {trace}",)


@pytest.mark.parametrize("count", [1, 3, 5])
@pytest.mark.parametrize("logit", [-4, 4])
def test_somebody_seen_briefly_keeps_a_clip_from_being_real(card, count, logit):
    verdict = judged(card, person(1, [-3] * 20), person(2, [logit] * count, start=7))
    assert verdict.label == "inconclusive"
    assert (verdict.unjudged[0].person, verdict.unjudged[0].why) == (2, "brief")
    assert "Person 2" in verdict.reasons[0]
    assert "7.0 s" in verdict.reasons[0]
    assert "--frames" in verdict.reasons[0]


def test_a_single_unsure_detection_is_no_person(card):
    verdict = judged(card, person(1, [-3] * 20), person(2, [2], start=7, confidence=0.96))
    assert verdict.label == "real"
    assert not verdict.unjudged[0].matters


def test_somebody_blurred_neither_accuses_nor_is_cleared(card):
    fake = judged(card, person(1, [-3] * 20), person(2, [5] * 20, sharpness=0.02))
    assert fake.label == "inconclusive"
    assert "blurred" in fake.reasons[0]
    assert fake.fake_probability < 0.3
    alone = judged(card, person(1, [5] * 20, sharpness=0.02))
    assert alone.label == "inconclusive"
    assert any("sharper copy" in reason for reason in alone.reasons)


@pytest.mark.parametrize(("side", "label"), [(38.0, "real"), (39.0, "inconclusive")])
def test_the_background_of_a_crowd_does_not_matter(card, side, label):
    small = [SmallFace(2, time, side) for time in (1.0, 2.0, 3.0)]
    verdict = judged(card, person(1, [-3] * 20, side=117.0), small=small)
    assert verdict.label == label
    assert verdict.unjudged[0].why == "small"
    assert (verdict.unjudged[0].start_seconds, verdict.unjudged[0].end_seconds) == (1.0, 3.0)
    assert verdict.unjudged[0].matters == (label == "inconclusive")
    assert verdict.reasons if label == "inconclusive" else verdict.warnings


def test_a_photograph_is_not_called_real_but_may_be_called_fake(card):
    verdict = judged(card, person(1, [-3] * 20), still={1})
    assert verdict.label == verdict.faces[0].label == "inconclusive"
    assert "photograph" in verdict.reasons[0]
    assert judged(card, person(1, [5] * 20), still={1}).label == "fake"


@pytest.mark.parametrize(("before", "length", "after"), [(22, 8, 0), (0, 8, 22), (10, 12, 10), (26, 6, 0)])
def test_a_passage_accuses_and_is_named(card, before, length, after):
    logits = [-2.0] * before + [5.5] * length + [-2.0] * after
    verdict = judged(card, person(1, logits))
    passage = verdict.faces[0].passage
    assert verdict.label == "fake"
    assert (passage.start_seconds, passage.end_seconds, passage.frames) == (before, before + length - 1, length)
    assert f"from {before}.0 s to {before + length - 1}.0 s" in verdict.reasons[0]


def test_a_few_high_frames_are_no_passage(card):
    logits = [-2.0] * 32
    logits[4] = logits[20] = 6.0
    assert judged(card, person(1, logits)).label != "fake"


def test_the_highest_of_many_people_must_be_higher(card):
    assert judged(card, person(1, [1.0] * 20)).label == "fake"
    crowd = judged(card, person(1, [1.0] * 20), *(person(number, [-3] * 20) for number in range(2, 12)))
    assert crowd.label == "inconclusive"
    assert crowd.faces[0].label == "inconclusive"
    assert "10 people" not in crowd.reasons[0]
    assert "11 people" in crowd.reasons[0]
    assert judged(card, person(1, [5.0] * 20), *(person(n, [-3] * 20) for n in range(2, 12))).label == "fake"


def test_an_open_answer_names_a_next_step_and_no_number_claims_certainty(card):
    assert "another model" in judged(card, person(1, [0.0] * 20)).reasons[-1]
    assert "> 0.99" in judged(card, person(1, [9.0] * 20)).reasons[0]
    assert "< 0.01" in judged(card, person(1, [-9.0] * 20)).reasons[0]


def test_who_is_at_the_threshold_is_not_above_it(card):
    people = person(1, [-1.0] * 20), person(2, [-3] * 20)
    highest = judged(card, *people).faces[0].fake_probability
    assert judged(replace(card, thresholds=Thresholds(highest, 0.7)), *people).label == "real"
    assert judged(replace(card, thresholds=Thresholds(highest - 1e-9, 0.7)), *people).label == "inconclusive"


def test_quality_stands_in_the_verdict(card):
    verdict = judged(card, person(1, [-3] * 20, sharpness=0.08, side=90.0))
    assert verdict.faces[0].quality == FaceQuality(90.0, 0.08, 1.0)
    assert {frame.quality for frame in verdict.frames} == {FaceQuality(90.0, 0.08, 1.0)}


LANDMARKS = np.array([[40, 45], [80, 45], [60, 65], [46, 90], [74, 90]], np.float32)


@pytest.mark.parametrize(
    ("where", "region"),
    [*zip(LANDMARKS.tolist(), ["eyes", "eyes", "nose", "mouth", "mouth"], strict=True), ([8, 8], "outline")],
)
def test_the_part_of_the_face_with_the_strongest_traces_is_named(card, where, region):
    face = Face((0.0, 0.0, 120.0, 120.0), 1.0, LANDMARKS)
    left, top, right, bottom = crop_region(face, card.crop)
    map_hw = np.zeros((64, 48), np.float32)
    map_hw[int((where[1] - top) / (bottom - top) * 64), int((where[0] - left) / (right - left) * 48)] = 1
    seen = [replace(each, face=face, scores=(CropScore(5.0, map_hw),)) for each in person(1, [5.0] * 20)]
    assert judged(card, seen).faces[0].region == region
    boxes_only = [replace(each, face=replace(face, landmarks_px=None)) for each in seen]
    assert judged(card, boxes_only).faces[0].region is None


def test_models_that_disagree_are_told_and_equal_names_are_numbered(card):
    logits = np.linspace(-1, 1, 20)
    faces = [replace(each, scores=(CropScore(3.0, None), CropScore(-3.0, None))) for each in person(1, logits)]
    verdict = judge(faces, [card, card])
    assert verdict.warnings == ("The models disagree about person 1.",)
    assert verdict.faces[0].models == pytest.approx({card.name: 0.9526, f"{card.name}-2": 0.0474}, abs=1e-4)
    near = [replace(each, scores=(CropScore(1.0, None), CropScore(-1.0, None))) for each in faces]
    assert judge(near, [card, card]).warnings == ()


def test_a_card_that_fuses_people_has_reasons_of_its_own(card):
    fused = replace(card, fusion=replace(card.fusion, people="stretched", passages=None))
    one, two = judged(fused, person(1, [5.0] * 20)), judged(fused, person(1, [0.0] * 20), person(2, [0.0] * 20))
    assert one.reasons[0] == "The one person scores 0.99 (thresholds 0.30 and 0.70)."
    assert one.reasons[1] == (
        "Person 1 looks manipulated from 0.0 s to 19.0 s: fake probability 0.99 over 20 frames (threshold 0.70)."
    )
    assert (two.label, two.reasons[0]) == (
        "inconclusive", "All 2 people together score 0.50 (thresholds 0.30 and 0.70).",
    )  # fmt: skip
    assert (one.reasons[0].code, two.reasons[0].values["people"]) == ("people_together", 2)
    low = judged(fused, person(1, [-0.75] * 20), person(2, [-1.0] * 20))
    assert (low.label, low.reasons) == ("real", ("All 2 people together score 0.29 (thresholds 0.30 and 0.70).",))
    assert low.faces[0].fake_probability > 0.3, "nobody has to be below the threshold"


def test_who_is_not_judged_is_counted(card):
    verdict = judged(
        card, person(1, [-3] * 20), person(2, [-3] * 2, start=3), small=[SmallFace(3, t, 30.0) for t in (1.0, 2.0)]
    )
    assert verdict.warnings == (
        "1 of 2 people was seen in too few frames to be judged.",
        "One small face in the background was not judged.",
    )
    verdict = judged(
        card, person(1, [-3] * 20), *(person(number, [-3] * 5, start=number) for number in (2, 3, 4)),
        small=[SmallFace(number, t, 30.0) for t in (1.0, 2.0) for number in (5, 6)],
    )  # fmt: skip
    assert verdict.warnings == (
        "3 of 4 people were seen in too few frames to be judged.",
        "2 small faces in the background were not judged.",
    )


def test_only_three_of_those_that_cannot_be_judged_are_named(card):
    many = judged(card, person(1, [-3] * 20), *(person(n, [-3] * 3, start=n) for n in range(2, 7)))
    assert [reason.code for reason in many.reasons] == ["seen_briefly"] * 3 + ["more_unjudged"]
    assert many.reasons[-1] == "2 more people could not be judged either."
    three = judged(card, person(1, [-3] * 20), *(person(n, [-3] * 3, start=n) for n in range(2, 5)))
    assert [reason.code for reason in three.reasons] == ["seen_briefly"] * 3


@pytest.mark.parametrize(("logit", "codes"), [(5, ["fleeting_together"]), (-5, ["fleeting_together", "too_small"])])
def test_of_people_who_are_all_seen_briefly_the_others_matter_unless_they_are_accused(card, logit, codes):
    brief = [person(number, [logit] * 5, start=10 * number) for number in (1, 2, 3)]
    verdict = judged(card, *brief, small=[SmallFace(4, t, 60.0) for t in (1.0, 2.0)])
    assert [reason.code for reason in verdict.reasons] == codes
    assert verdict.label == ("fake" if logit > 0 else "inconclusive")
    few = judged(card, *[person(number, [logit] * 5, start=10 * number) for number in (1, 2)])
    assert few.reasons[0] == (
        "Nobody was seen in 6 frames or more. That is too few to judge: look at more frames (--frames 96)."
    )


@pytest.mark.parametrize(("count", "who"), [(1, "The one face scores"), (7, "All 7 faces together score")])
def test_a_card_that_pools_all_faces_says_so(card, count, who):
    pooled = replace(card, fusion=replace(card.fusion, people="pool", passages=None))
    verdict = judged(pooled, person(1, [5.0] * count), small=[SmallFace(4, t, 60.0) for t in (1.0, 2.0)])
    assert verdict.reasons == (f"{who} 0.99 (thresholds 0.30 and 0.70).",)
    assert verdict.reasons[0].code == "faces_together"
