"""Recordings as they are found in the field: what `scripts/field.py` makes is read as it says."""

import importlib.util
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "field.py"
spec = importlib.util.spec_from_file_location("field", SCRIPT)
field = importlib.util.module_from_spec(spec)
sys.modules["field"] = field  # dataclasses look their module up
spec.loader.exec_module(field)


@pytest.mark.parametrize("case", field.CASES, ids=lambda case: case.name.partition(":")[0])
def test_a_recording_is_read_as_it_is(case, tmp_path):
    found, wrong = field.read(case, tmp_path)
    assert not wrong, found
