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
from unmask.datasets.tables import NAME_COLUMNS, Row, column_of, read_table
from unmask.errors import UsageError
from unmask.evaluation.predictions import Prediction, require_even, without_repeats
from unmask.storage.content import content_of_name

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
    """Read labels: a table, an index.parquet, or a dataset's folder.

    A table, see `unmask.datasets.tables.read_table`, has the columns ``filename`` (or another of `NAME_COLUMNS`) and
    ``label`` (real, fake, 0, 1, and other usual words), and where known ``original`` and any of `TRAITS`. The clips
    need not be there. Rows that repeat count once.

    Raises:
        UsageError: It cannot be read, is none of these, or its rows contradict each other.
    """
    if path.is_dir() or path.suffix == ".parquet":
        return truth_of_index(read_index(path, follow_links=True))
    table = read_table(path, (*NAME_COLUMNS, "label", "original", *TRAITS))
    if {"schema_version", "fake_probability", "settings"} <= set(table.columns):
        raise UsageError(f"{path} holds verdicts of unmask, not labels; name the table that says what is true")
    name, _ = column_of(table, NAME_COLUMNS, path), column_of(table, ("label",), path)
    require_even(table, path)
    faults = [
        f"{path.name}, {row.place}: label {shown(row.cells['label'])} is neither real nor fake"
        for row in table.rows
        if row.cells["label"] and parse_label(row.cells["label"]) is None
    ]
    if faults and not any(parse_label(row.cells["label"]) for row in table.rows):
        raise UsageError(f"{path} labels no clip: {faults[0]}; write real or fake, or 0 or 1 where 1 is fake")
    rows, repeated = _without_repeats(table.rows, name, path)
    sources = _sources([(row.cells[name], row.cells.get("original", "")) for row in rows])
    clips = [
        Truth(
            row.cells[name],
            parse_label(row.cells["label"]),
            source,
            {trait: row.cells[trait] for trait in TRAITS if row.cells.get(trait)},
        )
        for row, source in zip(rows, sources, strict=True)
    ]
    return Labels(tuple(clips), (*faults, *repeated))


def _without_repeats(rows: Sequence[Row], name: str, path: Path) -> tuple[list[Row], list[str]]:
    """Return the first labelled row of each clip, and a sentence on each clip that is listed more than once."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(_parts(row.cells[name]), []).append(row)
    kept, texts = [], []
    for group in groups.values():
        labelled = [row for row in group if parse_label(row.cells["label"])] or group
        kept.append(labelled[0])
        if len(group) == 1:
            continue
        clip, places = shown(group[0].cells[name]), ", ".join(row.place for row in group)
        labels = sorted({parse_label(row.cells["label"]) or "" for row in labelled})
        if len(labels) > 1:
            raise UsageError(f"{path} labels {clip} both {' and '.join(labels)} ({places}); keep what is true")
        alike = all(row.cells == group[0].cells for row in group)
        what = "counted once" if alike else f"with other facts beside the label; {labelled[0].place} counts"
        texts.append(f"{path.name}: {clip} is listed {len(group)} times ({places}), {what}")
    return kept, texts


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

    First by the whole path, then by ever fewer of its last parts, down to the base name; then once more without the
    suffixes of videos, where one side leaves them out. Each time only names that occur once on either side count, so
    nothing is guessed.
    """
    found: dict[int, int] = {}
    taken: set[int] = set()
    for with_suffix in (True, False):
        ours, theirs = ([_parts(name if with_suffix else _stem(name)) for name in side] for side in (names, known))
        deepest = max((len(parts) for parts in (*ours, *theirs)), default=0)
        for depth in range(deepest, 0, -1):
            here, there = _unique(ours, depth), _unique(theirs, depth)
            for key in here.keys() & there.keys():
                i, j = here[key], there[key]
                bare = _stem(names[i]) == names[i] or _stem(known[j]) == known[j]
                if i not in found and j not in taken and (with_suffix or bare):
                    found[i] = j
                    taken.add(j)
    return found


def label_predictions(predictions: Sequence[Prediction], truth: Labels) -> tuple[list[LabelledPrediction], Missing]:
    """Return the predictions about labelled clips with their labels, and what has no partner or no probability.

    Predictions that repeat count once.

    Raises:
        UsageError: Two predictions about one clip differ.
    """
    predictions, _ = without_repeats(predictions)
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


def _stem(name: str) -> str:
    """Return a name without its suffix, where that is one of a video."""
    return _without_suffix(name) if content_of_name(name) == "video" else name


def _without_suffix(name: str) -> str:
    return name.removesuffix(PurePosixPath(name).suffix)
