import pytest

from unmask.errors import UsageError
from unmask.media import Limits


def test_limits_make_sense():
    for wrong in ({"seconds": 0.0}, {"memory_bytes": -1}, {"frame_pixels": 0}, {"seconds": float("nan")}):
        with pytest.raises(UsageError, match="above zero"):
            Limits(**wrong)


@pytest.mark.parametrize(
    "name", ["seconds", "memory_bytes", "frame_pixels", "total_pixels", "download_bytes", "file_bytes"]
)
def test_each_limit_has_a_range(name):
    most = 1 << 34 if name == "frame_pixels" else (1 << 62) - 1
    assert getattr(Limits(**{name: 1}), name) == 1
    assert getattr(Limits(**{name: most}), name) == most
    with pytest.raises(UsageError, match="within reason"):
        Limits(**{name: most + 1})
    assert not Limits(isolate=False).isolate
