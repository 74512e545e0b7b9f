"""How often signs of a second encoding are found, in films that were encoded once and in the same encoded twice.

    python benchmarks/bench_second_encoding.py --videos FOLDER --keep films --out results.json

Makes 200 films of 120 frames: one half shows made scenes of 320 x 240 pixels (textures, a moving thing, a camera that
drifts or stands, sensor noise), the other half videos of the folder, shrunk to half or less with noise added, so that
little is left of their own encoding. x264 encodes each once, and once more from a first encoding of another crf (16 to
34, at least 4 apart) and preset; the distance of key frames is the same in a third of them. Sixty further films show
letters and discs without noise, as screens and cartoons do: they are counted by themselves. Takes some minutes.
`MIN_STRENGTH` was set on ``--half tune``, with other seeds and the other half of the videos; combs are found
by what `fit_second_encoding.py` fitted, on films of a third set of seeds and of that half, too.
"""

from __future__ import annotations

import argparse
import io
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from common import Goal, Options, processor, versions
from unmask.evidence.comb import comb_strength
from unmask.evidence.second_encoding import MIN_STRENGTH, find_rhythm
from unmask.evidence.traces import picture_sizes
from unmask.media.frames import open_in_process
from unmask.media.limits import Limits

WIDTH, HEIGHT, FRAMES = 320, 240, 120
QUICK_FILMS = 16
FIRST_SEEDS = {"tune": 3000, "judge": 7000}
Luma = NDArray[np.uint8]


@dataclass(frozen=True)
class Film:
    """How a film is made: its source, and crf, key frame distance and preset of both encodings."""

    seed: int
    source: str
    crf_before: int
    crf: int
    gop_before: int
    gop: int
    preset_before: str
    preset: str


def main() -> None:
    options = Options(__doc__)
    options.add_argument("--videos", type=Path, help="folder of videos, at best of talking heads; without, all is made")
    options.add_argument("--keep", type=Path, required=True, help="folder for the films; those that are there are used")
    options.add_argument("--out", type=Path, required=True, help="JSON file to write")
    options.add_argument("--films", type=int, default=200, help="half of them are encoded twice")
    options.add_argument("--drawn", type=int, default=60, help="further films, without noise, half of them twice")
    options.add_argument("--half", choices=list(FIRST_SEEDS), default="judge", help="of sources and seeds")
    arguments = options.parse_args()
    if arguments.quick:
        arguments.films, arguments.drawn = QUICK_FILMS, 0
    arguments.keep.mkdir(parents=True, exist_ok=True)
    videos = halves(arguments.videos)[arguments.half] if arguments.videos is not None else []
    films = (arguments.films + arguments.drawn) // 2
    rows = [row for number in range(films) for row in measured(number, videos, arguments)]
    drawn = [row for row in rows if row["source"] in ("letters", "discs")]
    once, twice = ([row for row in rows if row not in drawn and row["twice"] == again] for again in (False, True))
    groups = {"once": once, "twice": twice} | cases(twice)
    for what in ("letters", "discs"):
        for times, again in (("once", False), ("twice", True)):
            of = [row for row in drawn if row["source"] == what and row["twice"] == again]
            groups[f"{times}, {what} without noise"] = of
    found = {
        name: float(np.mean([row["rhythm"] >= MIN_STRENGTH or row["comb"] > 0 for row in group]))
        for name, group in groups.items()
        if group
    }
    for name, share in found.items():
        print(f"signs in {100 * share:5.1f} % of {len(groups[name]):3} films encoded {name}")
    write(arguments, found, {name: len(group) for name, group in groups.items()}, rows, len(videos))


