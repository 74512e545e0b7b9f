"""Make a small dataset in the form of the Deepfake Detection Challenge from authentic faces.

    unmask sample OUT portrait.png [clip.mp4 ...]

Authentic clips are films of the portraits, or the clips themselves. The fakes are made by a function that blends one
face, such as `unmask.augment.selfblend.self_blend`: each is aligned with its original, and
``masks/<fake>/<frame>.png`` says where it was changed. As in the real world one clip is rotated, one shows no face, one
is broken, and some have sound.
"""

from __future__ import annotations

import json
import string
from collections.abc import Callable, Iterable, Iterator, Sequence
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
from unmask.storage.content import VIDEO_SUFFIXES
from unmask.types import DetectorSpec, ImageHW3

RATE = 25
SIZE_PX = (640, 480)
MASK_EVERY = 10
SOUND_HZ = 44100

Floats = NDArray[np.float32]
View = tuple[ImageHW3, Floats]
"""An image of a clip, and its blend mask (H, W) in 0..1, all zero where it is authentic."""
Shot = Callable[[], Iterator[View]]
"""Films a clip."""
BlendFace = Callable[[ImageHW3, Floats, np.random.Generator], View]
"""Makes a fake of an image, the landmarks (5, 2) of a face in it, and where the randomness comes from."""


def read_portrait(path: Path) -> ImageHW3:
    """Return an image file as (H, W, 3) RGB.

    Raises:
        UsageError: The file cannot be read.
    """
    image_HW3 = cv2.imread(str(path))
    if image_HW3 is None:
        raise UsageError(f"{path} is no image that can be read; use PNG or JPEG")
    return cv2.cvtColor(image_HW3, cv2.COLOR_BGR2RGB)


def find_landmarks(image_HW3: ImageHW3) -> Floats:
    """Return the landmarks (5, 2) of the largest face, x, y in pixels.

    Raises:
        UsageError: There is no face.
    """
    faces = load_detector(DetectorSpec(scale=1.0)).detect(image_HW3)
    if not faces or faces[0].landmarks_px is None:
        raise UsageError("no face was found in the image; use a portrait")
    return faces[0].landmarks_px


def film(image_HW3: ImageHW3, frames: int, seed: int = 0, mask_HW: Floats | None = None) -> Iterator[View]:
    """Film a still with a slowly moving camera and a little sensor noise; the mask moves along."""
    rng = np.random.default_rng(seed)
    noise_HW3 = np.empty((*SIZE_PX[::-1], 3))
    for i in range(frames):
        phase = 2 * np.pi * i / RATE / 3
        zoom = 1.30 + 0.04 * np.sin(phase)
        left, top = 12 * np.cos(phase) + 10, 8 * np.sin(2 * phase) + 14
        camera = np.array([[zoom, 0, -left * zoom], [0, zoom, -top * zoom]], np.float32)
        rng.standard_normal(out=noise_HW3)
        noise_HW3 *= 1.5
        noise_HW3 += cv2.warpAffine(image_HW3, camera, SIZE_PX, flags=cv2.INTER_CUBIC)
        view = np.clip(noise_HW3, 0, 255, out=noise_HW3).astype(np.uint8)
        authentic = mask_HW is None
        yield view, np.zeros(view.shape[:2], np.float32) if authentic else cv2.warpAffine(mask_HW, camera, SIZE_PX)


