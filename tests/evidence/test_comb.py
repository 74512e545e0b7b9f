"""The comb of a coarser first encoding is found in the first picture, and one encoding has none."""

import av
import cv2
import numpy as np
import pytest

from unmask.evidence.comb import comb_strength, features_of, strength_of
from unmask.evidence.traces import find_traces
from unmask.media.frames import open_in_process
from unmask.media.limits import Limits

WIDTH, HEIGHT, FRAMES = 320, 240, 6


def scene(seed):
    """Yield luma of a drifting texture with noise."""
    rng = np.random.default_rng(seed)
    back = sum(
        size**0.6 * cv2.resize(rng.normal(0, 1, (400 // size, 400 // size)), (400, 400), interpolation=cv2.INTER_CUBIC)
        for size in (2, 4, 8, 16, 32)
    )
    back = back / back.std() * 35 + 120
    for number in range(FRAMES):
        view = back[number : number + HEIGHT, 2 * number : 2 * number + WIDTH]
        yield np.clip(view + rng.normal(0, 1, view.shape), 0, 255).astype(np.uint8)


def encode(path, frames, crf, codec="libx264"):
    options = {"crf": str(crf), "preset": "veryfast", "threads": "1"} if codec == "libx264" else {}
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for luma in frames:
            planes = np.concatenate([luma, np.full((HEIGHT // 2, WIDTH), 128, np.uint8)])
            file.mux(stream.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p")))
        file.mux(stream.encode())
    return path


def decode(path):
    with av.open(str(path)) as file:
        return [frame.to_ndarray()[:HEIGHT] for frame in file.decode(video=0)]


def strength(path):
    with path.open("rb") as file:
        return comb_strength(open_in_process(file, "0" * 64, Limits()))


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Films of four scenes, each encoded once at crf 18 and again from crf 28."""
    folder = tmp_path_factory.mktemp("films")
    found = []
    for seed in range(4):
        first = decode(encode(folder / f"{seed}-first.mp4", scene(seed), 26))
        once = encode(folder / f"{seed}-once.mp4", scene(seed), 18)
        found.append((once, encode(folder / f"{seed}-twice.mp4", first, 18)))
    return found


def test_signs_stand_where_a_coarser_encoding_came_first(films):
    once, twice = zip(*[(strength(a), strength(b)) for a, b in films], strict=True)
    assert max(once) < 0
    assert sorted(twice)[-2] > 0, "in two of four, at least"


def test_the_trace_says_signs_of_and_how_often_it_errs(films):
    path = max((twice for _, twice in films), key=strength)
    with path.open("rb") as file:
        traces = list(find_traces(open_in_process(file, "0" * 64, Limits())))
    (trace,) = (trace for trace in traces if trace.kind == "second_encoding")
    assert trace.reason.startswith("There are signs of an earlier encoding: the first picture holds the rounding")
    assert "of 100 films that were encoded once had such signs" in trace.reason
    assert float(trace.values["comb"]) > 0


def test_other_codecs_tell_nothing(tmp_path):
    assert strength(encode(tmp_path / "a.mp4", scene(0), 18, "mpeg4")) is None


def test_small_pictures_tell_nothing():
    luma, quantisers = np.zeros((96, 128), np.uint8), np.full((6, 8), 20)
    assert features_of(luma, quantisers) is None
    assert strength_of(luma, quantisers) is None


def test_a_picture_with_little_in_it_tells_nothing():
    luma, quantisers = np.full((240, 320), 90, np.uint8), np.full((15, 20), 20)
    assert strength_of(luma, quantisers) is None
    luma[100:110, 100:110] = 30
    assert strength_of(luma, quantisers) is None


def test_only_the_middle_of_a_large_picture_counts():
    rng = np.random.default_rng(0)
    small, quantisers = rng.integers(0, 256, (240, 320)).astype(np.uint8), rng.integers(18, 24, (15, 20))
    large, around = np.zeros((720, 1280), np.uint8), np.zeros((45, 80), np.int64)
    large[240:480, 480:800], around[15:30, 30:50] = small, quantisers
    assert np.array_equal(features_of(small, quantisers), features_of(large, around))
