"""The strongest run is found and named, and searching for it costs no false alarms."""

import math

import numpy as np
import pytest

from unmask.models.fusion import logit, probability
from unmask.models.passages import PassageRule, discounted, strongest_run

RULE = PassageRule(tail=0.6, min_frames=6)


@pytest.mark.parametrize(("start", "length"), [(0, 8), (9, 6), (20, 12), (24, 8)])
def test_a_passage_is_found_where_it_is(start, length):
    scores = np.full(32, 0.1)
    scores[start : start + length] = 0.99
    run = strongest_run(scores, RULE)
    assert (run.start, run.stop) == (start, start + length)
    assert run.fake_probability > 0.9 > scores.mean()


def test_even_scores_are_judged_as_a_whole_and_not_discounted():
    run = strongest_run(np.full(20, 0.3), RULE)
    assert (run.start, run.stop) == (0, 20)
    assert run.evidence == pytest.approx(float(logit(np.float64(0.3))))


@pytest.mark.parametrize("count", [1, 3, 5])
def test_few_frames_are_one_run(count):
    run = strongest_run(np.linspace(0.2, 0.9, count), RULE)
    assert (run.start, run.stop) == (0, count)


def test_a_single_high_frame_is_no_passage():
    scores = np.full(32, 0.1)
    scores[10] = 1.0
    assert strongest_run(scores, RULE).fake_probability < 0.3


def test_longer_clips_discount_more():
    short, long = (np.r_[np.full(count, 0.1), np.full(6, 0.8)] for count in (6, 60))
    assert strongest_run(short, RULE).evidence > strongest_run(long, RULE).evidence


def test_the_search_is_paid_for_where_tails_are_as_stated():
    """Authentic runs whose logits have the stated tail: long clips raise no more alarms than one run does."""
    rng, tail, threshold = np.random.default_rng(0), 0.6, 1.0
    rule = PassageRule(tail=tail, min_frames=6)
    base = math.exp(-(threshold + 2.0) / tail)  # tail of one run: P(logit > x) = exp(-(x + 2) / tail)
    alarms = 0
    for _ in range(400):
        logits = np.repeat(rng.exponential(tail, 8) - 2.0, 6)  # eight runs that are alike within
        alarms += strongest_run(probability(logits), rule).evidence >= threshold
    assert alarms / 400 <= 3 * base + 0.01


def test_the_highest_is_discounted_by_the_number_of_people():
    assert discounted([0.9], RULE) == [0.9]
    values = [discounted([0.9, *[0.1] * others], RULE)[0] for others in (0, 1, 4, 49)]
    assert values == sorted(values, reverse=True)
    assert float(logit(np.float64(values[2]))) == pytest.approx(float(logit(np.float64(0.9))) - 0.6 * math.log(5))


def test_people_who_score_high_together_count_together():
    assert discounted([0.9, 0.9, 0.9], RULE) == pytest.approx([0.9] * 3)
    alone, both = discounted([0.9, 0.2, 0.1], RULE), discounted([0.9, 0.1, 0.89], RULE)
    assert alone[0] < both[0] < 0.9
    assert both[2] == pytest.approx(both[0])
    order = np.random.default_rng(0).permutation(20)
    people = np.linspace(0.02, 0.98, 20)
    assert discounted(people[order], RULE) == pytest.approx(discounted(people, RULE)[order])
    assert (np.diff(discounted(people, RULE)) >= 0).all()
    assert (discounted(people, RULE) <= people + 1e-12).all()


@pytest.mark.parametrize("shared", [0.0, 0.5, 1.0])
def test_the_number_of_people_is_paid_for_whether_their_films_are_alike_or_not(shared):
    """Authentic people of a film, whose logits have the stated tail and depend on each other or do not."""
    rng, tail, threshold, trials = np.random.default_rng(0), 0.6, 1.0, 4000
    rule = PassageRule(tail=tail)
    one = math.exp(-(threshold + 0.5) / tail)  # P(logit > x) = exp(-(x + 0.5) / tail)
    alarms = 0
    for _ in range(trials):
        alike = rng.random(5) < shared
        logits = np.where(alike, rng.exponential(tail), rng.exponential(tail, 5)) - 0.5
        alarms += float(logit(discounted(probability(logits), rule)).max()) >= threshold
    assert alarms / trials <= one + 3 * math.sqrt(one / trials)


@pytest.mark.parametrize(("tail", "frames"), [(0.0, 6), (-1.0, 6), (math.inf, 6), (1.0, 1)])
def test_impossible_rules_are_refused(tail, frames):
    with pytest.raises(ValueError, match="tail"):
        PassageRule(tail, frames)


def test_evenly_spread_frames_are_as_many_places_with_and_without_times():
    scores = np.r_[np.full(20, 0.1), np.full(8, 0.97), np.full(20, 0.1)]
    plain, timed = strongest_run(scores, RULE), strongest_run(scores, RULE, np.arange(48) * 0.2)
    assert (plain.start, plain.stop, plain.evidence) == pytest.approx((timed.start, timed.stop, timed.evidence))


def test_each_look_that_could_have_called_for_closer_ones_counts_as_a_place():
    """Eight frames within a second of a film that was looked at every second are one of 120 places, not of 16."""
    times = np.r_[np.arange(60), 60 + np.arange(8) / 8, np.arange(61, 121)]
    scores = np.r_[np.full(60, 0.1), np.full(8, 0.99), np.full(60, 0.1)]
    run = strongest_run(scores, RULE, times)
    assert (run.start, run.stop) == (60, 68)
    assert math.log(99) - run.evidence == pytest.approx(RULE.tail * math.log(120), abs=0.05)


def test_runs_of_one_person_have_a_tail_of_their_own():
    scores = np.r_[np.full(40, 0.1), np.full(8, 0.97)]
    rule = PassageRule(tail=0.6, own_tail=0.3)
    assert strongest_run(scores, rule).evidence == strongest_run(scores, PassageRule(tail=0.3)).evidence
    assert (discounted([0.9, 0.1], rule) == discounted([0.9, 0.1], PassageRule(tail=0.6))).all()
    with pytest.raises(ValueError, match="own_tail"):
        PassageRule(0.6, own_tail=0.0)
