"""Side data that PyAV does not know does not stand in the way of what it knows."""

import zlib

import av
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext
from av.sidedata.sidedata import Type

from tests.media.odd import exif, write_exif_film
from tests.media_factory import number_of, pattern, write_video
from unmask.media import open_video, probe, read_frames
from unmask.media.side_data import side_data_of


@pytest.mark.parametrize("suffix", ["mkv", "avi", "mov"])
@pytest.mark.parametrize(("orientation", "turned"), [(1, 0), (3, 180)])
def test_a_film_of_pictures_with_exif_is_read(tmp_path, suffix, orientation, turned):
    path = write_exif_film(tmp_path / f"clip.{suffix}", range(6), orientation)
    with open_video(path) as video:
        frames = list(read_frames(video, np.arange(6)))
    assert video.facts.rotation_degrees == turned
    stored = [frame.image_HW3[::-1, ::-1] if turned else frame.image_HW3 for frame in frames]
    assert [number_of(image) for image in stored] == list(range(6))


def test_a_png_film_with_exif_is_read(tmp_path):
    path = tmp_path / "clip.mov"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("png", rate=30)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "rgb24"
        for number in range(4):
            for packet in stream.encode(av.VideoFrame.from_ndarray(pattern(number), format="rgb24")):
                data, body = bytes(packet), exif(1)[10:]
                chunk = len(body).to_bytes(4, "big") + b"eXIf" + body
                chunk += zlib.crc32(b"eXIf" + body).to_bytes(4, "big")
                with_exif = av.Packet(data[:33] + chunk + data[33:])
                with_exif.stream, with_exif.time_base, with_exif.is_keyframe = stream, packet.time_base, True
                with_exif.pts, with_exif.dts = packet.pts, packet.dts
                container.mux(with_exif)
    assert probe(path).frames == 4


@pytest.mark.parametrize("number", [*range(28, 60), -1, 10_000])
def test_kinds_of_side_data_that_come_later_have_a_name(number):
    assert Type(number).value == number
    assert Type(6) is Type.DISPLAYMATRIX


def test_missing_side_data_is_none():
    assert side_data_of(av.VideoFrame(16, 16, "yuv420p"), "DISPLAYMATRIX") is None


@pytest.mark.parametrize("field", ["matrix_coefficients", "transfer_characteristics", "colour_primaries"])
@pytest.mark.parametrize("value", [0, 3, 8, 10, 14, 17, 22, 100, 255])
def test_any_description_of_colours_is_read(tmp_path, field, value):
    plain = write_video(tmp_path / "plain.mp4", map(pattern, range(4)))
    path = tmp_path / "tagged.mp4"
    with av.open(str(plain)) as source, av.open(str(path), "w") as target:
        track = source.streams.video[0]
        stream = target.add_stream_from_template(track)
        rewrite = BitStreamFilterContext(f"h264_metadata={field}={value}", track, stream)
        for packet in source.demux(track):
            for changed in rewrite.filter(packet if packet.size else None):
                changed.stream = stream
                target.mux(changed)
    with open_video(path) as video:
        assert len(list(read_frames(video, np.arange(4)))) == 4
