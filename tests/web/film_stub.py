"""The stub as the page needs it: of a film it tells two people, with boxes, scores and pictures."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from tests.web.stub import StubScanner
from unmask.scan.reasons import accusation
from unmask.types import FrameScore, PersonPictures, PersonVerdict, Scene, Sighting

MARK = b"\x00\x00\x00\x40free" + b"stub:faces ".ljust(56)
"""What makes a film one with people: a box of an MP4 that players pass over."""


class FilmStub(StubScanner):
    """Answers as the stub does, and of what is marked with ``faces`` with a whole verdict."""

    def scan_video(self, video, draft):
        """Tell of a manipulated person on the left, and of a real one on the right."""
        verdict = super().scan_video(video, draft)
        with open(draft.path, "rb") as file:
            if MARK not in file.read():
                return verdict
        facts, picture = video.facts, jpeg(96)
        times = [facts.duration_seconds * share for share in (0.0, 0.25, 0.5, 0.75)]
        sides = {1: (0.1, 0.9), 2: (0.6, 0.05)}
        frames = tuple(
            FrameScore(person, place, time, box(facts, left + 0.05 * place), 0.99, score)
            for place, time in enumerate(times)
            for person, (left, score) in sides.items()
        )
        people = tuple(
            PersonVerdict(person, label, sides[person][1], times[0], times[-1], 4, {"stub": sides[person][1]}, picture)
            for person, label in ((1, "fake"), (2, "real"))
        )
        strip = tuple(Sighting(time, 0.9, picture) for time in times)
        scene = Scene(times[1], 96, 96, (10.0, 10.0, 50.0, 60.0), picture)
        thresholds = {"fake_above": 0.8, "real_below": 0.3}
        return replace(
            verdict,
            label="fake",
            fake_probability=0.9,
            reasons=(accusation(people[0], 0.8),),
            faces=people,
            frames=frames,
            frames_asked=4,
            frames_decoded=4,
            frames_with_faces=4,
            pictures=(PersonPictures(1, strip, scene), PersonPictures(2, (), None)),
            settings=draft.settings | {"thresholds": thresholds, "frames": 4},
        )


def box(facts, left: float) -> tuple[float, float, float, float]:
    """Return a box that begins at a share of the width."""
    return (facts.width * left, facts.height * 0.2, facts.width * (left + 0.25), facts.height * 0.7)


def jpeg(side_px: int) -> bytes:
    """Return a gray picture."""
    return cv2.imencode(".jpg", np.full((side_px, side_px, 3), 128, np.uint8))[1].tobytes()


def make(models=None, frames=0, limits=None, **options):
    """Return the stub; what the command line says of models is passed over."""
    return FilmStub(**options)
