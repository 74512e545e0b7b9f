"""Cuts: like scenes, flashes, pans, dissolves, sparse frames; precision and recall over 200 made cuts."""

import os
from pathlib import Path

import numpy as np
import pytest

from tests.media.scenes import RATE, Scene, dissolve, draw_room, drift, flash, pan, write_scenes
from tests.media_factory import write_video
from unmask.datasets.synthetic import film
from unmask.media import Limits, SignatureLog, find_shots, open_video, pick_frames, read_frames
from unmask.media.shots import find_cuts

VIDEOS = Path(os.environ.get("UNMASK_SHARED", Path(__file__).parents[3] / "shared")) / "data" / "videos"


def found_in(path, frames=32):
    """Return, for each cut that a scan of 32 frames sees, the frame before it and the frame after it."""
    log = SignatureLog()
    with open_video(path, Limits()) as video:
        for _ in read_frames(video, pick_frames(video, frames), log):
            pass
        indices, signatures = log.arrays()
        starts = find_shots(indices, video.index.times_seconds[indices], signatures).starts[1:]
        return [(int(indices[np.searchsorted(indices, start) - 1]), int(start)) for start in starts]


def match(found, made):
    """Return how many made cuts were found, each by one found cut, to a frame or within what was not decoded."""
    left, hits = list(found), 0
    for cut in made:
        near = [pair for pair in left if pair[0] < cut <= pair[1] or abs(pair[1] - cut) <= 1]
        if near:
            left.remove(near[0])
            hits += 1
    return hits


def film_of_cuts(rng, scenes, like):
    """Return the images and where they are cut; ``like`` scenes share their room."""
    room, images, cuts = draw_room(rng), [], []
    for number in range(scenes):
        if number:
            cuts.append(len(images))
        images += Scene(rng, room if like else None).frames(int(rng.integers(10, 26)))
    return images, cuts


@pytest.mark.slow
@pytest.mark.parametrize("like", [False, True])
def test_two_hundred_made_cuts(tmp_path, like):
    made = found = hits = 0
    for seed in range(4):
        images, cuts = film_of_cuts(np.random.default_rng(seed), 26, like)
        starts = found_in(write_scenes(tmp_path / f"{seed}.mp4", images))
        made, found, hits = made + len(cuts), found + len(starts), hits + match(starts, cuts)
    assert made == 100
    assert hits >= 0.98 * made
    assert hits >= 0.98 * found


@pytest.mark.parametrize("seed", range(4))
def test_flashes_and_fast_pans_are_no_cuts(tmp_path, seed):
    rng = np.random.default_rng(seed)
    lit = flash(list(Scene(rng).frames(40)), 17)
    assert found_in(write_scenes(tmp_path / "flash.mp4", lit)) == []
    assert found_in(write_scenes(tmp_path / "pan.mp4", list(pan(rng, 40)))) == []


@pytest.mark.parametrize("length", [5, 8, 12])
def test_a_dissolve_has_a_boundary_inside(tmp_path, length):
    rng = np.random.default_rng(length)
    images = dissolve(list(Scene(rng).frames(30)), list(Scene(rng).frames(30)), length)
    ((_, start),) = found_in(write_scenes(tmp_path / "dissolve.mp4", images))
    assert 30 - length - 2 <= start <= 30 + 4


def test_one_shot_is_one_shot(tmp_path):
    for seed in range(8):
        images = list(Scene(np.random.default_rng(seed)).frames(60))
        assert found_in(write_scenes(tmp_path / f"{seed}.mp4", images)) == []


@pytest.mark.slow
def test_a_camera_that_moves_slowly_makes_no_shots(tmp_path, portrait):
    for seed in range(8):
        assert found_in(write_scenes(tmp_path / f"{seed}.mp4", list(drift(np.random.default_rng(seed), 40)))) == []
    images = [view for view, _ in film(portrait, 125)]
    for phase in (0, 50):  # the film of scripts/demo, begun at two moments
        clip = write_video(tmp_path / f"film{phase}.mp4", images[phase:][:75], rate=25, options={"preset": "veryfast"})
        assert found_in(clip) == []


