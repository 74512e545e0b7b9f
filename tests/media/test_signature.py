import av
import numpy as np
import pytest

from unmask.media import signature
from unmask.media.signature import SIGNATURE_SHAPE, SignatureLog, Signer


def half_black(width, height, pixel_format):
    image = np.zeros((height, width, 3), np.uint8)
    image[:, width // 2 :] = (250, 60, 60)
    return av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=pixel_format)


@pytest.mark.parametrize("size", [(640, 480), (1920, 1080), (90, 160), (16, 16)])
def test_a_signature_is_the_same_in_all_pixel_formats(size):
    plain = Signer().sign(half_black(*size, "yuv444p")).astype(int)
    assert plain.shape == SIGNATURE_SHAPE
    assert np.ptp(plain[0, :, :7]) <= 4
    assert plain[0, :, 9:].min() > plain[0, :, :7].max() + 60
    for pixel_format in ("yuv420p", "yuv422p", "nv12", "yuv420p10le", "rgb24", "gbrp", "yuyv422"):
        other = Signer().sign(half_black(*size, pixel_format)).astype(int)
        assert np.abs(other - plain)[:, :, [0, 3, 12, 15]].max() <= 8, pixel_format


def test_a_gray_frame_has_no_colour():
    assert (Signer().sign(half_black(320, 240, "gray"))[1:] == 128).all()


def test_a_log_keeps_a_bounded_number(monkeypatch):
    monkeypatch.setattr(signature, "MAX_SIGNATURES", 10)
    log = SignatureLog()
    for index in range(100):
        log.add(index, np.full(SIGNATURE_SHAPE, index, np.uint8))
    indices, signatures = log.arrays()
    assert len(indices) == len(log) <= 11
    assert (np.diff(indices) > 0).all()
    assert (signatures[:, 0, 0, 0] == indices).all()
    assert indices[-1] > 80


def test_an_empty_log_gives_empty_arrays():
    indices, signatures = SignatureLog().arrays()
    assert (len(indices), signatures.shape) == (0, (0, *SIGNATURE_SHAPE))


def test_every_second_one_stays_where_there_are_too_many(monkeypatch):
    monkeypatch.setattr("unmask.media.signature.MAX_SIGNATURES", 4)
    log = SignatureLog()
    for index in range(5):
        log.add(index, np.full(SIGNATURE_SHAPE, index, np.uint8))
    assert log.arrays()[0].tolist() == [0, 2, 4]
    for index in range(5, 24):
        log.add(index, np.full(SIGNATURE_SHAPE, index, np.uint8))
    indices, signatures = log.arrays()
    assert indices.tolist() == [0, 7, 15, 23], "at last one in eight of those that come"
    assert signatures[:, 2, 8, 15].tolist() == [0, 7, 15, 23]
