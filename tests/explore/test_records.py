import json

import numpy as np
import pytest

from unmask.explore.agreement import Vote
from unmask.explore.records import ExploredClip
from unmask.types import Face


def test_a_row_is_read_back(explored):
    for found in explored[1]:
        again = ExploredClip.from_row(json.loads(json.dumps(found.to_row())))
        assert again.to_row() == found.to_row()
        assert again.media == found.media


def test_pixels_are_rounded():
    face = Face((1.23456, 2.0, 3.98765, 5.0), 0.987654, np.full((5, 2), 1.26, np.float32))
    vote = Vote(3, 0.1234567, {"mtcnn": face}, 1, ("alone",))
    (again,) = ExploredClip.from_row(ExploredClip("k", "a", faces=(vote,)).to_row()).faces
    assert (again.frame_index, again.time_seconds, again.votes, again.doubts) == (3, 0.123457, 1, ("alone",))
    assert again.face.xyxy_px == (1.23, 2.0, 3.99, 5.0)
    assert again.face.confidence == 0.9877
    assert again.face.landmarks_px == pytest.approx(np.full((5, 2), 1.3, np.float32))


def test_a_row_of_another_form_is_refused():
    row = ExploredClip("k", "a").to_row()
    with pytest.raises(KeyError):
        ExploredClip.from_row({name: value for name, value in row.items() if name != "faces"})
    with pytest.raises(TypeError):
        ExploredClip.from_row(row | {"media": {"width": 3, "audio": None}})
