"""A short manipulation in a long clip: found where its face scores high, and never passed over as real."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import pytest

from tests.media_factory import join_clips, write_video
from unmask import Fusion, PassageRule, Scanner
from unmask.datasets.synthetic import film

RATE, LOOP = 8, 75
GROUP = 250
"""Frames from one key frame to the next, as x264 has them by itself."""
SIZE = (640, 480)


@pytest.fixture(scope="module")
def full_scanner() -> Scanner:
    """A scanner that searches for passages."""
    return Scanner(precision="fp32", fuse=Fusion(passages=PassageRule(tail=1.0)))


@pytest.fixture(scope="module")
def views(portrait, blended) -> dict[str, list[np.ndarray]]:
    """Films that can be looped: ``real``, its manipulated ``twin``, and the twin ``elsewhere``, in another room."""
    films = {
        name: [cv2.resize(view, SIZE, interpolation=cv2.INTER_AREA) for view, _ in film(picture, LOOP)]
        for name, picture in (("real", portrait), ("twin", blended))
    }
    coarse = np.random.default_rng(3).uniform(0, 255, (4, 6, 3)).astype(np.float32)
    room = cv2.resize(coarse, SIZE, interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)
    films["elsewhere"] = []
    for view in films["twin"]:
        image = room.copy()
        image[24:456, 64:640] = cv2.resize(view, (576, 432), interpolation=cv2.INTER_AREA)
        films["elsewhere"].append(image)
    return films


@pytest.fixture(scope="module")
def clip_with(views, tmp_path_factory):
    """Return a function that films ``real`` for so many seconds, of which ``length`` from ``start`` on are ``which``.

    Groups of pictures that were encoded before are copied.
    """
    folder = tmp_path_factory.mktemp("groups")

    @cache
    def group(frames):
        images = [views[name][place] for name, place in frames]
        path = folder / f"{len(list(folder.iterdir()))}.mp4"
        return write_video(path, images, rate=RATE, options={"preset": "ultrafast", "crf": "23"}, gop=GROUP)

    def film(path, seconds, start, length, which):
        names = ["real", which]
        frames = [(names[start <= i / RATE < start + length], i % LOOP) for i in range(int(seconds * RATE))]
        return join_clips([group(tuple(frames[at : at + GROUP])) for at in range(0, len(frames), GROUP)], path)

    return film


@pytest.mark.parametrize("length", [1, 3, 10])
@pytest.mark.parametrize("minutes", [0.5, 2, 10])
def test_a_manipulated_shot_is_found(scanner, clip_with, tmp_path, minutes, length):
    start = 0.37 * 60 * minutes + 0.3
    verdict = scanner.scan(clip_with(tmp_path / "clip.mp4", 60 * minutes, start, length, "elsewhere"))
    assert verdict.label == "fake"
    guilty = [face for face in verdict.faces if face.label == "fake"]
    assert guilty
    assert all(start - 1 <= face.start_seconds <= face.end_seconds <= start + length + 1 for face in guilty)
    assert verdict.frames_decoded <= 3 * 16


@pytest.mark.parametrize(("minutes", "length"), [(0.5, 1), (2, 5), (10, 20)])
def test_a_manipulated_passage_of_a_shot_is_looked_at_closely(full_scanner, clip_with, tmp_path, minutes, length):
    """Nothing is cut at its borders. It is longer than the frames are apart, so enough of it is looked at."""
    start = 0.37 * 60 * minutes + 0.3
    verdict = full_scanner.scan(clip_with(tmp_path / "clip.mp4", 60 * minutes, start, length, "twin"))
    inside = [frame for frame in verdict.frames if start <= frame.time_seconds < start + length]
    assert sum(frame.fake_probability > full_scanner.cards[0].thresholds.fake_above for frame in inside) >= 6
    assert verdict.label != "real"


def test_a_verdict_tells_how_far_its_frames_are_apart(full_scanner, clip_with, tmp_path):
    for minutes, most_seconds in ((0.5, 1.1), (2, 4.2)):
        verdict = full_scanner.scan(clip_with(tmp_path / "clip.mp4", 60 * minutes, 0, 0, "real"))
        times = [0, *sorted({frame.time_seconds for frame in verdict.frames}), verdict.frames[-1].time_seconds]
        assert verdict.max_gap_seconds == pytest.approx(max(np.diff(times)), abs=0.2)
        assert verdict.max_gap_seconds < most_seconds
        assert verdict.frames_decoded <= 2 * 32
