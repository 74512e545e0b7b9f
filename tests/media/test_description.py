import json
from fractions import Fraction

import av
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


def test_chapters_have_their_times_and_titles(tmp_path):
    with av.open(str(write_video(tmp_path / "plain.mkv", map(pattern, range(30))))) as plain:
        track = plain.streams.video[0]
        with av.open(str(tmp_path / "clip.mkv"), "w") as target:
            chapter = {"id": 7, "start": 250, "end": 750, "time_base": Fraction(1, 1000), "metadata": {"title": "two"}}
            target.set_chapters([chapter | {"id": 3, "start": 0, "end": 250, "metadata": {}}, chapter])
            stream = target.add_stream_from_template(track)
            for packet in plain.demux(track):
                if packet.dts is not None:
                    packet.stream = stream
                    target.mux(packet)
    first, second = read_description(tmp_path / "clip.mkv")["chapters"]
    assert "tags" not in first
    assert [float(first[name]) for name in ("start_time", "end_time")] == [0, 0.25]
    assert (second["start_time"], second["end_time"], second["tags"]) == ("0.250000", "0.750000", {"title": "two"})
    assert second["start"] * Fraction(second["time_base"]) == Fraction(1, 4)


def test_tracks_that_are_no_film_and_no_sound_are_listed(tmp_path):
    path = write_video(tmp_path / "clip.mkv", [pattern(0)] * 3, tone=True)
    path.write_bytes(path.read_bytes().replace(b"A_AAC", b"A_XYZ"))
    film, sound = read_description(path, Limits(isolate=False))["streams"]
    assert film["codec_name"] == "h264"
    assert "codec_long_name" in film
    assert {"codec_name", "codec_long_name", "sample_rate"}.isdisjoint(sound)
    assert (sound["index"], sound["codec_type"]) == (1, "audio")