def looped_films(
    authentic_HW3: ImageHW3, manipulated_HW3: ImageHW3, frames: int, size_px: tuple[int, int] = SIZE_PX
) -> dict[str, list[ImageHW3]]:
    """Film a portrait and its manipulated twin, to be shown over and over.

    Args:
        authentic_HW3: Portrait, (H, W, 3) uint8 RGB.
        manipulated_HW3: The same with another face, of the same size.
        frames: Length of each film.
        size_px: Width and height of the images.

    Returns:
        ``real``; its ``twin``, which differs in the face alone; and the twin ``elsewhere``, smaller and in another
        room, so that it is a shot of its own.
    """
    pictures = {"real": authentic_HW3, "twin": manipulated_HW3}
    films = {
        name: [cv2.resize(view, size_px, interpolation=cv2.INTER_AREA) for view, _ in film(picture, frames)]
        for name, picture in pictures.items()
    }
    width, height = size_px
    coarse = np.random.default_rng(3).uniform(0, 255, (4, 6, 3)).astype(np.float32)
    room = cv2.resize(coarse, size_px, interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)
    smaller = width * 9 // 10, height * 9 // 10
    films["elsewhere"] = []
    for view in films["twin"]:
        image = room.copy()
        top = (height - smaller[1]) // 2
        image[top : top + smaller[1], width - smaller[0] :] = cv2.resize(view, smaller, interpolation=cv2.INTER_AREA)
        films["elsewhere"].append(image)
    return films


def with_passage(which: str, frames: int, first: int, length: int, loop: int) -> Iterator[tuple[str, int]]:
    """Yield, for each frame of a clip of `looped_films`, which film it is of, and which frame of that one.

    Args:
        which: Name of the film of the passage; the rest is ``real``.
        frames: Length of the clip.
        first: Number of the passage's first frame.
        length: Frames of the passage.
        loop: Frames of each film.
    """
    for number in range(frames):
        yield which if first <= number < first + length else "real", number % loop


def write_clip(images: Iterable[ImageHW3], path: Path, *, sound: bool = False, turned: bool = False) -> Path:
    """Encode images as H.264 in MP4, 25 a second.

    Args:
        images: RGB, all of one even size.
        path: The file.
        sound: Add a soft sine.
        turned: Store the frames lying on their side, with a display matrix that turns them, as telephones do.
    """
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"crf": "20"})
        stream.pix_fmt = "yuv420p"
        if turned:
            stream.set_display_rotation(90)
        audio = container.add_stream("aac", rate=SOUND_HZ) if sound else None
        frames = 0
        for frames, image_HW3 in enumerate(images, 1):
            stored = np.ascontiguousarray(np.rot90(image_HW3, -1)) if turned else image_HW3
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


def write_sample(
    folder: Path,
    sources: Sequence[Path],
    blend: BlendFace,
    *,
    parts: int = 3,
    seconds: float = 2.0,
    seed: int = 0,
    groups: bool = False,
) -> int:
    """Write the dataset: ``dfdc_train_part_N/`` with clips and metadata.json, and the masks of the fakes.

    Each part has two originals, with two fakes and one. The second original of part 0 and its fake are rotated; part 1
    has a third, which shows no face; the last fake of the last part is cut off and cannot be read.

    Args:
        folder: Where to; must not exist or be empty.
        sources: Portraits and authentic clips; taken in turn, portraits each time in another light.
        blend: Makes a fake of a face, e.g. `unmask.augment.selfblend.self_blend`.
        parts: Number of parts, at least 1.
        seconds: Length of each clip.
        seed: The same sources and seed give the same images, up to what the encoder makes of them.
        groups: Add to each part a clip of two people side by side, and two fakes of it: in one the smaller face is
            changed, in the other the larger one, in the middle half of the clip alone.

    Returns:
        Number of clips.

    Raises:
        UsageError: The folder is not empty, there is no source, or a source shows no face.
    """
    if not sources or parts < 1 or seconds <= 0:
        raise UsageError("a sample needs at least one portrait or clip, at least one part, and a length above 0 s")
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty; name another folder")
    rng = np.random.default_rng(seed)
    clips = 0
    for part in range(parts):
        writer = _PartWriter(folder, part, blend, rng)
        if groups:
            writer.add_group(Group(sources, round(seconds * RATE), light=part))
        for number in range(2):
            source = sources[(2 * part + number) % len(sources)]
            material = _Material(source, round(seconds * RATE), light=2 * part + number)
            writer.add_family(material, fakes=2 - number, sound=number == 0, turned=part == 0 and number == 1)
        if part == min(1, parts - 1):
            writer.add_real(_empty_room(round(seconds * RATE), rng))
        if part == parts - 1:
            writer.break_last()
        clips += writer.finish()
    return clips


