"""Read the true labels of clips, and find the clip that each prediction is about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from unmask.datasets import Index, read_index
from unmask.datasets.index import ClipLabel, clip_id, parse_label
from unmask.datasets.readers.text import shown
from unmask.evaluation.predictions import Prediction, csv_rows, read_table_text

TRAITS = ("method", "group", "split", "compression", "part", "degradation")
"""What clips are told apart by, where it is known. ``degradation`` says how a copy of a clip was made worse."""


@dataclass(frozen=True, slots=True)
class Truth:
    """One clip whose label is known, or ought to be."""

    name: str
    """Path of the clip, relative to its dataset."""
    label: ClipLabel | None
    """``real``, ``fake``, None when it is not known."""
    source: str
    """The clip that a fake was made from, else the clip itself: clips of one source are no independent samples."""
    traits: Mapping[str, str] = field(default_factory=dict)
    """Name in `TRAITS` -> value, where known."""


class LabelledPrediction(NamedTuple):
    """A prediction, and what is true of its clip."""

    prediction: Prediction
    """What a model predicted."""
    truth: Truth
    """The clip, which has a label."""


@dataclass(frozen=True, slots=True)
class Missing:
    """What could not be measured, by name."""

    abstained: tuple[str, ...]
    """Predictions about labelled clips without a probability."""
    unmatched_predictions: tuple[str, ...]
    """Predictions about no clip that is known, or about which it is not clear."""
    unmatched_labels: tuple[str, ...]
    """Labelled clips without a prediction."""
    unlabelled: tuple[str, ...]
    """Predictions about clips without a label."""

    def __bool__(self) -> bool:
        return bool(self.abstained or self.unmatched_predictions or self.unmatched_labels or self.unlabelled)


@dataclass(frozen=True, slots=True)
class Labels:
    """All that is known of a dataset's clips."""

    clips: tuple[Truth, ...]
    """In the order of the table."""
    faults: tuple[str, ...] = ()
    """What is wrong with the table, in sentences."""


def read_truth(path: Path) -> Labels:
    """Read labels: a CSV, an index.parquet, or a dataset's folder.

    A CSV has the columns ``filename`` (or ``path``, ``file``, ``video``) and ``label`` (real, fake, 0, 1), and where
    known ``original`` and any of `TRAITS`. The clips need not be there.

    Raises:
        UsageError: It cannot be read, or is none of these.
    """
    if path.is_dir() or path.suffix == ".parquet":
        return truth_of_index(read_index(path, follow_links=True))
    name, value, numbered = csv_rows(path, read_table_text(path), ("label",))
    rows = [(line, {key: cell.strip() for key, cell in row.items()}) for line, row in numbered]
    faults = [
        f"{path.name}, line {line}: label {shown(row[value])} is not real, fake, 0 or 1"
        for line, row in rows
        if row[value] and parse_label(row[value]) is None
    ]
    sources = _sources([(row[name], row.get("original", "")) for _, row in rows])
    clips = [
        Truth(row[name], parse_label(row[value]), source, {trait: row[trait] for trait in TRAITS if row.get(trait)})
        for (_, row), source in zip(rows, sources, strict=True)
    ]
    return Labels(tuple(clips), tuple(faults))


def truth_of_index(index: Index) -> Labels:
    """Return what a dataset's index knows."""
    clips = [
        Truth(
            clip.path,
            clip.label,
            clip.original or clip.id,
            {trait: str(v) for trait in TRAITS if (v := getattr(clip, trait, None)) is not None},
        )
        for clip in index.clips
    ]
    return Labels(tuple(clips), tuple(map(str, index.faults)))


def match(names: Sequence[str], known: Sequence[str]) -> dict[int, int]:
    """Find the clip that each prediction is about: position in ``names`` -> position in ``known``.

    First by the whole path, then by ever fewer of its last parts, down to the base name; each time only names that
    occur once on either side count, so nothing is guessed.
    """
    ours, theirs = [_parts(name) for name in names], [_parts(name) for name in known]
    deepest = max((len(parts) for parts in (*ours, *theirs)), default=0)
    found: dict[int, int] = {}
    for depth in range(deepest, 0, -1):
        here, there = _unique(ours, depth), _unique(theirs, depth)
        taken = set(found.values())
        for key in here.keys() & there.keys():
            if here[key] not in found and there[key] not in taken:
                found[here[key]] = there[key]
    return found


def label_predictions(predictions: Sequence[Prediction], truth: Labels) -> tuple[list[LabelledPrediction], Missing]:
    """Return the predictions about labelled clips with their labels, and what has no partner or no probability."""
    clips = truth.clips
    found = match([prediction.name for prediction in predictions], [clip.name for clip in clips])
    taken = set(found.values())
    known = [LabelledPrediction(item, clips[found[i]]) for i, item in enumerate(predictions) if i in found]
    labelled = [pair for pair in known if pair.truth.label is not None]
    return labelled, Missing(
        abstained=tuple(prediction.name for prediction, _ in labelled if prediction.fake_probability is None),
        unmatched_predictions=tuple(item.name for i, item in enumerate(predictions) if i not in found),
        unmatched_labels=tuple(clip.name for i, clip in enumerate(clips) if clip.label and i not in taken),
        unlabelled=tuple(prediction.name for prediction, clip in known if clip.label is None),
    )


def _parts(name: str) -> tuple[str, ...]:
    return PurePosixPath(name.replace("\\", "/")).parts


def _unique(paths: Sequence[tuple[str, ...]], depth: int) -> dict[tuple[str, ...], int]:
    """Return the last ``depth`` parts of each path, where no other path ends like that, and its position."""
    times = Counter(parts[-depth:] for parts in paths)
    return {parts[-depth:]: i for i, parts in enumerate(paths) if times[parts[-depth:]] == 1}


def _sources(rows: Sequence[tuple[str, str]]) -> list[str]:
    """Return the source of each clip, given its name and its original, which may be a path, a file name or a stem."""
    ids = [clip_id(PurePosixPath(name).as_posix()) for name, _ in rows]
    clips = [_parts(_without_suffix(name)) for name, _ in rows]
    ends = [(depth, _unique(clips, depth)) for depth in range(max(map(len, clips), default=0), 0, -1)]

    def source(original: str) -> str:
        parts = _parts(_without_suffix(original))
        return next(
            (ids[unique[end]] for depth, unique in ends if (end := parts[-depth:]) in unique), clip_id(original)
        )

    return [source(original) if original else own for own, (_, original) in zip(ids, rows, strict=True)]


def _without_suffix(name: str) -> str:
    return name.removesuffix(PurePosixPath(name).suffix)
