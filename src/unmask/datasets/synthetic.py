"""A small dataset in the form of the Deepfake Detection Challenge, made on the spot from authentic faces.

    python -m unmask.datasets.synthetic sample/ portrait.png [clip.mp4 ...]

Authentic clips are films of the portraits, or the clips themselves; the fakes are self-blended (Shiohara and Yamasaki
2022, arXiv 2204.08376): the face is changed in colour and sharpness, shifted a little, and pasted back over itself
through a soft mask. So each fake is aligned with its original, and ``masks/<fake>/<frame>.png`` says where it was
changed. As in the real world one clip is rotated, one shows no face, one is broken, and some have sound.
"""

from __future__ import annotations

import argparse
import json
import string
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.errors import UsageError
from unmask.faces import load_detector
from unmask.media import open_video, read_frames
from unmask.media.formats import VIDEO_SUFFIXES
from unmask.types import DetectorSpec, Face, ImageHW3

RATE = 25
SIZE_PX = (640, 480)
MASK_EVERY = 10
SOUND_HZ = 44100

Floats = NDArray[np.float32]
Shot = Callable[[], Iterator[tuple[ImageHW3, Floats]]]
"""Gives the pictures of a clip, each with its blend mask (H, W) in 0..1, all zero where it is authentic."""


@dataclass(frozen=True, slots=True)
class Look:
    """How the pasted face differs from the one beneath it."""

    zoom: float = 1.03
    shift_px: float = 2.0
    blur_px: float = 1.2
    gain: tuple[float, float, float] = (1.06, 0.97, 0.92)
    offset: tuple[float, float, float] = (6, 2, -8)

    @classmethod
    def random(cls, rng: np.random.Generator) -> Look:
        """Draw a look that can be seen."""
        sign = rng.choice([-1, 1], 3)
        gain, offset = 1 + sign * rng.uniform(0.02, 0.06, 3), sign * rng.uniform(2, 8, 3)
        return cls(rng.uniform(1.02, 1.05), rng.uniform(1, 3), rng.uniform(0.9, 1.8), tuple(gain), tuple(offset))


def read_picture(path: Path) -> ImageHW3:
    """Return a picture as (H, W, 3) RGB.

    Raises:
        UsageError: It cannot be read.
    """
    image_HW3 = cv2.imread(str(path))
    if image_HW3 is None:
        raise UsageError(f"{path} is no picture that can be read; use PNG or JPEG")
    return cv2.cvtColor(image_HW3, cv2.COLOR_BGR2RGB)


def find_face(image_HW3: ImageHW3) -> Face:
    """Return the largest face.

    Raises:
        UsageError: There is none.
    """
    faces = load_detector(DetectorSpec(scale=1.0)).detect(image_HW3)
    if not faces:
        raise UsageError("no face was found in the picture; use a portrait")
    return faces[0]


def self_blend(image_HW3: ImageHW3, face: Face, look: Look = Look()) -> tuple[ImageHW3, Floats]:
    """Paste a changed copy of a face over itself.

    Args:
        image_HW3: RGB picture, (H, W, 3) uint8.
        face: The face in it, with landmarks.
        look: How the copy differs.

    Returns:
        The blended picture and the mask (H, W) that it was blended through, 0 to 1.
    """
    height, width = image_HW3.shape[:2]
    points = face.landmarks_px
    assert points is not None
    eyes, mouth = points[:2], points[3:]
    centre, half = points.mean(0), 0.5 * face.side_px
    brows, chin = eyes - [0, 0.35 * half], mouth + [0, 0.45 * half]
    cheeks = np.stack([centre - [0.75 * half, 0], centre + [0.75 * half, 0]])
    hull = cv2.convexHull(np.concatenate([brows, chin, cheeks]).astype(np.int32))
    mask = cv2.fillConvexPoly(np.zeros((height, width), np.float32), hull, 1.0)
    mask = cv2.GaussianBlur(mask, (0, 0), 0.03 * half)

    rest = 1 - look.zoom
    shift = np.array([[look.zoom, 0, look.shift_px + rest * centre[0]], [0, look.zoom, rest * centre[1]]], np.float32)
    changed = cv2.warpAffine(image_HW3, shift, (width, height), borderMode=cv2.BORDER_REFLECT)
    changed = cv2.GaussianBlur(changed, (0, 0), look.blur_px).astype(np.float32)
    changed = changed * np.array(look.gain, np.float32) + np.array(look.offset, np.float32)
    blended = mask[..., None] * changed + (1 - mask[..., None]) * image_HW3
    return np.clip(blended, 0, 255).astype(np.uint8), mask