def test_cuts_are_seen_where_most_frames_are_skipped(tmp_path):
    """Of a long film with short groups of pictures the frames between are never decoded, but some key frames are."""
    rng = np.random.default_rng(0)
    first, second, third = Scene(rng), Scene(rng), Scene(rng)
    images = [*first.frames(300), *second.frames(30), *third.frames(300)]
    path = write_scenes(tmp_path / "long.mp4", images, gop=10)
    log = SignatureLog()
    with open_video(path) as video:
        frames = list(read_frames(video, np.array([0, 290, 340, 629]), log))
        indices, signatures = log.arrays()
        shots = find_shots(indices, video.index.times_seconds[indices], signatures)
    assert len(frames) == 4
    assert len(indices) < 200
    assert len(shots) == 3
    assert np.abs(shots.starts - [0, 300, 330]).max() <= RATE
    assert shots.number_of(np.array([0, 200, 315, 629])).tolist() == [0, 0, 1, 2]


def test_still_or_single_frames_have_no_cuts():
    assert find_shots(np.array([7]), np.zeros(1), np.zeros((1, 3, 9, 16), np.uint8)).starts.tolist() == [0]
    assert find_cuts(np.arange(9.0), np.full((9, 3, 9, 16), 90, np.uint8)).tolist() == []


@pytest.mark.slow
@pytest.mark.skipif(not VIDEOS.is_dir(), reason="needs the shared videos")
def test_made_cuts_between_real_scenes(tmp_path):
    """Shots of real people, joined: signatures are joined, which is what joining the films would give."""
    shots = []
    for path in sorted(VIDEOS.glob("*"))[::2]:
        log = SignatureLog()
        with open_video(path) as video:
            wanted = np.arange(0, min(len(video.index), 75), 3)
            for _ in read_frames(video, wanted, log):
                pass
        indices, signatures = log.arrays()
        if len(indices) > 20 and not len(find_cuts(indices / 25, signatures)):
            shots.append(signatures)
    made = hits = found = 0
    rng = np.random.default_rng(0)
    while made < 200:
        parts = [shots[k][: int(rng.integers(12, 20))] for k in rng.permutation(len(shots))]
        cuts = np.cumsum([len(part) for part in parts])[:-1]
        starts = find_cuts(np.arange(sum(map(len, parts))) / 10, np.concatenate(parts))
        made, found, hits = (
            made + len(cuts),
            found + len(starts),
            hits + match([(start - 1, start) for start in starts], cuts),
        )
    assert hits >= 0.98 * made
    assert hits >= 0.98 * found


def still(seed, count, noise=0.0):
    """Return signatures of a scene that stands still, but for some noise."""
    rng = np.random.default_rng(seed)
    scene = rng.integers(30, 220, (1, 3, 9, 16))
    return (scene + rng.normal(0, noise, (count, 3, 9, 16))).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("before", [1, 2, 8])
def test_a_cut_between_frames_far_apart_in_time(before):
    """As of a film of which a few key frames were decoded: steps tell little there, the frames around do."""
    signatures = np.concatenate([still(0, before, 2), still(1, 8, 2)])
    assert find_cuts(3.0 * np.arange(before + 8), signatures).tolist() == [before]


def test_people_who_move_between_frames_far_apart_make_no_cut():
    assert find_cuts(3.0 * np.arange(16), still(0, 16, 7)).tolist() == []
    little = still(0, 16).astype(int)
    little[8:] += np.where(np.arange(16) % 2, 3, -3)
    assert find_cuts(3.0 * np.arange(16), little.astype(np.uint8)).tolist() == [], "too little for so long a time"
    assert find_cuts(0.04 * np.arange(16), little.astype(np.uint8)).tolist() == [8]


def test_a_film_of_two_frames_may_have_a_cut():
    two = np.concatenate([still(0, 1), still(1, 1)])
    assert find_shots(np.array([0, 7]), np.array([0.0, 0.3]), two).starts.tolist() == [0, 7]
    assert len(find_shots(np.array([0, 7]), np.array([0.0, 0.3]), two[[0, 0]])) == 1