def cases(twice: Sequence[dict[str, object]]) -> dict[str, list[dict[str, object]]]:
    """Return the films that were encoded twice by what makes a difference; empty groups are left out."""
    groups: dict[str, list[dict[str, object]]] = {}
    for row in twice:
        how = "finer" if row["crf"] < row["crf_before"] else "coarser"
        rhythm = "one key frame before" if row["gop_before"] > FRAMES else "other key frames"
        rhythm = "the same key frames" if row["gop"] == row["gop_before"] else rhythm
        for name in (f"twice, the second time {how}", f"twice, {how}, {rhythm}"):
            groups.setdefault(name, []).append(row)
    return dict(sorted(groups.items()))


def write(
    arguments: argparse.Namespace,
    found: dict[str, float],
    counts: dict[str, int],
    rows: Sequence[dict[str, object]],
    videos: int,
) -> None:
    finer = "twice, the second time finer"
    limits = {
        "once": ("share of films encoded once that have signs of a second", 0.02, True),
        "twice": ("share of films encoded twice that have signs of it", 0.95, False),
        finer: (f"share of films encoded {finer}, that have signs of it", 0.95, False),
    }
    goals = [
        Goal.single("E3", what, found[name], goal, None, at_most)
        for name, (what, goal, at_most) in limits.items()
        if name in found
    ]
    content = {
        "goals": [goal.to_dict() for goal in goals],
        "share_with_signs": found,
        "films_in_group": counts,
        "min_rhythm": MIN_STRENGTH,
        "films": rows,
        "source": f"{len(rows)} films of made scenes and of {videos} talking-head videos that set no threshold",
        "environment": {"processor": processor(), "cores": os.cpu_count()} | versions("unmask", "numpy", "av"),
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(content, indent=1) + "\n")


def halves(folder: Path) -> dict[str, list[Path]]:
    """Return the videos that are long enough, those of one name (but for its last words) in one half."""
    groups: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("*.mp4")):
        groups.setdefault("_".join(path.stem.split("_")[:3]), []).append(path)
    found: dict[str, list[Path]] = {half: [] for half in FIRST_SEEDS}
    for number, (_, paths) in enumerate(sorted(groups.items())):
        found[list(FIRST_SEEDS)[number % 2]] += [path for path in paths if length(path) >= FRAMES]
    return found


def length(path: Path) -> int:
    with av.open(str(path)) as file:
        return file.streams.video[0].frames