class _Material:
    """The portrait or clip that an original and its fakes are made from."""

    def __init__(self, source: Path, frames: int, light: int) -> None:
        self._frames, self._light = frames, light
        self._video = source if source.suffix.lower() in VIDEO_SUFFIXES else None
        self._still = None if self._video else _relit(read_portrait(source), light)

    def original(self) -> Iterator[View]:
        """Give the authentic images."""
        if self._still is not None:
            yield from film(self._still, self._frames, self._light)
            return
        for image_HW3 in self._images():
            yield image_HW3, np.zeros(image_HW3.shape[:2], np.float32)

    def fake(self, blend: BlendFace, seed: int) -> Iterator[View]:
        """Give the blended images; each is blended with the same draws."""
        if self._still is not None:
            blended_HW3, mask_HW = _blended(self._still, blend, seed)
            yield from film(blended_HW3, self._frames, self._light, mask_HW)
            return
        for image_HW3 in self._images():
            yield _blended(image_HW3, blend, seed)

    def _images(self) -> Iterator[ImageHW3]:
        assert self._video is not None
        with open_video(self._video) as video:
            wanted = np.arange(min(self._frames, len(video.index)))
            for frame in read_frames(video, wanted):
                height, width = frame.image_HW3.shape[:2]
                scale = min(1.0, SIZE_PX[0] / max(height, width))
                size = int(width * scale) // 2 * 2, int(height * scale) // 2 * 2
                yield cv2.resize(frame.image_HW3, size, interpolation=cv2.INTER_AREA)


def _blended(image_HW3: ImageHW3, blend: BlendFace, seed: int) -> View:
    return blend(image_HW3, find_landmarks(image_HW3), np.random.default_rng(seed))


def _relit(image_HW3: ImageHW3, light: int) -> ImageHW3:
    """Change the light, and mirror every second portrait, so that films of one portrait differ."""
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


class Group:
    """Two people in one picture, the larger one on the left."""

    def __init__(self, sources: Sequence[Path], frames: int, light: int) -> None:
        """Show the faces of the first two sources, or one face twice.

        Args:
            sources: Portraits, or clips, whose first frame is taken.
            frames: Length of the clip.
            light: Number of the light.

        Raises:
            UsageError: A source shows no face.
        """
        self._frames, self._light = frames, light
        scene_HW3 = np.full((_SCENE_PX[1], _SCENE_PX[0], 3), 96, np.uint8)
        self._landmarks: list[Floats] = []
        for number, (x, y, side) in enumerate(_TILES):
            picture_HW3 = _relit(_first_picture(sources[min(number, len(sources) - 1)]), light + number)
            tile_HW3, points_52 = _closeup(picture_HW3, side)
            scene_HW3[y : y + side, x : x + side] = tile_HW3
            self._landmarks.append(points_52 + np.array([x, y], np.float32))
        self._scene_HW3 = scene_HW3

    def original(self) -> Iterator[View]:
        """Give the authentic images."""
        return film(self._scene_HW3, self._frames, self._light)

    def fake(self, face: int, blend: BlendFace, seed: int, part_time: bool) -> Iterator[View]:
        """Give images in which one face is blended.

        Args:
            face: 0 for the larger, 1 for the smaller one.
            blend: Makes a fake of a face.
            seed: Of its draws.
            part_time: Only in the middle half of the clip.
        """
        blended_HW3, mask_HW = blend(self._scene_HW3, self._landmarks[face], np.random.default_rng(seed))
        changed = film(blended_HW3, self._frames, self._light, mask_HW)
        for number, views in enumerate(zip(self.original(), changed, strict=True)):
            during = self._frames // 4 <= number < self._frames - self._frames // 4
            yield views[1] if during or not part_time else views[0]


