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
    found = strength(sizes(np.random.default_rng(0), every=every, start=start))
    assert found.period_frames == every
    assert found.strength > MIN_STRENGTH


def test_noise_has_no_rhythm():
    found = [strength(sizes(np.random.default_rng(seed))).strength for seed in range(20)]
    assert max(found) < MIN_STRENGTH


def test_key_frames_of_the_film_as_it_is_and_b_pictures_are_no_signs():
    values = sizes(np.random.default_rng(0), every=12)
    assert strength(values, keys=range(0, 120, 12)).strength < MIN_STRENGTH
    values = sizes(np.random.default_rng(0))
    values[np.arange(120) % 4 != 0] //= 3
    assert strength(values, reordered=np.flatnonzero(np.arange(120) % 4)).strength < MIN_STRENGTH


def test_short_long_and_empty_films():
    assert strength(sizes(np.random.default_rng(0), frames=40)) is None
    assert strength(np.zeros(MAX_FRAMES + 100, np.int64)).strength == 0
