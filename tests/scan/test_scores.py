"""Crops on their way to the models: each face is asked about once by each member, in batches."""

from concurrent.futures import Future

import numpy as np
import pytest

from unmask.media import Shots
from unmask.scan.crops import Cutter
from unmask.scan.people import number_people
from unmask.scan.scores import FaceScores
from unmask.types import CropScore, Face, Frame

IMAGE, FACE = np.full((200, 200, 3), 90, np.uint8), Face((50, 50, 150, 150), 1.0)


class Says:
    """A network that gives every face one logit, and counts them."""

    def __init__(self, card, logit):
        self.card, self.logit, self.faces = card, logit, 0

    def submit(self, crops):
        self.faces += len(crops)
        futures = [Future() for _ in crops]
        for future in futures:
            future.set_result(CropScore(self.logit, None))
        return futures


@pytest.fixture
def card(scanner):
    return scanner.cards[0]


def test_a_frame_counts_once(card):
    """A frame that replaced a damaged one at one stage is not counted again when it comes itself."""
    scores, cutter = FaceScores([Says(card, 1)]), Cutter([card])
    scores.ask(1)
    for index in (4, 0, 4):
        frame = Frame(IMAGE, index / 10, index)
        scores.add(frame, cutter.cut(frame, [FACE]))
    assert [
        scored.index for scored in scores.scored_faces(number_people(scores.frames(), Shots(np.zeros(1, np.int64))))
    ] == [0, 4]
    assert scores.decoded == 2


def test_every_member_judges_every_face_once(card):
    networks = [Says(card, 1), Says(card, -1)]
    scores, cutter = FaceScores(networks), Cutter([card, card])
    scores.ask(1)
    for index in range(3):
        frame = Frame(IMAGE, index / 10, index)
        scores.add(frame, cutter.cut(frame, [FACE]))
    scores.ask(1)
    assert all(seen.faces[0].crops for seen in scores.frames()), "another one will want them"
    scores.ask(2)
    scores.ask(2)
    assert not any(seen.faces[0].crops for seen in scores.frames()), "some 100 MB, which nobody wants any more"
    scored = scores.scored_faces([[1]] * 3)
    assert [network.faces for network in networks] == [3, 3]
    assert [[score.logit for score in face.scores] for face in scored] == [[1, -1]] * 3


def test_faces_are_large_beside_the_smallest_that_was_judged(card):
    scores, cutter = FaceScores([Says(card, 1)]), Cutter([card])
    assert scores.large_side_px == 0
    for index, face in enumerate((Face((0, 0, 9, 9), 1.0), FACE, Face((0, 0, 160, 120), 1.0))):
        frame = Frame(IMAGE, index / 10, index)
        scores.add(frame, cutter.cut(frame, [face]))
    assert scores.large_side_px == 50


def test_faces_beyond_the_limit_and_small_ones_are_counted_but_not_judged(card):
    scores, cutter = FaceScores([Says(card, 1)], max_faces=2), Cutter([card])
    scores.ask(1)
    tiny = Face((0, 0, 9, 9), 1.0)
    for index in range(3):
        frame = Frame(IMAGE, index / 10, index)
        scores.add(frame, cutter.cut(frame, [FACE, tiny]))
    assert [face.index for face in scores.scored_faces([[1, 2]] * 3)] == [0, 1]
    assert (scores.small_faces, scores.dropped_faces, scores.decoded) == (3, 1, 3)


def test_of_a_video_in_which_nobody_is_judged_no_frame_is_kept(card):
    scores, cutter = FaceScores([Says(card, 1)], pictures=True), Cutter([card])
    scores.ask(1)
    for index, faces in enumerate(([], [FACE], [FACE], [FACE, FACE], [FACE])):
        frame = Frame(IMAGE, index * 0.4, index)
        scores.add(frame, cutter.cut(frame, faces))
    assert sorted(scores.small_frames()) == [1, 3], "one a second, and each that shows more people than the last one"
    again = Frame(IMAGE, 2.2, 6)
    scores.add(again, cutter.cut(again, [FACE]))
    assert sorted(scores.small_frames()) == [1, 3, 6]


def test_how_far_a_face_moves_is_told_in_its_sides_a_second(card):
    scores, cutter = FaceScores([Says(card, 1)]), Cutter([card])
    scores.ask(1)
    for index, left in enumerate((50.0, 80.0, 80.0)):
        frame = Frame(IMAGE, index * 0.5, index)
        scores.add(frame, cutter.cut(frame, [Face((left, left / 3, left + 100, left / 3 + 100), 1.0)]))
    motions = [scored.quality.motion for scored in scores.scored_faces([[1], [1], [1]])]
    assert motions == [None, pytest.approx(np.hypot(30, 10) / 100 / 0.5), 0]
