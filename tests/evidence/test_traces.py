"""How a file was written is told as facts; a plain clip gives no alarm."""

import struct
from types import SimpleNamespace

import av
import pytest

from tests.media_factory import cut_without_reencoding, join_clips, pattern, write_tone, write_video
from unmask.evidence.labels import read_labels
from unmask.evidence.traces import read_traces, traces_of
from unmask.media import Limits, open_video
from unmask.media.readers import reader_name


def traces(path, isolate=False):
    with open_video(path, Limits(isolate=isolate), readers=[read_labels, read_traces]) as video:
        return traces_of(video)


def told(path, kind):
    return [trace for trace in traces(path) if trace.kind == kind]


@pytest.fixture(scope="module")
def plain_clip(tmp_path_factory):
    images = [pattern(i) for i in range(40)]
    options = {"crf": "20", "preset": "ultrafast", "sc_threshold": "0"}
    return write_video(tmp_path_factory.mktemp("traces") / "plain.mp4", images, options=options, gop=10, tone=True)


def test_a_plain_clip(plain_clip):
    found = traces(plain_clip, isolate=True)
    assert [trace.kind for trace in found] == ["written_by", "encoder_settings", "key_frames"]
    written, settings, keys = found
    assert written.values["encoder"].startswith("Lavf")
    assert written.values["major_brand"] == "isom"
    assert written.values["handler_name of video"] == "VideoHandler"
    assert settings.values["crf"] == "20.0"
    assert settings.values["keyint"] == "10"
    assert settings.reason.startswith("The picture was encoded by x264 (core ")
    assert keys.reason == "The film has 4 key frames, every 10 frames."
    assert found == traces(plain_clip)


def test_a_film_of_a_camera_is_read_in_a_confined_decoder_as_well(short_clips):
    """Its first picture is large enough for all that is looked for, and nothing can be loaded there."""
    found = traces(short_clips["authentic"], isolate=True)
    assert [trace.kind for trace in found] == ["written_by", "encoder_settings", "key_frames"]
    assert found == traces(short_clips["authentic"])


def test_one_key_frame(tmp_path):
    path = write_video(tmp_path / "a.mkv", [pattern(i) for i in range(5)], codec="mpeg4")
    (trace,) = told(path, "key_frames")
    assert trace.values == {"count": "1"}
    assert told(path, "encoder_settings") == []


def test_joined_parts_are_told_with_the_time_of_the_join(tmp_path, plain_clip):
    parts = [
        write_video(tmp_path / f"{crf}.mp4", [pattern(i) for i in range(20)], options={"crf": crf})
        for crf in ("20", "30")
    ]
    # A join that copies packets keeps the settings of each part, where these stand in the packets.
    (trace,) = told(join_clips(parts, tmp_path / "joined.mp4"), "joined")
    assert trace.values["settings"] == "other"
    assert float(trace.values["times_seconds"]) == pytest.approx(20 / 30, abs=0.04)
    assert told(plain_clip, "joined") == []


def test_frames_that_an_edit_list_hides(tmp_path, plain_clip):
    cut = cut_without_reencoding(plain_clip, tmp_path / "cut.mp4", 0.5)
    (trace,) = told(cut, "hidden_frames")
    assert int(trace.values["hidden"]) > 0
    assert told(plain_clip, "hidden_frames") == []


def test_gaps_in_time(tmp_path):
    times = [40 * i + (700 if i >= 12 else 0) for i in range(24)]
    (trace,) = told(write_video(tmp_path / "a.mkv", [pattern(i) for i in range(24)], times=times), "time_gaps")
    assert trace.values == {"count": "1", "longest_seconds": "0.740"}
    assert "0.44 s" in trace.reason


def test_sound_that_outlasts_the_picture(tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream, sound = container.add_stream("libx264", rate=25), container.add_stream("aac", rate=44100)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(25):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pattern(number, (64, 48)), format="rgb24")))
        container.mux(stream.encode())
        write_tone(container, sound, 3.0)
    (trace,) = told(path, "sound")
    assert float(trace.values["end_difference_seconds"]) == pytest.approx(2.0, abs=0.15)
    assert "ends" in trace.reason
    assert "later" in trace.reason


def test_tracks_of_other_dates(tmp_path):
    made = {"creation_time": "2024-01-01T00:00:00Z"}
    path = write_video(tmp_path / "a.mp4", [pattern(i) for i in range(5)], metadata=made)
    assert told(path, "dates") == []
    data = bytearray(path.read_bytes())
    at = data.index(b"mdhd") + 8
    struct.pack_into(">I", data, at, struct.unpack_from(">I", data, at)[0] + 366 * 86400)
    path.write_bytes(data)
    (trace,) = told(path, "dates")
    assert trace.values == {"file": "2024-01-01T00:00:00.000000Z", "video": "2025-01-01T00:00:00.000000Z"}


def test_traces_of_a_decoder_that_was_taken_over_are_dropped():
    def checked(*notes):
        return traces_of(SimpleNamespace(notes={reader_name(read_traces): notes}))

    good = {"kind": "sound", "reason": "It ends."}
    assert len(checked(good)) == 1
    for change in ({"kind": "x"}, {"reason": "\x1b["}, {"values": {"a": "x" * 601}}):
        assert checked(good | change) == ()
    assert traces_of(SimpleNamespace(notes={})) == ()