def film(
    image_HW3: ImageHW3, frames: int, seed: int = 0, mask_HW: Floats | None = None
) -> Iterator[tuple[ImageHW3, Floats]]:
    """Film a still with a slowly moving camera and a little sensor noise; the mask moves along."""
    rng = np.random.default_rng(seed)
    mask_HW = np.zeros(image_HW3.shape[:2], np.float32) if mask_HW is None else mask_HW
    for i in range(frames):
        phase = 2 * np.pi * i / RATE / 3
        zoom = 1.30 + 0.04 * np.sin(phase)
        left, top = 12 * np.cos(phase) + 10, 8 * np.sin(2 * phase) + 14
        camera = np.array([[zoom, 0, -left * zoom], [0, zoom, -top * zoom]], np.float32)
        view = cv2.warpAffine(image_HW3, camera, SIZE_PX, flags=cv2.INTER_CUBIC)
        view = np.clip(view + rng.normal(0, 1.5, view.shape), 0, 255).astype(np.uint8)
        yield view, cv2.warpAffine(mask_HW, camera, SIZE_PX)


def write_clip(pictures: Iterable[ImageHW3], path: Path, *, sound: bool = False, turned: bool = False) -> Path:
    """Encode pictures as H.264 in MP4, 25 a second.

    Args:
        pictures: RGB, all of one even size.
        path: The file.
        sound: Add a soft sine.
        turned: Store the frames lying on their side, with a note for players to turn them, as telephones do.
    """
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"crf": "20"})
        stream.pix_fmt = "yuv420p"
        if turned:
            stream.set_display_rotation(90)
        audio = container.add_stream("aac", rate=SOUND_HZ) if sound else None
        frames = 0
        for frames, picture in enumerate(pictures, 1):
            stored = np.ascontiguousarray(np.rot90(picture, -1)) if turned else picture
            if frames == 1:
                stream.height, stream.width = stored.shape[:2]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(stored, format="rgb24")))
        container.mux(stream.encode())
        if audio is not None:
            _hum(container, audio, frames / RATE)
    return path


