"""Real clips, authentic and manipulated, as they are and as they go about, where they lie beside the repository."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tests.media_factory import write_video

DATA = Path(os.environ.get("UNMASK_SHARED", Path(__file__).parents[3] / "shared")) / "data"
CLIPS = sorted((DATA / "videos").glob("*.mp4"))[::12] if DATA.is_dir() else []
REAL, FAKE = DATA / "devset" / "videos" / "real", DATA / "devset" / "videos" / "fake"
RATE = 10

pytestmark = pytest.mark.skipif(not CLIPS, reason="no folder of real clips beside the repository")


def images_of(path: Path, seconds: float, start: float = 0.0, width: int = 640) -> list[np.ndarray]:
    """Return ten frames a second of a clip, which are at most so wide."""
    return list(islice(_images(path, start, width), int(seconds * RATE)))


def _images(path: Path, start: float, width: int) -> Iterator[np.ndarray]:
    due = start
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            if frame.time >= due:
                due += 1 / RATE
                image = frame.to_ndarray(format="rgb24")
                height = image.shape[0] * width // image.shape[1] // 2 * 2
                yield cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def write(path: Path, images: list[np.ndarray], crf: int = 20) -> Path:
    return write_video(path, images, rate=RATE, options={"preset": "veryfast", "crf": str(crf)})


def interview(path: Path, first: list[np.ndarray], second: list[np.ndarray], seconds: int = 4) -> Path:
    """Cut between two films every four seconds."""
    step = seconds * RATE
    return write(path, [image for at in range(0, len(first), step) for film in (first, second)
                        for image in film[at : at + step]])  # fmt: skip


def test_each_authentic_clip_gets_one_sensible_row(scanner):
    verdicts = list(scanner.scan_many(CLIPS))
    assert [verdict.path for verdict in verdicts] == list(map(str, CLIPS))
    assert {verdict.status for verdict in verdicts} == {"ok"}
    assert all(verdict.frames_with_faces >= 0.8 * verdict.frames_decoded for verdict in verdicts)
    assert sum(verdict.label == "fake" for verdict in verdicts) <= 1


def test_a_manipulated_passage_of_a_shot_is_where_the_traces_are(scanner, tmp_path):
    images = images_of(REAL / "481.mp4", 9, width=1280)
    images += images_of(FAKE / "Deepfakes_481_469.mp4", 3, start=9, width=1280)
    verdict = scanner.scan(write(tmp_path / "clip.mp4", images))
    assert verdict.label != "real"
    passage = verdict.faces[0].passage
    assert passage is not None
    assert 8.5 <= passage.start_seconds < passage.end_seconds <= 12


def test_two_actors_who_are_cut_every_four_seconds_are_two_people(scanner, tmp_path):
    films = [images_of(REAL / f"{actor}__talking_against_wall.mp4", 8) for actor in ("07", "08")]
    verdict = scanner.scan(interview(tmp_path / "clip.mp4", *films))
    people = [{frame.person for frame in verdict.frames if int(frame.time_seconds / 4) % 2 == k} for k in (0, 1)]
    assert all(people)
    assert not people[0] & people[1]
    assert verdict.label != "fake"


def test_an_interview_with_one_who_is_manipulated_is_not_real(scanner, tmp_path):
    films = [images_of(REAL / "253.mp4", 8), images_of(FAKE / "Deepfakes_481_469.mp4", 8)]
    assert scanner.scan(interview(tmp_path / "clip.mp4", *films)).label != "real"


def test_a_manipulated_shot_among_longer_authentic_ones_is_not_averaged_away(scanner, tmp_path):
    wall, podium = (
        images_of(REAL / f"08__{name}.mp4", 10, width=854) for name in ("talking_against_wall", "podium_speech_happy")
    )
    fake = images_of(FAKE / "Deepfakes_469_481.mp4", 6, start=7, width=854)
    verdict = scanner.scan(write(tmp_path / "clip.mp4", [image[:480] for image in (*wall, *fake, *podium)]))
    assert verdict.label == "fake"
    assert all(10 <= person.start_seconds < 16 for person in verdict.faces if person.label == "fake")


@pytest.mark.parametrize("turn", [90, 180])
def test_an_authentic_clip_that_lost_its_rotation_is_turned_and_not_called_fake(scanner, tmp_path, turn):
    images = [np.ascontiguousarray(np.rot90(image, -turn // 90)) for image in images_of(REAL / "469.mp4", 3)]
    verdict = scanner.scan(write(tmp_path / "clip.mp4", images))
    assert verdict.turned_degrees == turn
    assert verdict.label != "fake"


@pytest.mark.parametrize("name", ["253", "08__podium_speech_happy"])
def test_blurred_and_small_copies_of_authentic_clips_are_not_called_fake(scanner, tmp_path, name):
    images = images_of(REAL / f"{name}.mp4", 3, width=854)
    blurred = write(tmp_path / "blurred.mp4", [cv2.GaussianBlur(image, (0, 0), 3) for image in images])
    small = write(tmp_path / "small.mp4", images_of(REAL / f"{name}.mp4", 3, width=320), crf=33)
    assert "fake" not in {verdict.label for verdict in scanner.scan_many([blurred, small])}
