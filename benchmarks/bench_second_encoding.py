"""How often signs of a second encoding are found, in films that were encoded once and in the same encoded twice.

    python benchmarks/bench_second_encoding.py --out benchmarks/results/second_encoding.json

Makes 200 films of 100 frames of 176 x 144 pixels: textures, a moving thing, a camera that drifts or stands, sensor
noise. x264 encodes each once, and once more from its first encoding of another crf (16 to 34, at least 4 apart), key
frame distance and preset. Takes some minutes. The films of seeds 1000 to 1099 set `MIN_STRENGTH`; these are others.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from common import Goal, processor, versions
from unmask.evidence.second_encoding import MIN_STRENGTH, find_rhythm
from unmask.evidence.traces import picture_sizes
from unmask.media.frames import open_in_process
from unmask.media.limits import Limits

WIDTH, HEIGHT, FRAMES = 176, 144, 100
FIRST_SEED = 2000
Luma = NDArray[np.uint8]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--out", type=Path, required=True, help="JSON file to write")
    options.add_argument("--films", type=int, default=200, help="half of them are encoded twice")
    arguments = options.parse_args()
    rows = [row for number in range(arguments.films // 2) for row in films(FIRST_SEED + number)]
    groups = {
        "once": [row for row in rows if not row["twice"]],
        "twice": [row for row in rows if row["twice"]],
        "twice, the second time finer": [row for row in rows if row["twice"] and row["crf"] < row["crf_before"]],
        "twice, the second time coarser": [row for row in rows if row["twice"] and row["crf"] > row["crf_before"]],
    }
    found = {name: float(np.mean([row["strength"] >= MIN_STRENGTH for row in group])) for name, group in groups.items()}
    for name, share in found.items():
        print(f"signs in {100 * share:5.1f} % of {len(groups[name]):3} films encoded {name}")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    once, twice = found["once"], found["twice"]
    goals = [
        Goal.single("E3", "share of films encoded once that have signs of a second", once, 0.02, None, at_most=True),
        Goal.single("E3", "share of films encoded twice that have signs of it", twice, 0.95, None, at_most=False),
    ]
    content = {
        "goals": [goal.to_dict() for goal in goals],
        "share_with_signs": found,
        "min_strength": MIN_STRENGTH,
        "films": rows,
        "source": f"{len(rows)} made films, seeds from {FIRST_SEED} on",
        "environment": {"processor": processor(), "cores": os.cpu_count()} | versions("unmask", "numpy", "av"),
    }
    arguments.out.write_text(json.dumps(content, indent=1) + "\n")


def films(seed: int) -> Iterator[dict[str, float | bool]]:
    """Encode one film once, and twice."""
    rng = np.random.default_rng(seed)
    before = int(rng.integers(16, 35))
    crf = int(rng.choice([value for value in range(16, 35) if abs(value - before) >= 4]))
    gop_before = int(rng.choice([10, 12, 15, 20, 24, 25, 30]))
    gop = int(rng.choice([value for value in (12, 25, 30, 48, 50, 250) if value % gop_before]))
    preset_before, preset = (str(name) for name in rng.choice(["ultrafast", "veryfast", "medium"], 2))
    frames = list(scene(rng))
    twice = encode(decode(encode(frames, before, gop_before, preset_before)), crf, gop, preset)
    for is_twice, content in ((False, encode(frames, crf, gop, preset)), (True, twice)):
        yield {"seed": seed, "twice": is_twice, "crf_before": before, "crf": crf, "strength": strength_of(content)}


def strength_of(content: bytes) -> float:
    """Return what `unmask.evidence.second_encoding` makes of a file."""
    with tempfile.NamedTemporaryFile() as written:
        written.write(content)
        written.flush()
        with Path(written.name).open("rb") as file:
            rhythm = find_rhythm(*picture_sizes(open_in_process(file, "0" * 64, Limits())))
    return rhythm.strength if rhythm else 0.0


def scene(rng: np.random.Generator) -> Iterator[Luma]:
    """Yield the frames of a film: (HEIGHT, WIDTH) luma."""
    back, thing = texture(rng, HEIGHT + 80, WIDTH + 80), texture(rng, HEIGHT // 2, WIDTH // 2)
    noise, phase, speed = rng.uniform(0.5, 3), rng.uniform(0, 6, 4), rng.uniform(0.02, 0.08, 4)
    drift = 0 if rng.random() < 0.4 else 30
    for number in range(FRAMES):
        x, y = 40 + drift * np.sin(speed[:2] * number + phase[:2])
        view = moved(back, -x, -y)
        at = np.array([WIDTH, HEIGHT]) * (1 / 4 + np.sin(speed[2:] * 1.5 * number + phase[2:]) / 5)
        mask = moved(np.ones_like(thing), *at)
        view = view * (1 - mask) + moved(thing, *at) * mask + rng.normal(0, noise, view.shape)
        yield np.clip(view, 0, 255).astype(np.uint8)


def moved(image: NDArray[np.float32], x: float, y: float) -> NDArray[np.float32]:
    return cv2.warpAffine(image, np.array([[1, 0, x], [0, 1, y]], np.float32), (WIDTH, HEIGHT))


def texture(rng: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    total = np.zeros((height, width), np.float32)
    for size in (2, 4, 8, 16, 32):
        coarse = rng.normal(0, 1, (height // size + 2, width // size + 2)).astype(np.float32)
        total += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC) * size**0.6
    return total / total.std() * 35 + np.float32(rng.uniform(90, 150))


def encode(frames: Iterable[Luma], crf: int, gop: int, preset: str) -> bytes:
    target = io.BytesIO()
    with av.open(target, "w", format="mp4") as file:
        stream = file.add_stream("libx264", rate=25, options={"crf": str(crf), "preset": preset, "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.gop_size = gop
        for luma in frames:
            grey = np.full((HEIGHT // 2, WIDTH), 128, np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(np.concatenate([luma, grey]), format="yuv420p")))
        file.mux(stream.encode())
    return target.getvalue()


def decode(content: bytes) -> Iterator[Luma]:
    with av.open(io.BytesIO(content)) as file:
        for frame in file.decode(video=0):
            yield frame.to_ndarray()[:HEIGHT]


if __name__ == "__main__":
    main()
