import json

import pytest

from tests.media.ffprobe.record import CLIPS, RECORDED
from tests.media_factory import pattern, write_video
from unmask.errors import UnreadableError
from unmask.media import Limits, read_description

EXPECTED = json.loads(RECORDED.read_text())
NOTEBOOK = {
    "format": ("format_long_name",),
    "video": ("codec_name", "height", "width", "nb_frames", "bit_rate", "duration", "start_time", "avg_frame_rate"),
    "audio": ("codec_name", "channels", "sample_rate", "nb_frames", "bit_rate", "duration", "start_time"),
}
"""What the notebook's table reads."""
SINCE_FFMPEG_5 = ("vendor_id",)
"""Tags that FFmpeg no longer shows."""


@pytest.mark.parametrize("clip", CLIPS, ids=lambda clip: clip.name)
@pytest.mark.parametrize("isolate", [True, False])
def test_a_clip_is_described_as_ffprobe_does(clip, isolate, monkeypatch):
    monkeypatch.chdir(clip.parent)
    found, expected = read_description(clip.name, Limits(isolate=isolate)), EXPECTED[clip.name]
    assert list(found) == list(expected)
    assert (found["programs"], found["chapters"]) == ([], [])
    assert found["format"].items() <= expected["format"].items()
    assert [stream["codec_type"] for stream in found["streams"]] == [s["codec_type"] for s in expected["streams"]]
    for stream, known in zip(found["streams"], expected["streams"], strict=True):
        for name, value in stream.items():
            if isinstance(value, dict):  # FFmpeg has more dispositions by now
                value = {key: each for key, each in value.items() if each != 0}
                known[name] = {k: each for k, each in known[name].items() if each != 0 and k not in SINCE_FFMPEG_5}
            assert value == known[name], name
        for name in NOTEBOOK[known["codec_type"]]:
            assert (name in stream) == (name in known), name
    assert NOTEBOOK["format"][0] in found["format"]


def test_chapters_and_strange_titles(tmp_path):
    path = write_video(tmp_path / "clip.mkv", [pattern(0)] * 3, metadata={"title": "\x1b[31m" + 2000 * "x"})
    title = read_description(path)["format"]["tags"]["title"]
    assert len(title) == 1000
    assert json.dumps(title).startswith('"\\u001b[31m')


def test_what_is_no_video_is_not_described(tmp_path):
    (tmp_path / "clip.mp4").write_bytes(b"nothing")
    with pytest.raises(UnreadableError):
        read_description(tmp_path / "clip.mp4")
