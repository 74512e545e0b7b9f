import random
from collections import Counter

import pytest

from unmask.datasets import Clip
from unmask.errors import UsageError
from unmask.prepare.folds import assign_folds, find_leaks, fold_sizes, fold_warnings


def clip(name, original=None, part=None, people=()):
    return Clip(name, f"{name}.mp4", "fake" if original else "real", original, part=part, people=tuple(people))


def test_the_winners_sixteen_folds():
    fold_of = assign_folds([clip(f"c{part}", part=part) for part in range(50)], folds=16)
    assert [fold_of[f"c{part}"] for part in (0, 2, 3, 42, 44, 45, 49)] == [0, 0, 1, 14, 14, 15, 15]
    assert fold_sizes(fold_of) == dict.fromkeys(range(15), 3) | {15: 5}


def test_fewer_parts_than_folds():
    fold_of = assign_folds([clip(f"c{part}", part=part) for part in (4, 7, 30)], folds=16)
    assert fold_of == {"c4": 0, "c7": 1, "c30": 2}


def test_a_subset_of_the_parts_keeps_the_winners_numbers():
    """Folds as generate_folds.py of selimsef/dfdc_deepfake_challenge numbers these parts alone."""
    clips = [clip(f"c{part}", part=part) for part in (4, 7, 30, 44, 45, 49)]
    assert list(assign_folds(clips, "dfdc", 16).values()) == [1, 2, 10, 14, 15, 15]
    assert list(assign_folds(clips, "dfdc", 5).values()) == [0, 0, 3, 4, 4, 4]
    for wrong, folds, words in (
        ([clip("a")], 16, "by group"),
        ([clip("a", part=50)], 16, "part 50 is none of the 50"),
        (clips, 51, "at most 50"),
    ):
        with pytest.raises(UsageError, match=words):
            assign_folds(wrong, "dfdc", folds)


def test_parts_are_not_guessed():
    with pytest.raises(UsageError, match="by group"):
        assign_folds([clip("a", part=1), clip("b")], "part")
    with pytest.raises(UsageError, match="at least 2"):
        assign_folds([clip("a")], folds=1)
    assert set(assign_folds([clip("a", part=1), clip("b")]).values()) == {0, 1}


def random_dataset(rng):
    """Originals, fakes of them and of missing ones, people who turn up anywhere, and copied files."""
    people = [f"p{i}" for i in range(rng.randint(1, 12))]
    originals = [clip(f"r{i}", people=rng.sample(people, rng.choice([0, 1]))) for i in range(rng.randint(1, 15))]
    fakes = []
    for i in range(rng.randint(0, 40)):
        original = rng.choice([*(c.id for c in originals), "missing1", "missing2"])
        fakes.append(clip(f"f{i}", original, people=rng.sample(people, min(len(people), rng.randint(0, 2)))))
    clips = originals + fakes
    rng.shuffle(clips)
    hashes = {c.id: f"h{rng.randint(0, 2 * len(clips))}" for c in clips if rng.random() < 0.5}
    return clips, hashes


def test_nothing_leaks_in_a_thousand_random_datasets():
    used = Counter()
    for seed in range(1000):
        rng = random.Random(seed)
        clips, hashes = random_dataset(rng)
        fold_of = assign_folds(clips, "group", rng.randint(2, 16), sha256=hashes, seed=seed)
        assert set(fold_of) == {c.id for c in clips}
        by_id = {c.id: c for c in clips}
        ties = {}
        for name, fold in fold_of.items():  # told apart from the code under test
            one = by_id[name]
            for tie in [("o", one.original or one.id), *(("p", p) for p in one.people), ("h", hashes.get(name, name))]:
                assert ties.setdefault(tie, fold) == fold, (seed, tie)
        assert find_leaks(clips, fold_of, hashes) == []
        used[len(set(fold_of.values()))] += 1
    assert len(used) > 5  # and not by putting all into one


def test_folds_by_group_are_balanced_and_repeatable():
    clips = [clip(f"r{i}") for i in range(100)] + [clip(f"f{i}", f"r{i}") for i in range(100)]
    sizes = fold_sizes(assign_folds(clips, "group", 10))
    assert sizes == dict.fromkeys(range(10), 20)
    assert assign_folds(clips, "group", 10) == assign_folds(clips[::-1], "group", 10)
    assert assign_folds(clips, "group", 10, seed=1) != assign_folds(clips, "group", 10, seed=2)


def test_leaks_are_named():
    clips = [clip("a", part=1, people=["ann"]), clip("b", part=9, people=["ann"]), clip("f", "a", part=1)]
    fold_of = assign_folds(clips, "part", 2)
    assert find_leaks(clips, fold_of, {"a": "x", "b": "x"}) == [
        "copy x is in the folds 0, 1",
        "person ann is in the folds 0, 1",
    ]


def test_what_is_odd_about_folds_is_told():
    alone = [clip(f"c{i}", part=0) for i in range(4)]
    assert len(set(assign_folds(alone, folds=4).values())) == 4  # one part is no rule
    tied = [clip(f"c{i}", people=["ann"]) for i in range(6)] + [clip("d")]
    fold_of = assign_folds(tied, "group", 4)
    warnings = fold_warnings(tied, fold_of, 4)
    assert warnings[0].startswith("2 folds instead of 4")
    assert "fold 0 has 6 of 7 clips" in warnings[1]
    mixed = [clip("a", part=0), clip("b", part=1), clip("f", "a", part=0)]
    assert fold_warnings(mixed, assign_folds(mixed, "part", 2), 2) == [
        "fold 0 has 2 of 3 clips: they share originals or people",
        "1 folds lack one of the labels: 1",
    ]
