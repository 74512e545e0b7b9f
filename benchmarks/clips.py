"""Make the benchmark clips: ten seconds each, three sizes, both orientations, two frame rates, one to three faces.

    python benchmarks/clips.py --clips CLIPS                           # from the portrait in examples/data
    python benchmarks/clips.py --clips CLIPS --videos FOLDER [FOLDER ...] --source "30 authentic talking heads"

A clip is a row of tiles, one face each. From the portrait: it drifts, zooms and is now and then mirrored over
a moving texture. From videos: a tile is filled with one of them, under a slow camera move. Both get sensor
noise, so that the codec has real work. The same seed gives the same pictures, and the encoders run on one
thread each, so the same libraries give the same files.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Tile = Callable[[int, int, int, np.random.Generator], Iterator[Image]]
"""(width, height, frames a second, random numbers) -> the tile's pictures, without end."""

PORTRAIT = Path(__file__).parents[1] / "examples" / "data" / "eileen_collins.png"
VIDEO_SUFFIXES = {".mp4", ".mov", ".mkv", ".webm", ".avi", ".mpg"}
SECONDS = 10
NOISE_SIGMA = 2.0


@dataclass(frozen=True, slots=True)
class ClipSpec:
    """How one clip is made."""

    name: str
    width: int
    height: int
    rate: int
    """Frames a second."""
    faces: int
    codec: str = "libx264"
    gop: int = 250
    """Frames from key frame to key frame at most; 250 and ``medium`` are x264's defaults."""
    preset: str = "medium"
    use: str = "speed"
    """``speed`` for the timed benchmarks, ``memory`` for peak memory only."""
    repeats: int = 1
    """How often the ten seconds are strung together, by copying packets."""


SPECS = (
    ClipSpec("480p-wide-30fps-1face-gop250", 854, 480, 30, 1),
    ClipSpec("480p-tall-15fps-1face-gop30", 480, 854, 15, 1, gop=30),
    ClipSpec("480p-wide-30fps-2faces-gop30", 854, 480, 30, 2, gop=30),
    ClipSpec("720p-wide-30fps-1face-gop250", 1280, 720, 30, 1),
    ClipSpec("720p-tall-30fps-2faces-gop250", 720, 1280, 30, 2),
    ClipSpec("720p-wide-15fps-3faces-gop30", 1280, 720, 15, 3, gop=30),
    ClipSpec("720p-wide-30fps-1face-hevc", 1280, 720, 30, 1, codec="libx265"),
    ClipSpec("1080p-wide-30fps-1face-gop250", 1920, 1080, 30, 1),
    ClipSpec("1080p-wide-30fps-2faces-gop250", 1920, 1080, 30, 2),
    ClipSpec("1080p-wide-30fps-3faces-gop30", 1920, 1080, 30, 3, gop=30),
    ClipSpec("1080p-tall-30fps-1face-gop250", 1080, 1920, 30, 1),
    ClipSpec("1080p-tall-30fps-2faces-gop30", 1080, 1920, 30, 2, gop=30),
    ClipSpec("1080p-wide-15fps-1face-gop250", 1920, 1080, 15, 1),
    ClipSpec("1080p-tall-15fps-1face-hevc", 1080, 1920, 15, 1, codec="libx265"),
    ClipSpec("tiny", 320, 240, 15, 1, use="memory", preset="veryfast"),
    ClipSpec("1080p-10minutes", 1920, 1080, 15, 1, use="memory", preset="veryfast", repeats=60),
    ClipSpec("4k-10seconds", 3840, 2160, 15, 1, use="memory", preset="veryfast"),
)
QUICK = ("720p-wide-30fps-1face-gop250", "tiny")
"""Names of the clips of a first impression."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, required=True, help="folder to write; finished clips are kept")
    parser.add_argument("--videos", type=Path, nargs="+", help="folders of talking-head videos to use as source")
    parser.add_argument("--source", default="", help="what --videos holds, in words, for the results")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="only what scripts/bench needs")
    arguments = parser.parse_args()
    if bool(arguments.videos) != bool(arguments.source):
        parser.error("--videos and --source go together: the results name what they were measured on")
    source = arguments.source or f"the portrait {PORTRAIT.name}, moved over a texture"
    tiles = _video_tiles(arguments.videos) if arguments.videos else [partial(portrait_tile, _read_portrait())]
    arguments.clips.mkdir(parents=True, exist_ok=True)
    turn = 0
    for number, spec in enumerate(sorted(SPECS, key=lambda spec: -spec.width * spec.height)):
        mine = [tiles[(turn + i) % len(tiles)] for i in range(spec.faces)]  # largest videos for largest clips
        turn += spec.faces
        path = arguments.clips / f"{spec.name}.mp4"
        if path.exists() or (arguments.quick and spec.name not in QUICK):
            continue
        print(f"making {path.name}", flush=True)
        unfinished = path.with_suffix(".part")
        encode(pictures(spec, mine, np.random.default_rng([arguments.seed, number])), spec, unfinished)
        unfinished.replace(path)
    made = [spec for spec in SPECS if (arguments.clips / f"{spec.name}.mp4").exists()]
    description: dict[str, Any] = {"source": source, "seed": arguments.seed, "clips": [asdict(spec) for spec in made]}
    (arguments.clips / "clips.json").write_text(json.dumps(description, indent=1) + "\n")


def pictures(spec: ClipSpec, tiles: list[Tile], rng: np.random.Generator) -> Iterator[Image]:
    """Yield the clip's frames: tiles side by side (stacked when upright), plus noise."""
    upright = spec.height > spec.width
    sides = np.diff(np.linspace(0, max(spec.width, spec.height), spec.faces + 1).astype(int))
    rows = [
        tile(spec.width, int(side), spec.rate, rng) if upright else tile(int(side), spec.height, spec.rate, rng)
        for tile, side in zip(tiles, sides, strict=True)
    ]
    slack = 64
    noise = rng.normal(0, NOISE_SIGMA, (spec.height + slack, spec.width + slack, 1)).round().astype(np.int16)
    for _ in range(SECONDS * spec.rate):
        picture = np.concatenate([next(row) for row in rows], axis=0 if upright else 1)
        y, x = rng.integers(0, slack, 2)
        grain = np.repeat(noise[y : y + spec.height, x : x + spec.width], 3, axis=2)
        yield cv2.add(picture, grain, dtype=cv2.CV_8U)