def _hum(container: av.container.OutputContainer, stream: av.AudioStream, seconds: float) -> None:
    wave = 0.1 * np.sin(2 * np.pi * 220 * np.arange(int(SOUND_HZ * seconds)) / SOUND_HZ).astype(np.float32)
    for start in range(0, len(wave) - 1023, 1024):
        frame = av.AudioFrame.from_ndarray(wave[None, start : start + 1024], format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = SOUND_HZ, start, Fraction(1, SOUND_HZ)
        container.mux(stream.encode(frame))
    container.mux(stream.encode())


def write_sample(folder: Path, sources: Sequence[Path], *, parts: int = 3, seconds: float = 2.0, seed: int = 0) -> None:
    """Write the dataset: ``dfdc_train_part_N/`` with clips and metadata.json, and the masks of the fakes.

    Each part has two originals, with two fakes and one. The second original of part 0 and its fake are rotated; part 1
    has a third, which shows no face; the last fake of the last part is cut off and cannot be read.

    Args:
        folder: Where to; must not exist or be empty.
        sources: Portraits and authentic clips; taken in turn, portraits each time in another light.
        parts: Number of parts, at least 1.
        seconds: Length of each clip.
        seed: The same sources and seed give the same pictures, up to what the encoder makes of them.

    Raises:
        UsageError: The folder is not empty, there is no source, or a source shows no face.
    """
    if not sources or parts < 1 or seconds <= 0:
        raise UsageError("a sample needs at least one portrait or clip, one part, and some time")
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty; name another folder")
    rng = np.random.default_rng(seed)
    for part in range(parts):
        writer = _PartWriter(folder, part, rng)
        for number in range(2):
            source = sources[(2 * part + number) % len(sources)]
            material = _Material(source, round(seconds * RATE), light=2 * part + number)
            writer.family(material, fakes=2 - number, sound=number == 0, turned=part == 0 and number == 1)
        if part == min(1, parts - 1):
            writer.add_real(_empty_room(round(seconds * RATE), rng))
        if part == parts - 1:
            writer.break_last()
        writer.finish()


class _Material:
    """What an original and its fakes are made of."""

    def __init__(self, source: Path, frames: int, light: int) -> None:
        self._frames, self._light = frames, light
        self._video = source if source.suffix.lower() in VIDEO_SUFFIXES else None
        self._still = None if self._video else _relit(read_picture(source), light)

    def original(self) -> Iterator[tuple[ImageHW3, Floats]]:
        """Give the authentic pictures."""
        if self._still is not None:
            yield from film(self._still, self._frames, self._light)
            return
        for image_HW3 in self._pictures():
            yield image_HW3, np.zeros(image_HW3.shape[:2], np.float32)

    def fake(self, look: Look) -> Iterator[tuple[ImageHW3, Floats]]:
        """Give the blended pictures, each with its mask."""
        if self._still is not None:
            blended, mask = self_blend(self._still, find_face(self._still), look)
            yield from film(blended, self._frames, self._light, mask)
            return
        for image_HW3 in self._pictures():
            yield self_blend(image_HW3, find_face(image_HW3), look)

    def _pictures(self) -> Iterator[ImageHW3]:
        assert self._video is not None
        with open_video(self._video) as video:
            wanted = np.arange(min(self._frames, len(video.index)))
            for frame in read_frames(video, wanted):
                height, width = frame.image_HW3.shape[:2]
                scale = min(1.0, SIZE_PX[0] / max(height, width))
                size = int(width * scale) // 2 * 2, int(height * scale) // 2 * 2
                yield cv2.resize(frame.image_HW3, size, interpolation=cv2.INTER_AREA)


def _relit(image_HW3: ImageHW3, light: int) -> ImageHW3:
    """Mirror every second one and change the light, so that films of one portrait are not all the same."""
    if light % 2:
        image_HW3 = image_HW3[:, ::-1]
    warmth = 0.03 * light
    changed = image_HW3.astype(np.float32) * np.array([1 - warmth / 3, 1 - warmth / 2, 1 - warmth], np.float32)
    return np.clip(changed, 0, 255).astype(np.uint8)


def _empty_room(frames: int, rng: np.random.Generator) -> Shot:
    """Film a wall with a few shadows."""
    blobs = rng.uniform(60, 190, (6, 8, 3)).astype(np.float32)
    wall = cv2.resize(blobs, SIZE_PX, interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)
    return lambda: film(wall, frames, seed=99)


class _PartWriter:
    def __init__(self, folder: Path, part: int, rng: np.random.Generator) -> None:
        self._folder, self._rng = folder / f"dfdc_train_part_{part}", rng
        self._masks = folder / "masks"
        self._metadata: dict[str, dict[str, Any]] = {}
        self._folder.mkdir(parents=True)

    def family(self, material: _Material, fakes: int, sound: bool, turned: bool) -> None:
        original = self.add_real(material.original, sound=sound, turned=turned)
        for _ in range(fakes):
            name, look = self._name(), Look.random(self._rng)
            write_clip(self._noting_masks(name, material.fake(look)), self._folder / name, sound=sound, turned=turned)
            self._metadata[name] = {"label": "FAKE", "split": "train", "original": original}

    def add_real(self, shot: Shot, sound: bool = False, turned: bool = False) -> str:
        name = self._name()
        write_clip((picture for picture, _ in shot()), self._folder / name, sound=sound, turned=turned)
        self._metadata[name] = {"label": "REAL", "split": "train", "original": None}
        return name

    def break_last(self) -> None:
        """Cut the last fake off in the middle, where its index has not been written yet."""
        name = [name for name, entry in self._metadata.items() if entry["label"] == "FAKE"][-1]
        path = self._folder / name
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    def finish(self) -> None:
        (self._folder / "metadata.json").write_text(json.dumps(self._metadata))

    def _name(self) -> str:
        return "".join(self._rng.choice(list(string.ascii_lowercase), 10)) + ".mp4"

    def _noting_masks(self, name: str, shots: Iterable[tuple[ImageHW3, Floats]]) -> Iterator[ImageHW3]:
        folder = self._masks / Path(name).stem
        folder.mkdir(parents=True)
        for i, (picture, mask) in enumerate(shots):
            if i % MASK_EVERY == 0:
                cv2.imwrite(str(folder / f"{i}.png"), np.round(255 * mask).astype(np.uint8))
            yield picture


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Write a small dataset in the form of DFDC.")
    parser.add_argument("folder", type=Path, help="where to write it")
    parser.add_argument("sources", type=Path, nargs="+", help="portraits, or authentic clips")
    parser.add_argument("--parts", type=int, default=3, help="number of parts (default 3)")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of each clip (default 2)")
    parser.add_argument("--seed", type=int, default=0, help="(default 0)")
    given = parser.parse_args()
    try:
        write_sample(given.folder, given.sources, parts=given.parts, seconds=given.seconds, seed=given.seed)
    except UsageError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
