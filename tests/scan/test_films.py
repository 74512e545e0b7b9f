"""Files with several picture tracks: the film is chosen, all films are judged, and the worst one counts."""

from dataclasses import replace

import numpy as np
import pytest

from tests.media.odd import write_tracks
from tests.media_factory import number_of
from unmask.errors import TimedOutError, UnsupportedError
from unmask.media import open_video, probe, read_frames
from unmask.scan.films import MAX_FILMS, judge_films
from unmask.types import MediaFacts, Verdict

LARGE, SMALL, TINY = (160, 96), (128, 80), (64, 48)
FILM, OTHER = range(20), range(1000, 1020)


def numbers_of(path, film=1):
    with open_video(path, film=film) as video:
        frames = list(read_frames(video, np.arange(len(video.index))))
    return [number_of(frame.image_HW3) for frame in frames]


@pytest.mark.parametrize(
    ("suffix", "first"),
    [("wmv", ("mjpeg", LARGE, [9])), ("mp4", ("mjpeg", LARGE, [9])), ("mkv", ("libx264", TINY, OTHER)),
     ("mp4", ("libx264", TINY, OTHER)), ("mov", ("mjpeg", TINY, OTHER))],
    ids=["picture in wmv", "picture in mp4", "preview in mkv", "preview in mp4", "preview of pictures"],
)  # fmt: skip
def test_pictures_and_previews_before_the_film_are_passed_over(tmp_path, suffix, first):
    codec = "wmv2" if suffix == "wmv" else "libx264"
    path = write_tracks(tmp_path / f"clip.{suffix}", [first, (codec, LARGE, FILM)])
    facts = probe(path)
    assert numbers_of(path) == list(FILM)
    assert facts.films == 1
    assert facts.other_pictures == int(len(first[2]) > 1)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "avi"])
def test_each_film_of_a_file_can_be_read(tmp_path, suffix):
    codec = "mpeg4" if suffix == "avi" else "libx264"
    path = write_tracks(tmp_path / f"two.{suffix}", [(codec, LARGE, FILM), (codec, SMALL, OTHER)])
    assert probe(path).films == 2
    assert sorted(numbers_of(path) + numbers_of(path, film=2)) == [*FILM, *OTHER]
    assert numbers_of(path, film=2)[0] != numbers_of(path)[0]


FACTS = MediaFacts(
    size_bytes=1, sha256="0" * 64, container="", codec="", pixel_format="", width=1, height=1, rotation_degrees=0,
    mirrored=False, sample_aspect_ratio=1.0, frames=1, frames_claimed=None, cut_short=False, frame_rate=None,
    duration_seconds=1.0, start_seconds=None, bit_rate=None, encoder=None, audio=None,
)  # fmt: skip


def verdict(label, probability, films=2, others=0):
    status = "ok" if label else "no_face"
    return Verdict("a", status, label, probability, media=replace(FACTS, films=films, other_pictures=others))


def test_one_film_is_its_own_verdict():
    only = verdict("real", 0.1, films=1)
    assert judge_films(lambda _: only) is only


@pytest.mark.parametrize(
    ("labels", "worst"),
    [(["real", "fake"], 1), (["real", "inconclusive"], 1), (["inconclusive", "fake"], 1), (["fake", "real"], 0),
     ([None, "real"], 1), (["real", "real"], 0)],
)  # fmt: skip
def test_the_most_suspicious_film_counts_and_the_others_are_named(labels, worst):
    outcomes = [verdict(label, None if label is None else 0.2) for label in labels]
    found = judge_films(lambda film: outcomes[film - 1])
    assert found.label == labels[worst]
    assert f"verdict on film {worst + 1}" in found.warnings[0]
    assert f"Film {2 - worst}" in found.warnings[1]


def test_a_film_that_cannot_be_read_is_named():
    def scan(film):
        if film == 2:
            raise UnsupportedError("no decoder")
        return verdict("real", 0.1)

    assert "no decoder" in judge_films(scan).warnings[1]

    def slow(film):
        if film == 2:
            raise TimedOutError("too long")
        return verdict("real", 0.1)

    with pytest.raises(TimedOutError):
        judge_films(slow)


def test_what_is_not_looked_at_is_named():
    many = judge_films(lambda _: verdict("real", 0.1, films=MAX_FILMS + 2))
    assert f"Films {MAX_FILMS + 1} to {MAX_FILMS + 2} were not looked at" in many.warnings[-1]
    assert "1 more picture track" in judge_films(lambda _: verdict("real", 0.1, films=1, others=1)).warnings[0]
