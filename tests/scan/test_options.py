"""Options of a scan: frozen, checked, and the same as keywords."""

from dataclasses import FrozenInstanceError, fields

import pytest

from unmask import Limits, Scanner, ScanOptions, UsageError
from unmask.scan.options import ScanKeywords


def test_keywords_are_the_fields():
    assert set(ScanKeywords.__annotations__) == {field.name for field in fields(ScanOptions)}


def test_keywords_replace_the_options_fields():
    options = ScanOptions(frames=8, precision="fp32", limits=Limits(seconds=5))
    scanner = Scanner("bundled", options, frames=4)
    assert scanner.options == ScanOptions(frames=4, precision="fp32", limits=Limits(seconds=5))
    assert (scanner.settings["frames"], scanner.limits.seconds) == (4, 5)
    assert scanner.settings_hash == Scanner("bundled", scanner.options).settings_hash
    assert scanner.settings_hash != Scanner("bundled", options).settings_hash
    with pytest.raises(FrozenInstanceError):
        options.frames = 3


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"frames": 0}, "at least one"),
        ({"workers": 0}, "at least one"),
        ({"max_frames": -1}, "must be 0 or more"),
        ({"sampling": "random"}, "use one of time, reference"),
        ({"frame": 8}, "unknown options of a scan: frame; use some of frames"),
    ],
)
def test_what_makes_no_sense_is_refused(wrong, words):
    with pytest.raises(UsageError, match=words):
        ScanOptions().changed(**wrong)


def test_closer_looks_take_eight_times_as_many_frames_at_most():
    assert ScanOptions(frames=5).most_frames == 40
    assert ScanOptions(frames=5, max_frames=0).most_frames == 0
    assert ScanOptions(frames=1, workers=1).changed(workers=None).workers is None
