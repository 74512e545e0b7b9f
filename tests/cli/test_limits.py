import pytest

from unmask.cli.limits import DEFAULTS, parse_limits, shown_limits
from unmask.errors import UsageError
from unmask.media import Limits


def test_what_the_help_says_is_so():
    assert parse_limits(shown_limits()) == Limits() == parse_limits([])
    assert len(DEFAULTS) == len(Limits.__dataclass_fields__)


def test_units():
    assert parse_limits(["memory=4G", "seconds=90.5", "isolate=no"]) == Limits(90.5, 4 << 30, isolate=False)
    assert parse_limits(["frame-pixels=123"]).frame_pixels == 123
    assert parse_limits(["download=10M"]).download_bytes == 10 << 20


@pytest.mark.parametrize(
    "wrong",
    [
        "seconds",
        "seconds=",
        "seconds=-1",
        "hours=3",
        "isolate=1",
        "memory=much",
        "memory=1e999",
        "=3",
        "seconds=nan",
        "seconds=inf",
        "seconds=1e30",
        "memory=nan",
        "memory=1e30",
        "frame-pixels=1e15",
        "file=0",
    ],
)
def test_nonsense_is_refused(wrong):
    with pytest.raises(UsageError, match=r"seconds=60|above zero"):
        parse_limits([wrong])
