import pytest

from unmask.errors import UnmaskError
from unmask.prepare.layout import read_boxes


def test_boxes_of_no_frame_are_refused(tmp_path):
    for text in ('{"-3": [[1, 2, 3, 4]]}', '{"0": [[1, 2, 3]]}', '{"0": [[1, 2, 3, NaN]]}', "[]", "{", '{"0": 5}'):
        (tmp_path / "b.json").write_text(text)
        with pytest.raises(UnmaskError, match="run the step boxes again"):
            read_boxes(tmp_path / "b.json")
