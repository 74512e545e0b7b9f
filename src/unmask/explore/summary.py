"""Summarise an exploration: counts, distributions, and what looks wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unmask.datasets.index import Clip, Index
from unmask.explore.agreement import DOUBTS, Vote
from unmask.explore.records import ExploredClip
from unmask.explore.suspicions import find_duplicates, find_suspicions
from unmask.explore.tables import mean_size_px
from unmask.metrics import log_loss
from unmask.report.words import SIGNATURES
from unmask.types import MediaFacts

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
    """What is counted."""
    unit: str
    """Unit of the values; empty for names."""
    bars: tuple[Bar, ...]
    """One for each value, or for each bin of values."""

    @property
    def highest(self) -> int:
        """The count of the largest bar, at least 1."""
        return max([1, *(sum(bar.counts) for bar in self.bars)])


@dataclass(frozen=True, slots=True)
class DetectorSummary:
    """What one detector found, and how much of that other detectors found too."""

    name: str
    """The detector."""
    faces: int
    """Number of faces that it found."""
    frames_with_faces: float
    """Share of the frames in which it found a face, 0 to 1."""
    frames_without_face: int
    """Number of frames in which it found none."""
    mean_width_px: float | None
    """Mean width of its boxes in pixels; None when it found nothing."""
    mean_height_px: float | None
    """Mean height of its boxes in pixels; None when it found nothing."""
    median_side_px: float | None
    """Median of the longer sides of its boxes in pixels; None when it found nothing."""
    confirmed: float | None
    """Share of its faces that another detector found too, 0 to 1; None when it found nothing."""
    doubtful: float | None
    """Share of its faces that are doubtful, 0 to 1; None when it found nothing."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What the page of an exploration shows, apart from images."""

    dataset: str
    """Name of the reader that understood it."""
    root: str
    """Folder of the dataset."""
    clips: int
    """Number of clips."""
    hours: float
    """Length of all clips that can be read."""
    gigabytes: float
    """Size of these, in 10^9 bytes."""
    labels: Counter[str]
    """Number of clips by label, of `SERIES`."""
    constants: dict[str, float]
    """Log loss of answers that do not depend on the clip."""
    groups: dict[str, list[Bar]]
    """Clips by method, compression, split and part, where the dataset has them."""
    family_chart: Chart
    """Fakes made from an original."""
    without_original: int
    """Number of fakes whose original is not in the dataset."""
    faults: list[str]
    """What is wrong with the dataset's description."""
    broken: list[ExploredClip]
    """Clips that cannot be read."""
    suspicions: dict[str, list[str]]
    """Id -> what is odd about a clip."""
    duplicates: list[list[str]]
    """Ids of clips that are the same file."""
    media_values: dict[str, list[Bar]]
    """How often each container, codec and so on occurs."""
    media_charts: list[Chart]
    """Distributions of frame rate, duration and so on."""
    looked: int
    """Number of clips that were searched for faces."""
    frames_looked: int
    """Number of frames that were searched for faces."""
    face_charts: list[Chart]
    """Distributions of what was found in these."""
    detectors: list[DetectorSummary]
    """The detectors beside each other."""
    doubts: dict[str, tuple[str, int]]
    """Doubt -> its sentence, and number of faces."""
    faces: int
    """Number of faces."""


_MAX_WHOLE = 1 << 52
"""Larger whole numbers, as a header may claim, are counted like floating ones."""


def distribution(title: str, unit: str, values: Iterable[tuple[Any, str | None]]) -> Chart:
    """Count values by label: one bar for each where there are few, or bins of equal width.

    Args:
        title: What is counted.
        unit: Unit of the values; empty for names.
        values: Value and label; values that are None are left out.
    """
    pairs = [(value, label or "unlabelled") for value, label in values if value is not None]
    distinct = sorted({value for value, _ in pairs})
    if len(distinct) <= 12 or not all(isinstance(value, (int, float)) for value in distinct):
        counts = Counter(pairs)
        bars = [Bar(_number(value), tuple(counts[value, name] for name in SERIES)) for value in distinct]  # type: ignore[arg-type]
        return Chart(title, unit, tuple(bars))
    edges = _edges([value for value, _ in pairs])
    series = [
        np.histogram(np.array([v for v, label in pairs if label == name], np.float64), edges)[0].tolist()
        for name in SERIES
    ]
    whole = all(isinstance(value, int) for value in distinct)  # then the upper edge is no longer in the bin
    names = [f"{_number(low)} to {_number(high - whole)}" for low, high in pairwise(edges.tolist())]
    return Chart(title, unit, tuple(Bar(*item) for item in zip(names, zip(*series, strict=True), strict=True)))