_SCENE_PX = 520, 400
_TILES = ((10, 40, 270), (300, 100, 190))
"""Left and upper edge and side of the two people's pictures in the scene."""


def _first_picture(source: Path) -> ImageHW3:
    if source.suffix.lower() not in VIDEO_SUFFIXES:
        return read_portrait(source)
    with open_video(source) as video:
        return next(iter(read_frames(video, np.array([0])))).image_HW3


def _closeup(image_HW3: ImageHW3, side_px: int) -> tuple[ImageHW3, Floats]:
    """Return a square picture of the face of an image, and the landmarks in it."""
    points_52 = find_landmarks(image_HW3)
    left, top = points_52.mean(0) - 2.5 * np.linalg.norm(points_52[1] - points_52[0])
    factor = side_px / (5 * float(np.linalg.norm(points_52[1] - points_52[0])))
    move = np.array([[factor, 0, -left * factor], [0, factor, -top * factor]], np.float32)
    size, area = (side_px, side_px), cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    tile_HW3 = cv2.warpAffine(image_HW3, move, size, flags=area, borderMode=cv2.BORDER_REFLECT)
    return tile_HW3.astype(np.uint8), ((points_52 - [left, top]) * factor).astype(np.float32)


class _PartWriter:
    """Writes the clips of one part, and its metadata.json."""

    def __init__(self, folder: Path, part: int, blend: BlendFace, rng: np.random.Generator) -> None:
        self._blend, self._rng = blend, rng
        self._folder = folder / f"dfdc_train_part_{part}"
        self._masks = folder / "masks"
        self._metadata: dict[str, dict[str, Any]] = {}
        self._folder.mkdir(parents=True)

    def add_family(self, material: _Material, fakes: int, sound: bool, turned: bool) -> None:
        """Write an original and the fakes made of it."""
        original = self.add_real(material.original, sound=sound, turned=turned)
        for _ in range(fakes):
            name, seed = self._name(), int(self._rng.integers(2**63))
            self._add_fake(name, original, material.fake(self._blend, seed), sound=sound, turned=turned)

    def add_group(self, group: Group) -> None:
        """Write a clip of two people, and two fakes in which one of them is changed."""
        original = self.add_real(group.original)
        for face, part_time in ((1, False), (0, True)):
            name, seed = self._name(), int(self._rng.integers(2**63))
            self._add_fake(name, original, group.fake(face, self._blend, seed, part_time))

    def _add_fake(
        self, name: str, original: str, views: Iterator[View], sound: bool = False, turned: bool = False
    ) -> None:
        write_clip(self._saving_masks(name, views), self._folder / name, sound=sound, turned=turned)
        self._metadata[name] = {"label": "FAKE", "split": "train", "original": original}

    def add_real(self, shot: Shot, sound: bool = False, turned: bool = False) -> str:
        """Write an authentic clip; return its name."""
        name = self._name()
        write_clip((image_HW3 for image_HW3, _ in shot()), self._folder / name, sound=sound, turned=turned)
        self._metadata[name] = {"label": "REAL", "split": "train", "original": None}
        return name

    def break_last(self) -> None:
        """Cut the last fake off in the middle, where its index has not been written yet."""
        name = [name for name, entry in self._metadata.items() if entry["label"] == "FAKE"][-1]
        path = self._folder / name
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    def finish(self) -> int:
        """Write metadata.json; return the number of clips."""
        (self._folder / "metadata.json").write_text(json.dumps(self._metadata))
        return len(self._metadata)

    def _name(self) -> str:
        return "".join(self._rng.choice(list(string.ascii_lowercase), 10)) + ".mp4"

    def _saving_masks(self, name: str, views: Iterable[View]) -> Iterator[ImageHW3]:
        folder = self._masks / Path(name).stem
        folder.mkdir(parents=True)
        for i, (image_HW3, mask_HW) in enumerate(views):
            if i % MASK_EVERY == 0:
                cv2.imwrite(str(folder / f"{i}.png"), np.round(255 * mask_HW).astype(np.uint8))
            yield image_HW3
