"""What the rows of an exploration amount to: counts, distributions, and what looks wrong."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unmask.datasets.index import Clip, Index
from unmask.explore.tables import side_px
from unmask.explore.vote import DOUBTS
from unmask.metrics import log_loss
from unmask.storage.rowlog import Row

SERIES = ("real", "fake", "unlabelled")
MAX_BINS = 20


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a chart, split by label."""

    name: str
    """What it counts."""
    counts: tuple[int, int, int]
    """Real, fake, unlabelled."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A distribution."""

    title: str
    unit: str
    bars: tuple[Bar, ...]

    @property
    def highest(self) -> int:
        """The largest bar, at least 1."""
        return max([1, *(sum(bar.counts) for bar in self.bars)])


def distribution(title: str, unit: str, values: Iterable[tuple[Any, str | None]]) -> Chart:
    """Count values by label: one bar for each where there are few, or bins of equal width.

    Args:
        title: Of the chart.
        unit: Of the values.
        values: Value and label; values that are None are left out.
    """
    pairs = [(value, label or "unlabelled") for value, label in values if value is not None]
    distinct = sorted({value for value, _ in pairs})
    if len(distinct) <= 12 or not all(isinstance(value, (int, float)) for value in distinct):
        counts = Counter(pairs)
        bars = [Bar(_number(value), tuple(counts[value, name] for name in SERIES)) for value in distinct]  # type: ignore[arg-type]
        return Chart(title, unit, tuple(bars))
    edges = _edges([value for value, _ in pairs])
    series = [np.histogram([v for v, label in pairs if label == name], edges)[0].tolist() for name in SERIES]
    whole = all(isinstance(value, int) for value in distinct)  # then the upper edge is no longer in the bin
    names = [f"{_number(low)} to {_number(high - whole)}" for low, high in pairwise(edges.tolist())]
    return Chart(title, unit, tuple(Bar(*item) for item in zip(names, zip(*series, strict=True), strict=True)))


