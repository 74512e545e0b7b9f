import subprocess
import sys

import pytest

from unmask.facts import Trace
from unmask.runtime.validator import validator


def test_values_are_checked_against_a_type():
    check = validator(tuple[int, ...])
    assert check([1, 2]) == (1, 2)
    with pytest.raises(ValueError, match="valid integer"):
        check(["one"])
    with pytest.raises(ValueError, match="kind"):
        validator(Trace)({})


def test_pydantic_is_loaded_by_the_first_value():
    code = (
        "import sys; from unmask.runtime.validator import validator; validator(int); print('pydantic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "False"
