"""A rhythm of costly pictures is found, its distance is told, and noise has none."""

import numpy as np
import pytest

from unmask.evidence.second_encoding import MAX_FRAMES, MIN_STRENGTH, find_rhythm


def sizes(rng, frames=120, every=None, start=0):
    values = rng.lognormal(7, 0.15, frames)
    if every:
        values[start::every] *= 4
    return values.astype(np.int64)


def strength(values, keys=(0,), reordered=()):
    is_key, is_reordered = np.zeros((2, len(values)), bool)
    is_key[list(keys)], is_reordered[list(reordered)] = True, True
    return find_rhythm(values, is_key, is_reordered)


@pytest.mark.parametrize(("every", "start"), [(12, 0), (25, 7), (10, 3)])
def test_a_rhythm_is_found_with_its_distance(every, start):
    found = strength(sizes(np.random.default_rng(0), frames=240, every=every, start=start))
    assert found.period_frames == every
    assert found.strength > MIN_STRENGTH


def test_noise_has_no_rhythm():
    found = [strength(sizes(np.random.default_rng(seed))).strength for seed in range(20)]
    assert max(found) < MIN_STRENGTH


def test_key_frames_of_the_film_as_it_is_are_no_signs():
    values = sizes(np.random.default_rng(0), every=12)
    assert strength(values, keys=range(0, 120, 12)).strength < MIN_STRENGTH


def b_pictures(rng, every=None, start=0):
    """Three B pictures before each other one, which pays for what is new in them; sizes, and places of the B's."""
    values, reordered = rng.lognormal(5, 0.15, 301), np.flatnonzero(np.arange(301) % 4)
    paying = np.arange(0, 301, 4)
    values[paying] = rng.lognormal(7, 0.15, len(paying))
    for step in range(start, 301, every) if every else ():
        values[-(-step // 4) * 4] *= 4
    return values.astype(np.int64), reordered


def test_b_pictures_are_no_signs_and_hide_none():
    values, reordered = b_pictures(np.random.default_rng(0))
    assert strength(values, reordered=reordered).strength < MIN_STRENGTH
    for every, start in ((15, 0), (25, 7)):  # no step lies at a picture that pays for it, but for every fourth
        values, reordered = b_pictures(np.random.default_rng(0), every, start)
        found = strength(values, reordered=reordered)
        assert (found.period_frames, found.strength > MIN_STRENGTH) == (every, True)


def test_a_picture_that_is_farther_from_the_last_one_may_cost_more():
    rng = np.random.default_rng(0)
    distances = rng.integers(1, 4, 60)
    paying = np.cumsum(distances)
    values = rng.lognormal(5, 0.15, paying[-1] + 1)
    values[paying] = rng.lognormal(6, 0.1, 60) * distances**1.5
    reordered = np.setdiff1d(np.arange(1, len(values)), paying)
    assert strength(values.astype(np.int64), reordered=reordered).strength < MIN_STRENGTH


def test_a_rhythm_from_the_first_frame_on_needs_less():
    values = sizes(np.random.default_rng(0), every=20)
    later = sizes(np.random.default_rng(0), every=20, start=4)
    assert strength(values).strength > 1.1 * strength(later).strength


def test_short_long_and_empty_films():
    assert strength(sizes(np.random.default_rng(0), frames=40)) is None
    assert strength(np.zeros(MAX_FRAMES + 100, np.int64)).strength == 0
