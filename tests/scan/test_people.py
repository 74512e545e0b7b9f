"""Who is who in a whole scan: cuts between like scenes never make two people one."""

import os
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tests.media_factory import write_video
from unmask.media import Shots
from unmask.scan.crops import CutFace, SeenFrame
from unmask.scan.people import number_people
from unmask.types import Face

pytestmark = pytest.mark.usefixtures("searched_once")

VIDEOS = Path(os.environ.get("UNMASK_SHARED", Path(__file__).parents[3] / "shared")) / "data" / "videos"
RATE, SHOT = 10, 20


def interview(path, first, second, shots=6):
    """Cut between two films of one room every two seconds; return the frames that show the second one."""
    films = [list(first), list(second)]
    images, shows_second = [], []
    for shot in range(shots):
        film = films[shot % 2]
        images += [film[(shot // 2 * SHOT + i) % len(film)] for i in range(SHOT)]
        shows_second += [shot % 2 == 1] * SHOT
    write_video(path, images, rate=RATE, options={"preset": "ultrafast", "crf": "20"})
    return np.array(shows_second)


def people_of(scanner, path, shows_second):
    """Return the people of each of the two."""
    people = [set(), set()]
    for frame in scanner.scan(path).frames:
        people[int(shows_second[frame.index])].add(frame.person)
    return people


def sitter(portrait, hue_shift, flip):
    """Film somebody at the same place of the same gray room, swaying a little."""
    hsv = cv2.cvtColor(portrait, cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0].astype(int) + hue_shift) % 180
    face = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[40:340, 110:410]
    face = face[:, ::-1] if flip else face
    for i in range(3 * SHOT):
        room = np.full((300, 400, 3), (96, 104, 112), np.uint8)
        room[:, 320:] = (60, 50, 40)
        left = 40 + int(4 * np.sin(i / 5))
        room[60:, left : left + 240] = cv2.resize(face, (240, 240), interpolation=cv2.INTER_AREA)
        yield room


def test_an_interview_in_one_room_has_two_people(scanner, tmp_path, portrait):
    shows = interview(tmp_path / "talk.mp4", sitter(portrait, 0, False), sitter(portrait, 25, True))
    first, second = people_of(scanner, tmp_path / "talk.mp4", shows)
    assert (len(first), len(second)) == (1, 1)
    assert not first & second


def cut(left, look):
    """A face, and how it looks."""
    face = Face((left, 10.0, left + 60, 70.0), 0.99)
    return CutFace(face, np.full((64, 64, 3), look, np.uint8), {}, False, None, None)


def seen(index, *faces):
    return SeenFrame(index, index / 10, faces, np.zeros((1, 1), np.uint8))


def test_who_has_a_number_keeps_it_when_more_frames_are_looked_at():
    """Somebody is seen from the first frame on, and a closer look finds another one who came before."""
    shots = Shots(np.array([0, 20]))
    first = [seen(index, cut(100, (200, 30, 30))) for index in (30, 40, 50)]
    known = {frame.index: row for frame, row in zip(first, number_people(first, shots), strict=True)}
    assert known == {30: [1], 40: [1], 50: [1]}
    closer = [seen(5, cut(300, (30, 200, 30))), *first, seen(60, cut(300, (30, 30, 200)), cut(100, (200, 30, 30)))]
    assert number_people(closer, shots, known=known) == [[2], [1], [1], [1], [3, 1]]
    assert number_people(closer, shots) == [[1], [2], [2], [2], [3, 2]]


def test_two_who_turn_out_to_be_one_have_the_number_of_most():
    shots = Shots(np.array([0]))
    frames = [seen(index, cut(100, (200, 30, 30))) for index in (1, 2, 3)]
    assert number_people(frames, shots, known={1: [1], 2: [2], 3: [2]}) == [[2], [2], [2]]


@pytest.mark.skipif(not VIDEOS.is_dir(), reason="needs the shared videos")
@pytest.mark.parametrize(("one", "other"), [("bbaf2n", "sbia1a"), ("lbax4n", "lrwp9a"), ("pwij3p", "sbwe5n")])
def test_two_speakers_in_one_studio_are_never_one_person(scanner, tmp_path, one, other):
    films = []
    for name in (one, other):
        with av.open(str(VIDEOS / f"grid_{name}.mpg")) as container:
            films.append([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
    shows = interview(tmp_path / "talk.mp4", *films, shots=4)
    first, second = people_of(scanner, tmp_path / "talk.mp4", shows)
    assert first
    assert second
    assert not first & second


def embedded(index, left, vector):
    return seen(index, replace(cut(left, (90, 90, 90)), embedding_C=np.array(vector, np.float32)))


@pytest.mark.parametrize(("most", "people"), [(3, [[1], [2], [1]]), (2, [[1], [2], [3]])])
def test_embeddings_join_the_tracks_of_one_person_across_shots_unless_there_are_very_many(monkeypatch, most, people):
    monkeypatch.setattr("unmask.scan.people.MAX_JOINED", most)
    frames = [embedded(0, 10, (1, 0)), embedded(30, 200, (0, 1)), embedded(60, 400, (0.99, 0.01))]
    shots = Shots(np.array([0, 20, 50]))
    assert number_people(frames, shots, 0.3) == people
    assert number_people([seen(0, cut(10, (90, 90, 90)))], shots, 0.3) == [[1]], "one without an embedding"
