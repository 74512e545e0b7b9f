import json

import pytest

from unmask.errors import UsageError
from unmask.types import SCHEMA_VERSION, Verdict


def test_a_verdict_survives_the_round_trip(scanner, short_clips, tmp_path):
    for path in (*short_clips.values(), tmp_path / "missing.mp4"):
        verdict = scanner.scan(path)
        for timing in (False, True):
            row = verdict.to_dict(timing=timing)
            again = Verdict.from_dict(json.loads(json.dumps(row)))
            assert again.to_dict(timing=timing) == row
        assert again.faces == Verdict.from_dict(row).faces
        assert isinstance(again.frames, tuple)
        assert (again.scanned_at, again.label, again.media is None) == (
            verdict.scanned_at, verdict.label, verdict.media is None,
        )  # fmt: skip
        assert [face.thumbnail_jpeg for face in again.faces] == [face.thumbnail_jpeg for face in verdict.faces]


def test_names_that_are_not_utf_8_survive_it():
    verdict = Verdict("\udcff.mp4", "unreadable", None, None, reasons=("it is \udcff",))
    assert Verdict.from_dict(json.loads(json.dumps(verdict.to_dict()))) == verdict


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 1}, "schema version 1"), ({"schema_version": None}, "schema version None"),
        ({"status": "fine"}, "no verdict"), ({"extra": 1}, "has no extra"), ({"faces": [{}]}, "no verdict"),
        ({"fake_probability": 2}, "no verdict"), ({"frames": 3}, "no verdict"), ({"media": []}, "no verdict"),
    ],
)  # fmt: skip
def test_what_is_no_verdict_is_refused(change, message):
    row = Verdict("a.mp4", "no_face", None, None).to_dict()
    with pytest.raises(UsageError, match=message):
        Verdict.from_dict(row | change)


def test_repr_is_short_and_shows_no_pixels(scanner, clips):
    verdict = scanner.scan(clips["blended"])
    text = repr(verdict)
    assert len(text) < 400
    assert "status='ok', label='fake'" in text
    assert "people=1, frames=16" in text
    assert len(repr(Verdict("x" * 5000, "no_face", None, None))) < 400


def test_time_is_told_on_request_alone():
    verdict = Verdict("a.mp4", "no_face", None, None, elapsed_seconds=1.5)
    assert not {"elapsed_seconds", "scanned_at"} & verdict.to_dict().keys()
    row = verdict.to_dict(timing=True)
    assert row["elapsed_seconds"] == 1.5
    assert row["scanned_at"].startswith("20")
    assert row["scanned_at"].endswith("Z")


def test_a_verdict_names_the_libraries():
    import av
    import cv2

    row = Verdict("a.mp4", "no_face", None, None).to_dict()
    assert list(row["libraries"]) == ["PyAV", "FFmpeg", "OpenVINO", "OpenCV"]
    assert row["libraries"]["PyAV"] == av.__version__
    assert row["libraries"]["OpenCV"].startswith(cv2.__version__)
    assert row["libraries"]["OpenVINO"][0].isdecimal()
    assert row["schema_version"] == SCHEMA_VERSION