def portrait_tile(portrait: Image, width: int, height: int, rate: int, rng: np.random.Generator) -> Iterator[Image]:
    """Move the portrait over a moving texture."""
    texture = _texture(width + 200, height + 200, rng)
    side = portrait.shape[0]
    mask = np.zeros((side, side), np.float32)
    cv2.ellipse(mask, (side // 2, side // 2), (int(side * 0.42), int(side * 0.46)), 0, 0, 360, 1.0, -1)
    mask = cv2.GaussianBlur(mask, (0, 0), side / 40)
    still = cv2.flip(portrait, 1) if rng.random() < 0.5 else portrait
    phase, pace = rng.uniform(0, 2 * math.pi, 5), rng.uniform(0.5, 1.5, 5)
    number = 0
    while True:
        wave = np.sin(phase + pace * number / rate)
        background = _warp(texture, (100 + 90 * wave[0], 100 + 90 * wave[1]), 1.0, (width, height))
        zoom = 0.85 * min(width, height) / side * (1 + 0.1 * wave[2])
        left = (width - side * zoom) / 2 + 0.1 * width * wave[3]
        top = (height - side * zoom) / 2 + 0.06 * height * wave[4]
        matrix = np.array([[zoom, 0, left], [0, zoom, top]])
        person = cv2.warpAffine(still, matrix, (width, height), flags=cv2.INTER_LINEAR)
        weight = cv2.warpAffine(mask, matrix, (width, height), flags=cv2.INTER_LINEAR)
        yield cv2.blendLinear(person, background, weight, 1 - weight)
        number += 1


def video_tile(path: Path, width: int, height: int, rate: int, rng: np.random.Generator) -> Iterator[Image]:
    """Fill the tile with a video, repeated as needed, under a slow camera move."""
    phase, pace = rng.uniform(0, 2 * math.pi, 2), rng.uniform(0.2, 0.6, 2)
    number = 0
    while True:
        with av.open(path) as container:
            for position, frame in enumerate(container.decode(video=0)):
                if rate < 20 and position % 2:
                    continue
                image: Any = frame.to_ndarray(format="rgb24")
                zoom = 1.06 * max(width / image.shape[1], height / image.shape[0])
                spare = np.array([image.shape[1] * zoom - width, image.shape[0] * zoom - height])
                wave = 0.03 * min(width, height) * np.sin(phase + pace * number / rate)
                corner = np.clip(spare * (0.5, 0.15) + wave, 0, spare)  # heads are in the upper part of a picture
                yield _warp(image, (corner[0], corner[1]), zoom, (width, height))
                number += 1


def encode(images: Iterator[Image], spec: ClipSpec, path: Path) -> None:
    """Write an MP4 file, its packets copied ``spec.repeats`` times in a row."""
    with av.open(path, "w", format="mp4") as container:
        stream: Any = container.add_stream(spec.codec, rate=spec.rate)
        stream.width, stream.height, stream.pix_fmt = spec.width, spec.height, "yuv420p"
        stream.options = {"preset": spec.preset, "g": str(spec.gop)}
        if spec.codec == "libx265":
            stream.options |= {"x265-params": f"log-level=none:pools=1:frame-threads=1:keyint={spec.gop}"}
        stream.codec_context.thread_count = 1
        packets = []
        for number, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = number
            packets += stream.encode(frame)
        packets += stream.encode(None)
        ticks = round(SECONDS / packets[0].time_base)
        for repeat in range(spec.repeats):
            for packet in packets:
                copy = av.Packet(bytes(packet))
                copy.pts, copy.dts = packet.pts + repeat * ticks, packet.dts + repeat * ticks
                copy.duration, copy.time_base, copy.is_keyframe = packet.duration, packet.time_base, packet.is_keyframe
                copy.stream = stream
                container.mux(copy)


def _video_tiles(folders: list[Path]) -> list[Tile]:
    """One tile a video, those with most pixels first."""
    paths = sorted(path for folder in folders for path in folder.iterdir() if path.suffix.lower() in VIDEO_SUFFIXES)

    def pixels(path: Path) -> int:
        with av.open(path) as container:
            return int(container.streams.video[0].width * container.streams.video[0].height)

    return [partial(video_tile, path) for path in sorted(paths, key=pixels, reverse=True)]


def _read_portrait() -> Image:
    picture: Any = cv2.imread(str(PORTRAIT))
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))


def _texture(width: int, height: int, rng: np.random.Generator) -> Image:
    """Coloured noise with structure at all sizes."""
    total = np.zeros((height, width, 3), np.float32)
    for cell in (4, 12, 36, 108):
        coarse = rng.normal(0, 12, (height // cell + 2, width // cell + 2, 3)).astype(np.float32)
        total += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(total + 118, 0, 255).astype(np.uint8)


def _warp(image: Image, corner: tuple[float, float], zoom: float, size: tuple[int, int]) -> Image:
    """Zoom a picture and cut ``size`` (width, height) out of it from ``corner`` on."""
    matrix = np.array([[zoom, 0, -corner[0]], [0, zoom, -corner[1]]])
    return np.asarray(cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT))


if __name__ == "__main__":
    main()