def measured(number: int, videos: Sequence[Path], arguments: argparse.Namespace) -> Iterator[dict[str, object]]:
    """Make one film, encoded once and twice, where it is not there yet; yield what is found in both."""
    rng = np.random.default_rng(FIRST_SEEDS[arguments.half] + number)
    video = videos[(number // 2) % len(videos)] if number % 2 and videos else None
    film = draw(rng, FIRST_SEEDS[arguments.half] + number, video)
    if number >= arguments.films // 2:
        film = replace(film, source=("letters", "discs")[number % 2])
    places = [arguments.keep / f"{number:03d}_{times}.mp4" for times in ("once", "twice")]
    if not all(place.exists() for place in places):
        if number >= arguments.films // 2:
            frames = list((letters, discs)[number % 2](rng))
        else:
            frames = list(scene(rng) if video is None else filmed(video, rng))
        first = decode(encode(frames, film.crf_before, film.gop_before, film.preset_before))
        for place, shown in zip(places, (frames, first), strict=True):
            place.write_bytes(encode(shown, film.crf, film.gop, film.preset))
    for place in places:
        yield asdict(film) | {"twice": place.stem.endswith("twice")} | strengths_of(place)


def draw(rng: np.random.Generator, seed: int, video: Path | None) -> Film:
    before = int(rng.integers(16, 35))
    crf = int(rng.choice([value for value in range(16, 35) if abs(value - before) >= 4]))
    gop_before = int(rng.choice([12, 15, 24, 25, 30, 50, 250]))
    is_same = bool(rng.random() < 1 / 3)
    others = [gop for gop in (12, 25, 30, 48, 50, 250) if gop % gop_before and gop_before % gop]
    gop = gop_before if is_same else int(rng.choice(others))
    preset_before, preset = (str(name) for name in rng.choice(["ultrafast", "veryfast", "medium"], 2))
    return Film(seed, video.stem if video else "made", before, crf, gop_before, gop, preset_before, preset)


def strengths_of(path: Path) -> dict[str, float]:
    """Return what `unmask.evidence` makes of a file: the strength of a rhythm, and that of a comb."""
    with path.open("rb") as file:
        opened = open_in_process(file, "0" * 64, Limits())
        rhythm, comb = find_rhythm(*picture_sizes(opened)), comb_strength(opened)
    return {"rhythm": rhythm.strength if rhythm else 0.0, "comb": -1.0 if comb is None else comb}


def filmed(path: Path, rng: np.random.Generator) -> Iterator[Luma]:
    """Yield the first frames of a video, shrunk and with noise."""
    noise = rng.uniform(0.5, 2.5)
    with av.open(str(path)) as file:
        for frame, _ in zip(file.decode(video=0), range(FRAMES), strict=False):
            luma = frame.to_ndarray(format="gray")
            height, width = luma.shape
            scale = min(0.5, 320 / max(height, width))
            size = (int(width * scale) // 16 * 16, int(height * scale) // 16 * 16)
            small = cv2.resize(luma, size, interpolation=cv2.INTER_AREA).astype(np.float32)
            yield np.clip(small + rng.normal(0, noise, small.shape), 0, 255).astype(np.uint8)


def scene(rng: np.random.Generator) -> Iterator[Luma]:
    """Yield the frames of a made film: (HEIGHT, WIDTH) luma."""
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


def letters(rng: np.random.Generator) -> Iterator[Luma]:
    """Yield the frames of a film of lines of letters that move, without noise, as screens are."""
    sheet = _sheet(rng)
    for row in range(10, sheet.shape[0], int(rng.integers(14, 26))):
        line = "".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz   "), 50))
        level, size = int(rng.integers(0, 256)), rng.uniform(0.3, 0.8)
        cv2.putText(sheet, line, (4, row), cv2.FONT_HERSHEY_SIMPLEX, size, level, 1, cv2.LINE_AA)
    yield from _scrolled(sheet, rng)


def discs(rng: np.random.Generator) -> Iterator[Luma]:
    """Yield the frames of a film of discs on a flat ground, without noise, as cartoons are."""
    sheet = _sheet(rng)
    for _ in range(int(rng.integers(10, 40))):
        place = [int(at) for at in rng.integers(0, sheet.shape[::-1])]
        cv2.circle(sheet, place, int(rng.integers(5, 70)), int(rng.integers(0, 256)), -1, cv2.LINE_AA)
    yield from _scrolled(sheet, rng)


def _sheet(rng: np.random.Generator) -> Luma:
    return np.full((HEIGHT + 160, WIDTH + 160), int(rng.integers(40, 240)), np.uint8)


def _scrolled(sheet: Luma, rng: np.random.Generator) -> Iterator[Luma]:
    step = rng.integers(0, 3, 2)
    for number in range(FRAMES):
        top, left = np.minimum(step * number, 160)
        yield sheet[top : top + HEIGHT, left : left + WIDTH]


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
    frames = list(frames)
    height, width = frames[0].shape
    with av.open(target, "w", format="mp4") as file:
        stream = file.add_stream("libx264", rate=25, options={"crf": str(crf), "preset": preset, "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.gop_size = gop
        for luma in frames:
            grey = np.full((height // 2, width), 128, np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(np.concatenate([luma, grey]), format="yuv420p")))
        file.mux(stream.encode())
    return target.getvalue()


def decode(content: bytes) -> list[Luma]:
    with av.open(io.BytesIO(content)) as file:
        return [frame.to_ndarray()[: frame.height] for frame in file.decode(video=0)]


if __name__ == "__main__":
    main()
