import pytest

from unmask.errors import UsageError
from unmask.media import Limits


def test_limits_make_sense():
    for wrong in ({"seconds": 0.0}, {"memory_bytes": -1}, {"frame_pixels": 0}, {"seconds": float("nan")}):
        with pytest.raises(UsageError, match="above zero"):
            Limits(**wrong)
