"""Footage of high dynamic range looks as ordinary footage of the same scene."""

import av
import cv2
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter

from unmask.media import open_video, read_frames, tones
from unmask.media.colours import RgbConverter
from unmask.media.plain import Plain
from unmask.media.tones import forget_unknown_tags, high_range_of, to_ordinary

TO_BT2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
PQ, HLG, BT2020 = 16, 18, 9


def pq(light):
    m1, m2 = 2610 / 16384, 2523 / 32
    power = np.clip(light * 203 / 10_000, 0, 1) ** m1
    return ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** m2


def hlg(light):
    shown = light * 0.203
    brightness = (shown @ [0.2627, 0.6780, 0.0593])[..., None]
    scene = shown * np.maximum(brightness, 1e-9) ** (1 / 1.2 - 1)
    high = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), high)


SIGNALS = {PQ: pq, HLG: hlg, 14: lambda light: light ** (1 / 2.4)}


def wide_frame(image_HW3, transfer, pixel_format="yuv420p10le"):
    """Film an ordinary picture in the colours of BT.2020 and by a curve."""
    signal = SIGNALS[transfer]((image_HW3 / 255) ** 2.4 @ TO_BT2020.T)
    rgb = av.VideoFrame.from_ndarray((65535 * signal.clip(0, 1)).round().astype(np.uint16), format="rgb48le")
    frame = VideoReformatter().reformat(rgb, format=pixel_format, dst_colorspace=BT2020, dst_color_range=1)
    frame.color_trc, frame.color_primaries, frame.colorspace = transfer, BT2020, BT2020
    return frame


@pytest.fixture(scope="module")
def picture(portrait):
    return cv2.resize(portrait, (160, 160), interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize("pixel_format", ["yuv420p10le", "yuv422p10le", "yuv444p12le", "yuv420p"])
@pytest.mark.parametrize("transfer", SIGNALS)
def test_wide_footage_looks_ordinary(picture, transfer, pixel_format):
    frame = wide_frame(picture, transfer, pixel_format)
    plain = RgbConverter("tagged").convert(Plain()(frame)).astype(int)
    untouched = RgbConverter("tagged").convert(frame).astype(int)
    bound = 4 if pixel_format != "yuv420p" else 8
    assert np.abs(plain - picture).mean() < bound
    assert np.abs(plain - picture).mean() < 0.8 * np.abs(untouched - picture).mean()


def test_what_is_brighter_than_white_is_compressed_in_order():
    light = np.linspace(0, 20, 64)[None, :, None] * np.ones((16, 1, 3))
    rgb = av.VideoFrame.from_ndarray((65535 * pq(light)).round().astype(np.uint16), format="rgb48le")
    rgb.color_trc, rgb.color_primaries = PQ, BT2020
    levels = to_ordinary(rgb, VideoReformatter()).to_ndarray()[8, :, 1].astype(int)
    assert (np.diff(levels) >= 0).all()
    assert levels[0] == 0
    assert levels[-1] == 255


@pytest.mark.parametrize(("transfer", "kind"), [(PQ, "PQ"), (HLG, "HLG")])
def test_a_film_of_high_range_says_so_and_looks_ordinary(tmp_path, picture, transfer, kind):
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as container:
        tags = f"log-level=none:colorprim={BT2020}:transfer={transfer}:colormatrix={BT2020}"
        stream = container.add_stream("libx265", rate=25, options={"crf": "10", "x265-params": tags})
        stream.width, stream.height, stream.pix_fmt = 160, 160, "yuv420p10le"
        for _ in range(3):
            container.mux(stream.encode(wide_frame(picture, transfer)))
        container.mux(stream.encode())
    with open_video(path) as video:
        images = [frame.image_HW3.astype(int) for frame in read_frames(video, np.arange(3))]
    assert video.facts.high_range == kind
    assert all(np.abs(image - picture).mean() < 6 for image in images)


def test_colours_that_opencv_saw_stay(tmp_path, picture):
    frame = wide_frame(picture, PQ)
    assert high_range_of(frame) == "PQ"
    path = tmp_path / "clip.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 160, "yuv420p10le"
        stream.codec_context.color_trc = PQ
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with open_video(path, colours="bt601") as video:
        (seen,) = read_frames(video, np.arange(1))
    assert np.abs(seen.image_HW3.astype(int) - picture).mean() > 20


@pytest.mark.parametrize("colours", ["tagged", "bt601"])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv420p10le", "yuvj420p", "gbrp", "nv12", "pal8", "gray"])
def test_no_tag_keeps_a_frame_from_being_seen(pixel_format, colours):
    tags = {"colorspace": range(20), "color_trc": range(24), "color_primaries": range(26), "color_range": range(5)}
    for tag, values in tags.items():
        for value in values:
            for transfer in (2, PQ):
                frame = av.VideoFrame(32, 32, pixel_format)
                frame.color_trc = transfer
                setattr(frame, tag, value)
                forget_unknown_tags(frame)
                assert RgbConverter(colours).convert(Plain()(frame)).shape == (32, 32, 3)


@pytest.mark.parametrize(
    ("kind", "signal", "light"),
    [
        # ITU-R BT.2408, table 1: reference white, skin and grey; and what the curves' standards say of their ends.
        ("PQ", 0.58, 203 / 203), ("PQ", 0.38, 26 / 203), ("PQ", 1.0, 10_000 / 203), ("PQ", 0.0, 0.0),
        ("HLG", 0.75, 0.265), ("HLG", 0.5, 1 / 12), ("HLG", 0.38, 0.0481), ("HLG", 1.0, 1.0), ("HLG", 0.0, 0.0),
        (None, 1.0, 1.0), (None, 0.5, 0.1895), (None, 0.0, 0.0),
    ],
)  # fmt: skip
def test_the_curves_are_those_of_their_standards(kind, signal, light):
    assert tones._curve(kind)[round(65535 * signal)] == pytest.approx(light, rel=0.02, abs=1e-6)


def test_light_below_the_knee_stays_and_no_light_is_above_white():
    light = np.linspace(0, 60, 2000, dtype=np.float32)[:, None]
    shown = light * tones._compression(light)
    assert np.allclose(shown[light <= 0.8], light[light <= 0.8], atol=1e-5)
    assert (np.diff(shown[:, 0]) >= -1e-6).all()
    assert shown.max() <= 1 + 1e-6
    assert shown[np.argmin(np.abs(light - 1))] == pytest.approx(0.8 + 0.2 * (1 - np.exp(-1)), abs=0.01)


@pytest.mark.parametrize(
    ("transfer", "primaries", "is_wide"),
    [(PQ, 1, True), (HLG, 2, True), (14, BT2020, True), (14, 1, False), (1, 12, False)],
)
def test_what_is_not_ordinary(transfer, primaries, is_wide):
    frame = av.VideoFrame(16, 16, "yuv420p")
    frame.color_trc, frame.color_primaries = transfer, primaries
    assert tones.is_wide(frame) is is_wide


def test_known_tags_stay_and_others_are_taken_away():
    for matrix in range(20):
        frame = av.VideoFrame(16, 16, "yuv420p")
        frame.colorspace, frame.color_range = matrix, 1
        forget_unknown_tags(frame)
        assert (frame.colorspace, frame.color_range) == (matrix if matrix in (0, 1, 2, 4, 5, 6, 7, 9) else 2, 1)
    frame.color_range = 3
    forget_unknown_tags(frame)
    assert frame.color_range == 0