def _edges(values: Sequence[float]) -> NDArray[np.float64]:
    """Return the edges of bins of equal width; of whole numbers, each bin holds equally many."""
    if not all(isinstance(value, int) for value in values):
        return np.histogram_bin_edges(values, bins=MAX_BINS)
    low, high = int(min(values)), int(max(values)) + 1
    width = -(-(high - low) // MAX_BINS)
    return np.arange(low, high + width, width).astype(np.float64)


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def summarise(index: Index, rows: Sequence[Row], detectors: Sequence[str]) -> dict[str, Any]:
    """Return what the page shows, apart from images."""
    label_of = {clip.id: clip.label for clip in index.clips}
    read = [row for row in rows if row["media"]]
    looked = [row for row in read if row["frames"]]
    suspicions = find_suspicions(index, rows)
    return {
        "dataset": index.dataset,
        "root": str(index.root),
        "clips": len(index.clips),
        "hours": sum(row["media"]["duration_seconds"] for row in read) / 3600,
        "gigabytes": sum(row["media"]["size_bytes"] for row in read) / 1e9,
        "labels": Counter(clip.label or "unlabelled" for clip in index.clips),
        "constants": constant_scores(index.clips),
        "groups": _groups(index.clips),
        "family_chart": _family_chart(index.clips),
        "faults": [str(fault) for fault in index.faults],
        "broken": [row for row in rows if row["status"] != "ok"],
        "suspicions": suspicions,
        "duplicates": find_duplicates(rows),
        "media_values": _media_values(read, label_of),
        "media_charts": _media_charts(read, label_of),
        "looked": len(looked),
        "frames_looked": sum(len(row["frames"]) for row in looked),
        "face_charts": _face_charts(looked, label_of),
        "detectors": _compare_detectors(looked, detectors),
        "doubts": {
            word: (text, sum(word in face["doubts"] for row in looked for face in row["faces"]))
            for word, text in DOUBTS.items()
        },
        "faces": sum(len(row["faces"]) for row in looked),
    }


def constant_scores(clips: Sequence[Clip]) -> dict[str, float]:
    """Return the log loss of answers that look at nothing, so that a model's can be read beside them."""
    labels = np.array([clip.label == "fake" for clip in clips if clip.label], np.float64)
    if not len(labels):
        return {}
    share = float(labels.mean())
    answers = {"0.5 always": 0.5, f"the share of fakes, {share:.2f}, always": share}
    return {name: log_loss(labels, np.full(len(labels), answer)) for name, answer in answers.items()}


def find_duplicates(rows: Sequence[Row]) -> list[list[str]]:
    """Return groups of clips whose files are the same to the last byte, as ids."""
    by_hash: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if row["media"]:
            by_hash[row["media"]["sha256"]].append(row["id"])
    return sorted(ids for ids in by_hash.values() if len(ids) > 1)


def find_suspicions(index: Index, rows: Sequence[Row]) -> dict[str, list[str]]:
    """Say what is odd about single clips, by id: each sentence is a reason to look, not a fault."""
    row_of = {row["id"]: row for row in rows}
    read = [row for row in rows if row["media"]]
    with_sound = sum(row["media"]["audio"] is not None for row in read)
    label_of = {clip.id: clip.label for clip in index.clips}
    odd: dict[str, list[str]] = {}
    for clip in index.clips:
        row = row_of[clip.id]
        if row["media"]:
            found = _oddities(row, with_sound > 0.8 * len(read))
            original = row_of.get(clip.original or "")
            if original and original["media"]:
                found += _pair_oddities(row["media"], original["media"])
            if found:
                odd[clip.id] = found
    for ids in find_duplicates(rows):
        if {"real", "fake"} <= {label_of[i] for i in ids}:
            for i in ids:
                odd.setdefault(i, []).append("the same file is labelled real and fake")
    return odd


def _oddities(row: Row, others_have_sound: bool) -> list[str]:
    media, found = row["media"], list(row["oddities"])
    if len(row["frames"]) < row["asked"]:
        found.append(f"{row['asked'] - len(row['frames'])} of {row['asked']} frames cannot be decoded")
    if media["cut_short"]:
        found.append(
            f"the file is cut short: its header promises more than the {media['frames']} frames that are there"
        )
    elif media["frames_claimed"] and abs(media["frames_claimed"] - media["frames"]) > 1:
        found.append(f"the header claims {media['frames_claimed']} frames, {media['frames']} are there")
    if media["duration_seconds"] < 1:
        found.append(f"only {media['duration_seconds']:.2f} s long")
    if not 0.9 < media["sample_aspect_ratio"] < 1.1:
        found.append(f"pixels are not square ({media['sample_aspect_ratio']:.2f})")
    if media["audio"] is None and others_have_sound:
        found.append("silent, while nearly all others have sound")
    if media["audio"] and abs((media["audio"]["start_seconds"] or 0) - (media["start_seconds"] or 0)) > 0.1:
        found.append("sound and picture start more than 0.1 s apart")
    if row["frames"] and not row["faces"]:
        found.append(f"no face in {len(row['frames'])} frames")
    return found


def _pair_oddities(fake: Mapping[str, Any], original: Mapping[str, Any]) -> list[str]:
    found = []
    if (fake["width"], fake["height"]) != (original["width"], original["height"]):
        sizes = [f"{media['width']}x{media['height']}" for media in (fake, original)]
        found.append(f"frames of {sizes[0]}, its original's are {sizes[1]}: the pair is not aligned")
    if abs(fake["frames"] - original["frames"]) > 1:
        found.append(f"{fake['frames']} frames, its original has {original['frames']}")
    if fake["sha256"] == original["sha256"]:
        found.append("the same file as its original")
    return found


def _groups(clips: Sequence[Clip]) -> dict[str, list[Bar]]:
    """Return clips by method, part, split and compression, each where the dataset has it."""
    keys: dict[str, Callable[[Clip], Any]] = {
        "Method": lambda clip: clip.method,
        "Compression": lambda clip: clip.compression,
        "Split": lambda clip: clip.split,
        "Part": lambda clip: clip.part,
    }
    groups = {}
    for name, key in keys.items():
        chart = distribution(name, "", ((key(clip), clip.label) for clip in clips))
        if len(chart.bars) > 1:
            groups[name] = _most_frequent(chart.bars, 60)
    return groups


def _family_chart(clips: Sequence[Clip]) -> Chart:
    fakes = Counter(clip.original for clip in clips if clip.original)
    counts = ((fakes[clip.id], "real") for clip in clips if clip.label == "real")
    return distribution("Fakes made from an original", "fakes", counts)


def _media_values(read: Sequence[Row], label_of: Mapping[str, str | None]) -> dict[str, list[Bar]]:
    """Return how often each container, codec, ... occurs, most frequent first."""
    facts: dict[str, Callable[[dict[str, Any]], Any]] = {
        "Container": lambda media: media["container"],
        "Video codec": lambda media: media["codec"],
        "Pixel format": lambda media: media["pixel_format"],
        "Frame size": lambda media: f"{media['width']} x {media['height']}",
        "Rotation": lambda media: f"{media['rotation_degrees']} degrees" + (", mirrored" if media["mirrored"] else ""),
        "Encoder": lambda media: media["encoder"] or "not named",
        "Audio codec": lambda media: media["audio"]["codec"] if media["audio"] else "no sound",
        "Audio channels": lambda media: str(media["audio"]["channels"]) if media["audio"] else "no sound",
        "Audio sample rate": lambda media: f"{media['audio']['sample_rate_hz']} Hz" if media["audio"] else "no sound",
    }
    values = {}
    for name, fact in facts.items():
        bars = distribution(name, "", ((fact(row["media"]), label_of[row["id"]]) for row in read)).bars
        values[name] = _most_frequent(sorted(bars, key=lambda bar: (-sum(bar.counts), bar.name)), 12)
    return values


def _most_frequent(bars: Sequence[Bar], count: int) -> list[Bar]:
    """Return the first bars, and one for all others together."""
    rest = bars[count:]
    if not rest:
        return list(bars)
    real, fake, unlabelled = (sum(bar.counts[i] for bar in rest) for i in range(3))
    return [*bars[:count], Bar(f"{len(rest)} others", (real, fake, unlabelled))]


def _media_charts(read: Sequence[Row], label_of: Mapping[str, str | None]) -> list[Chart]:
    """Return the notebook's six distributions, and the sound's bit rate."""
    facts: dict[str, tuple[str, Callable[[dict[str, Any]], Any]]] = {
        "Frame rate": ("frames a second", lambda media: media["frame_rate"] and round(media["frame_rate"], 3)),
        "Duration": ("seconds", lambda media: round(media["duration_seconds"], 2)),
        "Width": ("pixels", lambda media: media["width"]),
        "Height": ("pixels", lambda media: media["height"]),
        "Frames": ("frames", lambda media: media["frames"]),
        "Video bit rate": ("kilobits a second", lambda media: media["bit_rate"] and round(media["bit_rate"] / 1000)),
        "Audio bit rate": (
            "kilobits a second",
            lambda media: media["audio"] and media["audio"]["bit_rate"] and round(media["audio"]["bit_rate"] / 1000),
        ),
    }
    return [
        chart
        for title, (unit, fact) in facts.items()
        if (chart := distribution(title, unit, ((fact(row["media"]), label_of[row["id"]]) for row in read))).bars
    ]


def _face_charts(looked: Sequence[Row], label_of: Mapping[str, str | None]) -> list[Chart]:
    per_frame, sides, confidences = [], [], []
    for row in looked:
        label = label_of[row["id"]]
        counts = Counter(face["frame"] for face in row["faces"])
        per_frame += [(counts[frame], label) for frame in row["frames"]]
        for face in row["faces"]:
            found = next(iter(face["found"].values()))
            sides.append((round(side_px(found)), label))
            confidences.append((found["confidence"], label))
    return [
        distribution("Faces in a frame", "faces", per_frame),
        distribution("Longer side of a face", "pixels", sides),
        distribution("Confidence", "of the first detector that found it", confidences),
    ]


def _compare_detectors(looked: Sequence[Row], detectors: Sequence[str]) -> list[dict[str, Any]]:
    """Return for each detector what it found, and how much of that others found too."""
    frames = sum(len(row["frames"]) for row in looked)
    table = []
    for name in detectors:
        own = [(row["id"], face) for row in looked for face in row["faces"] if name in face["found"]]
        seen = len({(i, face["frame"]) for i, face in own})
        table.append(
            {
                "name": name,
                "faces": len(own),
                "frames_with_faces": seen / frames if frames else 0.0,
                "median_side_px": float(np.median([side_px(f["found"][name]) for _, f in own])) if own else None,
                "confirmed": sum(face["votes"] > 1 for _, face in own) / len(own) if own else None,
                "doubtful": sum(bool(face["doubts"]) for _, face in own) / len(own) if own else None,
            }
        )
    return table
