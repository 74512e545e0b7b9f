"""A short manipulation in a long clip: found where its face scores high, and never passed over as real."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest

from tests.media_factory import join_clips, write_video
from unmask import Fusion, PassageRule, Scanner
from unmask.datasets.synthetic import looped_films, with_passage

RATE, LOOP = 8, 75
GROUP = 250
"""Frames from one key frame to the next, as x264 has them by itself."""


@pytest.fixture(scope="module")
def full_scanner() -> Scanner:
    """A scanner that searches for passages."""
    return Scanner(fuse=Fusion(passages=PassageRule(tail=1.0)))


@pytest.fixture(scope="module")
def films(portrait, blended) -> dict[str, list[np.ndarray]]:
    return looped_films(portrait, blended, LOOP)


@pytest.fixture(scope="module")
def clip_with(films, tmp_path_factory):
    """Return a function that films ``real`` for so many seconds, of which ``length`` from ``start`` on are ``which``.

    Groups of pictures that were encoded before are copied.
    """
    folder = tmp_path_factory.mktemp("groups")

    @cache
    def group(frames):
        images = [films[name][place] for name, place in frames]
        path = folder / f"{len(list(folder.iterdir()))}.mp4"
        return write_video(path, images, rate=RATE, options={"preset": "ultrafast", "crf": "23"}, gop=GROUP)

    def film(path, seconds, start, length, which):
        first, last = (math.ceil(time * RATE) for time in (start, start + length))
        frames = list(with_passage(which, int(seconds * RATE), first, last - first, LOOP))
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
    assert verdict.frames_decoded <= 5 * 16


@pytest.mark.parametrize(("minutes", "length"), [(0.5, 1), (2, 1), (10, 20)])
def test_a_manipulated_passage_of_a_shot_is_looked_at_closely(full_scanner, clip_with, tmp_path, minutes, length):
    """Nothing is cut at its borders: frames lie a second apart up to two minutes, and beside bursts in longer clips."""
    start = 0.37 * 60 * minutes + 0.3
    verdict = full_scanner.scan(clip_with(tmp_path / "clip.mp4", 60 * minutes, start, length, "twin"))
    inside = [frame for frame in verdict.frames if start <= frame.time_seconds < start + length]
    assert sum(frame.fake_probability > full_scanner.cards[0].thresholds.fake_above for frame in inside) >= 6
    assert verdict.label != "real"
    assert verdict.max_gap_seconds <= 1 or minutes > 2


@pytest.mark.parametrize("length", [1, 3])
def test_a_clip_is_not_called_real_while_a_passage_may_lie_between_frames(full_scanner, clip_with, tmp_path, length):
    """This film jumps at the end of each loop, more often than bursts are kept: a passage is missed."""
    film = clip_with(tmp_path / "clip.mp4", 600, 0.37 * 600 + 0.3, length, "twin")
    verdict = full_scanner.scan(film)
    assert verdict.label in ("inconclusive", "fake")
    assert verdict.label == "fake" or verdict.reasons[-1].code == "frames_apart_not_real"


@pytest.mark.parametrize(("minutes", "most_seconds"), [(0.5, 1), (2.5, 3)])
def test_a_verdict_tells_how_far_its_frames_are_apart(full_scanner, clip_with, tmp_path, minutes, most_seconds):
    film = clip_with(tmp_path / "clip.mp4", 60 * minutes, 0, 0, "real")
    verdict = full_scanner.scan(film)
    times = [0, *sorted({frame.time_seconds for frame in verdict.frames}), verdict.frames[-1].time_seconds]
    assert verdict.max_gap_seconds == pytest.approx(max(np.diff(times)), abs=0.2)
    assert verdict.max_gap_seconds <= most_seconds
    assert any("looks at every second" in reason for reason in verdict.reasons) == (minutes > 2)
    assert verdict.label == ("real" if minutes < 2 else "inconclusive")


def test_a_long_clip_whose_every_second_was_looked_at_is_called_real(clip_with, tmp_path):
    film = clip_with(tmp_path / "clip.mp4", 130, 0, 0, "real")
    verdict = Scanner(frames=40).scan(film)
    assert verdict.label == "real"
    assert verdict.max_gap_seconds <= 1
