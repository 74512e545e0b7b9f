import av
import numpy as np
import pytest

from tests.media.fields import write_fields
from tests.media.odd import write_interlaced
from unmask.media import open_video, read_frames
from unmask.media.plain import first_moment, is_combed

SIDE_PX = 192


def moment(place: int) -> np.ndarray:
    """Return a smooth wall with a dark square that moves quickly, both with slanted lines."""
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX]
    image = (150 + 40 * np.sin((x + 0.3 * y) / 23))[..., None] * np.ones(3)
    left = 10 + 9 * place
    image[60:130, left : left + 50] *= 0.3
    return image.astype(np.uint8)


MOMENTS = [moment(place) for place in range(12)]


def read_all(path):
    with open_video(path) as video:
        return video.facts, [frame.image_HW3 for frame in read_frames(video, np.arange(len(video.index)))]


def error(image: np.ndarray, of: np.ndarray) -> float:
    return float(np.abs(image[8:-8].astype(int) - of[8:-8]).mean())


@pytest.mark.parametrize(
    ("suffix", "codec", "options"),
    [
        ("mp4", "libx264", {"x264-params": "tff=1", "crf": "12"}),
        ("mkv", "libx264", {"x264-params": "bff=1", "crf": "12"}),
        ("ts", "mpeg2video", {"flags": "+ildct+ilme", "b": "8M"}),
        ("mpg", "mpeg2video", {"flags": "+ildct+ilme", "b": "8M"}),
        ("avi", "mpeg4", {"flags": "+ildct+ilme", "b": "8M"}),
    ],
)
def test_interlaced_footage_has_no_combs(tmp_path, suffix, codec, options):
    path = write_interlaced(tmp_path / f"clip.{suffix}", MOMENTS, codec, options)
    facts, images = read_all(path)
    assert facts.interlaced
    for place, image in enumerate(images):
        first, second = MOMENTS[2 * place : 2 * place + 2]
        assert min(error(image, first), error(image, second)) < 5
        assert not is_combed(image.mean(2).astype(np.int16))


def test_footage_in_fields_has_no_combs(tmp_path):
    _, images = read_all(write_fields(tmp_path / "clip.ts", MOMENTS))
    assert len(images) == 6
    assert all(error(image, MOMENTS[2 * place]) < 5 for place, image in enumerate(images))


def test_what_stands_still_keeps_its_rows(tmp_path):
    still = np.random.default_rng(0).integers(60, 190, (SIDE_PX, SIDE_PX, 3), np.uint8)
    still[::2] = still[1::2]  # every row twice: no comb, though rows differ
    options = {"x264-params": "tff=1", "crf": "4"}
    _, images = read_all(write_interlaced(tmp_path / "still.mp4", [still] * 4, "libx264", options))
    with av.open(str(tmp_path / "still.mp4")) as container:
        expected = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert all(np.array_equal(image, same) for image, same in zip(images, expected, strict=True))


def test_a_comb_is_where_rows_alternate():
    plain, woven = MOMENTS[0].mean(2).astype(np.int16), MOMENTS[0].copy()
    woven[1::2] = MOMENTS[1][1::2]
    assert not is_combed(plain)
    assert is_combed(woven.mean(2).astype(np.int16))
    assert not is_combed(np.zeros((8, 8), np.int16))


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p10le", "nv12", "gbrp", "pal8"])
def test_the_moment_of_a_frame_of_any_format_has_its_size(pixel_format):
    frame = av.VideoFrame(64, 48, pixel_format)
    whole = first_moment(frame)
    assert whole is not frame
    assert (whole.width, whole.height) == (64, 48)


@pytest.mark.parametrize(("pixel_format", "size"), [("rgb4", (64, 48)), ("yuv420p", (16, 2))])
def test_a_frame_that_the_filter_does_not_take_stays_as_it_is(pixel_format, size):
    frame = av.VideoFrame(*size, pixel_format)
    assert first_moment(frame) is frame


def test_the_moment_of_a_frame_keeps_its_place():
    frame = av.VideoFrame(64, 48, "yuv420p")
    frame.pts = 7
    assert first_moment(frame).pts == 7


def rows(*levels, columns=16):
    """Return three blocks of rows that repeat these levels."""
    return np.tile(np.array(levels, np.int16), 48)[:48, None].repeat(columns, 1)


def test_a_comb_is_deep_and_wide_enough():
    assert not is_combed(rows(100, 109))
    assert is_combed(rows(100, 110))
    for base in (0, 100):
        assert not is_combed(base + rows(0, 13, 0)), "rows that stand alone have to stand out more"
        assert is_combed(base + rows(0, 14, 0))
    for columns, expected in ((5, False), (6, True)):
        level = rows(100)
        level[:, :columns] = rows(100, 200)[:, :columns]
        assert is_combed(level) is expected, "so many pixels of a square"
    assert not is_combed(rows(100, 200, columns=15)), "there is no square"
    assert is_combed(rows(100, 200)[:32])
    assert not is_combed(rows(100, 200)[:31])


@pytest.mark.parametrize("levels", [(200, 50, 200, 200, 50), (0, 255), (90, 120, 90, 121)])
def test_a_comb_is_one_whether_its_rows_are_bright_or_dark(levels):
    for expected, level in ((True, rows(*levels)), (False, rows(*sorted(levels * 24))), (False, rows(0, 0, 200))):
        assert is_combed(level) is expected
        assert is_combed(255 - level) is expected
        assert is_combed(level[::-1]) is expected
        assert is_combed(np.hstack([level, level[:, ::-1]])) is expected