def _edges(values: Sequence[float]) -> NDArray[np.float64]:
    """Return the edges of bins of equal width; of whole numbers, each bin holds equally many."""
    is_whole = all(isinstance(value, int) and abs(value) < _MAX_WHOLE for value in values)
    if not is_whole:
        return np.histogram_bin_edges(np.array(values, np.float64), bins=MAX_BINS)
    low, high = int(min(values)), int(max(values)) + 1
    width = -(-(high - low) // MAX_BINS)
    return np.arange(low, high + width, width).astype(np.float64)


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def summarise(index: Index, explored: Sequence[ExploredClip], detectors: Sequence[str]) -> Summary:
    """Return what the page shows, apart from images."""
    label_of = {clip.id: clip.label for clip in index.clips}
    media = {found.id: found.media for found in explored if found.media}
    labelled = [(facts, label_of[name]) for name, facts in media.items()]
    declared = [(_declared(found), label_of[found.id]) for found in explored if found.media]
    searched = [found for found in explored if found.media and found.frames]
    votes = [vote for found in searched for vote in found.faces]
    return Summary(
        dataset=index.dataset,
        root=str(index.root),
        clips=len(index.clips),
        hours=sum(facts.duration_seconds for facts in media.values()) / 3600,
        gigabytes=sum(facts.size_bytes for facts in media.values()) / 1e9,
        labels=Counter(clip.label or "unlabelled" for clip in index.clips),
        constants=constant_scores(index.clips),
        groups=_groups(index.clips),
        family_chart=_family_chart(index.clips),
        without_original=sum(bool(clip.original) and clip.original not in label_of for clip in index.clips),
        faults=[str(fault) for fault in index.faults],
        broken=[found for found in explored if found.status != "ok"],
        suspicions=find_suspicions(index, explored),
        duplicates=find_duplicates(explored),
        media_values=_media_values(labelled) | {"Declared by the file": _most_frequent_first("", declared)},
        media_charts=_media_charts(labelled),
        looked=len(searched),
        frames_looked=sum(len(found.frames) for found in searched),
        face_charts=_face_charts(searched, label_of),
        detectors=[_summarise_detector(name, searched) for name in detectors],
        doubts={name: (text, sum(name in vote.doubts for vote in votes)) for name, text in DOUBTS.items()},
        faces=len(votes),
    )


def constant_scores(clips: Sequence[Clip]) -> dict[str, float]:
    """Return the log loss of answers that look at nothing, so that a model's can be read beside them."""
    labels = np.array([clip.label == "fake" for clip in clips if clip.label], np.float64)
    if not len(labels):
        return {}
    share = float(labels.mean())
    answers = {"0.5 always": 0.5, f"the share of fakes, {share:.2f}, always": share}
    return {name: log_loss(labels, np.full(len(labels), answer)) for name, answer in answers.items()}


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
    """Count the fakes of each original, whether that is in the dataset or not."""
    fakes = Counter(clip.original for clip in clips if clip.original)
    originals = {clip.id for clip in clips if clip.label == "real"} | fakes.keys()
    return distribution("Fakes made from an original", "fakes", ((fakes[name], "real") for name in originals))


_Labelled = Sequence[tuple[MediaFacts, str | None]]
"""Media facts and label of each clip that can be read."""


def _media_values(labelled: _Labelled) -> dict[str, list[Bar]]:
    """Return how often each container, codec and so on occurs, most frequent first."""
    facts: dict[str, Callable[[MediaFacts], str]] = {
        "Container": lambda media: media.container,
        "Video codec": lambda media: media.codec,
        "Pixel format": lambda media: media.pixel_format,
        "Frame size": lambda media: f"{media.width} x {media.height}",
        "Rotation": lambda media: f"{media.rotation_degrees} degrees" + (", mirrored" if media.mirrored else ""),
        "Encoder": lambda media: media.encoder or "not named",
        "Audio codec": lambda media: media.audio.codec if media.audio else "no sound",
        "Audio channels": lambda media: str(media.audio.channels) if media.audio else "no sound",
        "Audio sample rate": lambda media: f"{media.audio.sample_rate_hz} Hz" if media.audio else "no sound",
    }
    values = {}
    for name, fact in facts.items():
        values[name] = _most_frequent_first(name, ((fact(media), label) for media, label in labelled))
    return values


def _declared(found: ExploredClip) -> str:
    """Return what matters most of what a clip declares of itself."""
    if not found.declared:
        return "nothing"
    label = found.declared[0]
    signature = SIGNATURES.get(label.signature or "", "")
    return f"{label.says.replace('_', ' ')} ({label.scheme.replace('_', ' ')}{signature})"


def _most_frequent_first(name: str, values: Iterable[tuple[str, str | None]]) -> list[Bar]:
    bars = distribution(name, "", values).bars
    return _most_frequent(sorted(bars, key=lambda bar: (-sum(bar.counts), bar.name)), 12)


def _most_frequent(bars: Sequence[Bar], count: int) -> list[Bar]:
    """Return the first bars, and one for all others together."""
    rest = bars[count:]
    if not rest:
        return list(bars)
    real, fake, unlabelled = (sum(bar.counts[i] for bar in rest) for i in range(3))
    return [*bars[:count], Bar(f"{len(rest)} others", (real, fake, unlabelled))]


def _media_charts(labelled: _Labelled) -> list[Chart]:
    """Return the notebook's six distributions, and the bit rate of the sound."""
    facts: dict[str, tuple[str, Callable[[MediaFacts], float | None]]] = {
        "Frame rate": ("frames a second", lambda media: media.frame_rate and round(media.frame_rate, 3)),
        "Duration": ("seconds", lambda media: round(media.duration_seconds, 2)),
        "Width": ("pixels", lambda media: media.width),
        "Height": ("pixels", lambda media: media.height),
        "Frames": ("frames", lambda media: media.frames),
        "Video bit rate": ("kilobits a second", lambda media: media.bit_rate and round(media.bit_rate / 1000)),
        "Audio bit rate": ("kilobits a second", _audio_kilobits),
    }
    return [
        chart
        for title, (unit, fact) in facts.items()
        if (chart := distribution(title, unit, ((fact(media), label) for media, label in labelled))).bars
    ]


def _audio_kilobits(media: MediaFacts) -> float | None:
    return round(media.audio.bit_rate / 1000) if media.audio and media.audio.bit_rate else None


def _face_charts(searched: Sequence[ExploredClip], label_of: Mapping[str, str | None]) -> list[Chart]:
    per_video, per_frame, widths, heights, confidences = [], [], [], [], []
    for found in searched:
        label = label_of[found.id]
        counts = Counter(vote.frame_index for vote in found.faces)
        per_video.append((max(counts.values(), default=0), label))
        per_frame += [(counts[frame], label) for frame in found.frames]
        sizes = [mean_size_px([vote.face]) for vote in found.faces]
        widths += [(round(width), label) for width, _ in sizes]
        heights += [(round(height), label) for _, height in sizes]
        confidences += [(vote.face.confidence, label) for vote in found.faces]
    return [
        distribution("Faces in a video", "most in one frame", per_video),
        distribution("Faces in a frame", "faces", per_frame),
        distribution("Width of a face", "pixels", widths),
        distribution("Height of a face", "pixels", heights),
        distribution("Confidence", "of the first detector that found it", confidences),
    ]


def _summarise_detector(name: str, searched: Sequence[ExploredClip]) -> DetectorSummary:
    frames = sum(len(found.frames) for found in searched)
    own: list[tuple[str, Vote]] = [(found.id, vote) for found in searched for vote in found.faces if name in vote.faces]
    seen = len({(i, vote.frame_index) for i, vote in own})
    width, height = mean_size_px([vote.faces[name] for _, vote in own]) if own else (None, None)
    return DetectorSummary(
        name=name,
        faces=len(own),
        frames_with_faces=seen / frames if frames else 0.0,
        frames_without_face=frames - seen,
        mean_width_px=width,
        mean_height_px=height,
        median_side_px=float(np.median([vote.faces[name].side_px for _, vote in own])) if own else None,
        confirmed=sum(vote.votes > 1 for _, vote in own) / len(own) if own else None,
        doubtful=sum(bool(vote.doubts) for _, vote in own) / len(own) if own else None,
    )
