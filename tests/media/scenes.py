"""Scenes of films whose cuts are known: textured rooms, people as ovals who move, flashes, pans, dissolves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from tests.media_factory import write_video

WIDTH, HEIGHT = 160, 96
RATE = 10


class Scene:
    """A room and one person in it."""

    def __init__(self, rng: np.random.Generator, room: np.ndarray | None = None) -> None:
        """Draw a person, and a room where none is given."""
        self.room = draw_room(rng) if room is None else room
        self.rng = rng
        self.centre = rng.uniform((0.3, 0.45), (0.7, 0.6)) * (WIDTH, HEIGHT)
        self.size = rng.uniform(16, 30)
        self.skin, self.shirt = rng.uniform(60, 220, 3), rng.uniform(0, 255, 3)

    def frames(self, count: int) -> Iterator[np.ndarray]:
        """Film the person, who sways and nods, with a little noise."""
        phase, speed = self.rng.uniform(0, 6), self.rng.uniform(0.3, 0.9)
        for i in range(count):
            image = self.room[:, :WIDTH].copy()
            sway = self.centre + (4 * np.sin(phase + speed * i), 2 * np.cos(phase + 1.7 * speed * i))
            x, y = (int(value) for value in sway)
            size = int(self.size)
            cv2.ellipse(image, (x, y + 2 * size), (int(1.6 * size), size), 0, 0, 360, self.shirt.tolist(), -1)
            cv2.ellipse(image, (x, y), (int(0.75 * size), size), 0, 0, 360, self.skin.tolist(), -1)
            yield np.clip(image + self.rng.normal(0, 2, image.shape), 0, 255).astype(np.uint8)


def draw_room(rng: np.random.Generator, width: int = WIDTH) -> np.ndarray:
    """Return a wall of smooth colour patches, (HEIGHT, width, 3)."""
    coarse = rng.uniform(0, 255, (4, max(6, 6 * width // WIDTH), 3)).astype(np.float32)
    return cv2.resize(coarse, (width, HEIGHT), interpolation=cv2.INTER_CUBIC).clip(0, 255)


def pan(rng: np.random.Generator, count: int) -> Iterator[np.ndarray]:
    """Stand still, sweep over a wide wall within a second, stand still."""
    wall = draw_room(rng, 4 * WIDTH)
    still = count // 3
    places = np.interp(np.arange(count), [still, still + RATE], [0, 3 * WIDTH]).astype(int)
    return (wall[:, left : left + WIDTH].astype(np.uint8) for left in places)


def drift(rng: np.random.Generator, count: int) -> Iterator[np.ndarray]:
    """Let a camera sway softly before a wall, as one does that is held by hand."""
    wall = draw_room(rng, 2 * WIDTH).astype(np.uint8)
    seconds, reach_px, phase = rng.uniform(2, 6), rng.uniform(6, 16), rng.uniform(0, 6)
    for i in range(count):
        left = WIDTH / 2 + reach_px * np.sin(phase + 2 * np.pi * i / RATE / seconds)
        yield cv2.warpAffine(wall, np.array([[1, 0, -left], [0, 1, 0]], np.float32), (WIDTH, HEIGHT))


def flash(images: list[np.ndarray], at: int) -> list[np.ndarray]:
    """Let a flash of three frames go off."""
    lit = [
        np.clip(image.astype(float) * gain + 80 * gain - 80, 0, 255)
        for image, gain in zip(images[at:], (3, 2, 1.4), strict=False)
    ]
    return [*images[:at], *(image.astype(np.uint8) for image in lit), *images[at + 3 :]]


def dissolve(first: list[np.ndarray], second: list[np.ndarray], length: int) -> list[np.ndarray]:
    """Blend the end of one scene into the start of the next one."""
    shares = (np.arange(length) + 1) / (length + 1)
    mixed = [
        (a * (1 - share) + b * share).astype(np.uint8)
        for a, b, share in zip(first[-length:], second[:length], shares, strict=True)
    ]
    return [*first[:-length], *mixed, *second[length:]]


def write_scenes(path: Path, images: list[np.ndarray], gop: int = 250) -> Path:
    """Encode a film."""
    return write_video(path, images, rate=RATE, options={"preset": "ultrafast", "crf": "23"}, gop=gop)
