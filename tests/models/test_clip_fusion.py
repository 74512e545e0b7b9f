import numpy as np
import pytest

from unmask.models import Fusion
from unmask.models.clip_fusion import ALL_LABELS, deciding_faces, fuse_clip
from unmask.models.fusion import probability


def clip_of(*people):
    """Return person, frame and side of the faces of people, and their probabilities (1, n), one face a frame."""
    person = np.concatenate([np.full(len(scores), number) for number, scores in enumerate(people, 1)])
    return (person, np.arange(len(person)), np.full(len(person), 100.0)), np.concatenate(people)[None]


class TestClips:
    def test_people_seen_too_briefly_are_pooled(self):
        """The example for which two rules of calibration once gave 0.90 and 0.42."""
        faces, scores_1n = clip_of(probability(np.full(2, 2.2)), probability(np.full(3, -2.2)))
        deciding = deciding_faces(*faces, Fusion())
        assert fuse_clip(scores_1n, deciding, Fusion(), [1.0]) == pytest.approx(0.42, abs=0.001)
        assert deciding.labels == ("inconclusive",)

    def test_people_seen_long_enough_decide_alone(self):
        faces, scores_1n = clip_of(np.full(6, 0.1), np.full(5, 0.9), np.full(7, 0.3))
        deciding = deciding_faces(*faces, Fusion())
        assert [len(person) for person in deciding.people] == [6, 7]
        assert fuse_clip(scores_1n, deciding, Fusion(), [1.0]) == pytest.approx(0.3)
        assert [deciding.limit(label) for label in ALL_LABELS] == list(ALL_LABELS)

    def test_a_clip_of_short_shots_is_never_called_real(self):
        faces, _ = clip_of(*[np.full(4, 0.1)] * 3)
        deciding = deciding_faces(*faces, Fusion())
        assert [deciding.limit(label) for label in ALL_LABELS] == ["inconclusive", "inconclusive", "fake"]

    def test_the_largest_face_of_each_frame(self):
        side_px = [50, 90, 70, 70, 20]
        deciding = deciding_faces([1, 2, 1, 2, 1], [0, 0, 1, 1, 2], side_px, Fusion(people="largest", min_frames=3))
        assert [person.tolist() for person in deciding.people] == [[1, 2, 4]]
        assert deciding.labels == ALL_LABELS

    def test_few_pooled_faces_are_inconclusive(self):
        assert deciding_faces([1] * 5, range(5), [9] * 5, Fusion(people="pool")).labels == ("inconclusive",)
