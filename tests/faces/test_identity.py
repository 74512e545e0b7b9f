import numpy as np
import pytest

from unmask.errors import UsageError
from unmask.faces.identity import cluster, merge_tracks


def directions(*degrees):
    """Unit vectors in the plane; 49 degrees apart is a cosine distance of 0.344."""
    angle = np.deg2rad(degrees)
    return np.stack([np.cos(angle), np.sin(angle)], 1)


def test_clusters_are_those_of_dbscan():
    sklearn = pytest.importorskip("sklearn.cluster")
    rng = np.random.default_rng(0)
    for seed in range(20):
        centres = rng.normal(size=(4, 8))
        x = centres[rng.integers(0, 4, 60)] + rng.normal(scale=0.5 + 0.05 * seed, size=(60, 8))
        theirs = sklearn.DBSCAN(eps=0.35, min_samples=5, metric="cosine").fit(x)
        ours = cluster(x)
        core = theirs.core_sample_indices_  # a border face may be in either of two clusters
        np.testing.assert_array_equal(ours[core], theirs.labels_[core])
        np.testing.assert_array_equal(ours < 0, theirs.labels_ < 0)


def test_tracks_of_one_person_are_joined_and_no_face_is_lost():
    people = [1] * 5 + [2] * 5 + [3] * 5 + [4] * 2
    frames = [*range(5), *range(5, 10), *range(5, 10), 11, 12]
    x = directions(*[0, 2, 4, 6, 8], *[170] * 5, *[1, 3, 5, 7, 9], *[90, 91])
    assert merge_tracks(people, frames, x) == [1] * 5 + [2] * 5 + [1] * 5 + [3] * 2


def test_two_faces_in_one_frame_are_two_people():
    people, frames = [1, 2] * 5, [i // 2 for i in range(10)]
    assert merge_tracks(people, frames, directions(*[0] * 10)) == people


def test_a_stray_face_does_not_move_its_track():
    people = [1] * 6 + [2] * 6
    x = directions(*[0] * 5, 180, *[180] * 6)
    assert merge_tracks(people, list(range(12)), x) == [1] * 6 + [2] * 6


@pytest.mark.parametrize("wrong", [[[0.0, 0.0]], [[np.nan, 1.0]]])
def test_nonsense_is_refused(wrong):
    with pytest.raises(UsageError, match="zero or not finite"):
        cluster(wrong)
