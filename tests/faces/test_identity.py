import numpy as np
import pytest

from unmask.errors import UsageError
from unmask.faces.identity import group_vectors, merge_tracks

MAX = 0.35  # 49 degrees


def directions(*degrees):
    """Unit vectors in the plane."""
    angle = np.deg2rad(degrees)
    return np.stack([np.cos(angle), np.sin(angle)], 1)


def test_tracks_of_one_person_are_joined_and_no_face_is_lost():
    tracks = [1] * 5 + [2] * 5 + [3] * 5 + [4] * 2
    frames = [*range(5), *range(5, 10), *range(5, 10), 11, 12]
    x = directions(*[0, 2, 4, 6, 8], *[170] * 5, *[1, 3, 5, 7, 9], *[90, 91])
    assert merge_tracks(tracks, frames, x, MAX) == [1] * 5 + [2] * 5 + [1] * 5 + [3] * 2


def test_short_tracks_are_joined_as_well():
    assert merge_tracks([1, 2, 3], [0, 1, 2], directions(0, 90, 10), MAX) == [1, 2, 1]


def test_two_faces_in_one_frame_are_two_people():
    tracks, frames = [1, 2] * 5, [i // 2 for i in range(10)]
    assert merge_tracks(tracks, frames, directions(*[0] * 10), MAX) == tracks


def test_a_third_track_does_not_make_one_of_two_that_were_seen_together():
    """Tracks 1 and 2 are in one frame; 3 is like both, and goes with the nearer."""
    assert merge_tracks([1, 2, 3], [0, 0, 1], directions(0, 10, 6), MAX) == [1, 2, 2]


def test_a_stray_face_does_not_move_its_track():
    tracks = [1] * 6 + [2] * 6
    x = directions(*[0] * 5, 180, *[180] * 6)
    assert merge_tracks(tracks, list(range(12)), x, MAX) == tracks


def test_a_chain_of_likenesses_does_not_join_two_people():
    """Each is 40 degrees from the next, which is near; of two pairs the members are not, on the whole."""
    assert group_vectors(directions(0, 39, 80, 119), MAX) == [1, 1, 2, 2]
    assert len(set(group_vectors(directions(*range(0, 180, 5)), MAX))) > 2


def test_groups_are_those_of_average_linkage():
    scipy = pytest.importorskip("scipy.cluster.hierarchy")
    from scipy.spatial.distance import pdist

    rng = np.random.default_rng(0)
    for scale in (0.3, 0.6, 0.9):
        x = rng.normal(size=(5, 8))[rng.integers(0, 5, 40)] + rng.normal(scale=scale, size=(40, 8))
        theirs = scipy.fcluster(scipy.linkage(pdist(x, "cosine"), "average"), MAX, "distance")
        ours = np.array(group_vectors(x, MAX))
        np.testing.assert_array_equal(ours[:, None] == ours, theirs[:, None] == theirs)


def test_few_are_grouped_too():
    assert group_vectors(np.empty((0, 3)), MAX) == []
    assert group_vectors([[1.0, 0.0]], MAX) == [1]


@pytest.mark.parametrize("wrong", [[[0.0, 0.0]], [[np.nan, 1.0]]])
def test_nonsense_is_refused(wrong):
    with pytest.raises(UsageError, match="zero or not finite"):
        group_vectors(wrong, MAX)
