"""One person in several shots is one row with several spans."""

import numpy as np
import pytest

from tests.media_factory import on_canvas, write_video
from unmask import Scanner
from unmask.media import Shots
from unmask.report.words import spans_text
from unmask.scan.spans import spans_of

pytestmark = pytest.mark.usefixtures("searched_once")

LOOKED = np.arange(0, 100, 5)


def spans(indices, starts=(0,)):
    found = spans_of(indices, [index / 10 for index in indices], LOOKED, Shots(np.array(starts, np.int64)))
    return [(span.start_seconds, span.end_seconds, span.frames) for span in found]


def test_a_span_ends_with_its_shot():
    assert spans([0, 5, 10, 15]) == [(0, 1.5, 4)]
    assert spans([0, 5, 10, 15], starts=(0, 8)) == [(0, 0.5, 2), (1.0, 1.5, 2)]


def test_a_face_that_was_missed_once_does_not_end_a_span_and_one_that_was_away_does():
    assert spans([0, 5, 15, 20]) == [(0, 2.0, 4)]
    assert spans([0, 5, 20, 25]) == [(0, 0.5, 2), (2.0, 2.5, 2)]


def test_spans_in_words():
    def told(count):
        return spans_text({"spans": [{"start_seconds": 10 * i, "end_seconds": 10 * i + 2.5} for i in range(count)]})

    assert told(1) == "0 s to 2.5 s"
    assert told(3) == "0 s to 2.5 s, 10 s to 12.5 s and 20 s to 22.5 s"
    assert told(7).endswith("50 s to 52.5 s and 1 more span")
    assert told(9).endswith("and 3 more spans")
    assert spans_text({"spans": [{"start_seconds": 5, "end_seconds": 5.04}]}) == "at 5 s"
    assert spans_text({"start_seconds": 0, "end_seconds": 75}) == "0 s to 1:15", "rows of earlier versions"


@pytest.fixture(scope="module")
def shots(tmp_path_factory, portrait, blended):
    """Three shots of one person, of which the middle one is manipulated, before other grounds."""
    canvases = []
    for ground, picture, left, side in ((20, portrait, 40, 300), (230, blended, 250, 330), (120, portrait, 150, 270)):
        canvas = np.full((340, 600, 3), ground, np.uint8)
        canvas[:side, left : left + side] = on_canvas(picture, (side, side), (0, 0), side)
        canvases += [np.roll(canvas, i % 3, 1) for i in range(8)]
    path = tmp_path_factory.mktemp("shots") / "shots.mp4"
    return write_video(path, canvases, rate=10, options={"crf": "12"})


@pytest.mark.slow
def test_a_person_in_three_shots_is_one_row_and_the_fake_shot_still_counts(shots):
    """The strongest passage decides: what is fake in one shot is no less so for being the same person's in others."""
    apart, joined = Scanner().scan(shots), Scanner(identity="bundled").scan(shots)
    assert len(apart.faces) == 3
    assert all(len(face.spans) == 1 for face in apart.faces)
    (person,) = joined.faces
    times = [round(time, 3) for span in person.spans for time in (span.start_seconds, span.end_seconds)]
    assert times == [0, 0.7, 0.8, 1.5, 1.6, 2.3]
    assert sum(span.frames for span in person.spans) == person.frames == 24
    assert person.passage is not None
    assert 0.7 <= person.passage.start_seconds <= 0.9
    assert joined.fake_probability == pytest.approx(apart.fake_probability, abs=0.05)
    assert joined.fake_probability > 0.8
    assert "real" not in (joined.label, apart.label)  # one person needs less discount than three: fake, inconclusive
