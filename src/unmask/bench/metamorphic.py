"""Relations between the number of a clip and that of a copy, which hold whatever the true label is.

What leaves every packet and its time as they are leaves the number as it is; what shows the same face mirrored, turned
in its file, or hardly compressed moves it by 0.03 at most.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unmask.augment.copies import Step
from unmask.bench.dataset import BenchDataset
from unmask.bench.outputs import Extra
from unmask.bench.rewriting import LOSSLESS, moov_is_first, remux, rewrite
from unmask.bench.run import NO_COPY, Copy, Entrant, Job
from unmask.bench.store import Predictions
from unmask.bench.tables import DASH, Table
from unmask.errors import UsageError
from unmask.types import ImageHW3

TOLERANCE = 0.03
ROUNDED_TIMES = 0.001
"""What Matroska may change: it keeps times in whole milliseconds, and the search for passages uses them."""
_NAMES_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Relation:
    """One copy and how far its number may lie from that of the clip."""

    copy: Copy
    """Writes the copy."""
    tolerance: float
    """Greatest difference, 0 to 1; 0 for the same number."""


def _renamed(source: Path, folder: Path) -> Path:
    if source.is_dir():
        return Path(shutil.copytree(source, folder / "another name"))
    return Path(shutil.copy(source, folder / f"another name, (1){source.suffix}"))


def _remuxed(source: Path, folder: Path) -> Path:
    return remux(source, folder / ("copy.mp4" if source.suffix.lower() in (".mov", ".mkv") else "copy.mov"))


def _in_matroska(source: Path, folder: Path) -> Path:
    return remux(source, folder / "copy.mkv")


def _moved_moov(source: Path, folder: Path) -> Path:
    if source.is_dir():
        raise UsageError("it is a folder of frames")
    options = {} if moov_is_first(source) else {"movflags": "faststart"}
    return remux(source, folder / "copy.mp4", options=options)


def _with_sound(source: Path, folder: Path) -> Path:
    return remux(source, folder / f"copy{source.suffix}", sound=True)


def _mirror(image_HW3: ImageHW3) -> ImageHW3:
    return np.ascontiguousarray(image_HW3[:, ::-1])


def _mirrored(source: Path, folder: Path) -> Path:
    return rewrite(source, folder / "copy.mp4", Step("libx264", LOSSLESS, _mirror))


def _crf_18(source: Path, folder: Path) -> Path:
    return rewrite(source, folder / "copy.mp4", Step("libx264", {"crf": "18", "preset": "veryfast"}))


def _turned(source: Path, folder: Path) -> Path:
    return rewrite(source, folder / "copy.mp4", Step("libx264", LOSSLESS), turned=True)


RELATIONS: dict[str, Relation] = {
    "renamed": Relation(_renamed, 0.0),
    "other container": Relation(_remuxed, 0.0),
    "in Matroska": Relation(_in_matroska, ROUNDED_TIMES),
    "moved moov": Relation(_moved_moov, 0.0),
    "added sound": Relation(_with_sound, 0.0),
    "mirrored": Relation(_mirrored, TOLERANCE),
    "crf 18": Relation(_crf_18, TOLERANCE),
    "turned in the file": Relation(_turned, TOLERANCE),
}
"""Name -> relation."""


@dataclass(frozen=True, slots=True)
class RelationResult:
    """One model on one dataset under one relation."""

    model: str
    """Name of the model."""
    dataset: str
    """Name of the dataset."""
    relation: str
    """Name in `RELATIONS`."""
    tolerance: float
    """Greatest difference that is allowed."""
    tried: int
    """Clips that have a number and of which a copy can be made."""
    worst: float | None
    """Greatest difference; None where no copy has a number."""
    broken: tuple[str, ...]
    """Clips whose copy has a number further away, or none."""
    other_words: int
    """Clips whose copy is called by another word."""
    not_possible: int
    """Clips of which no such copy can be made, such as one with another index of a file that has none."""


def copies_of_relations() -> list[tuple[str, Copy | None]]:
    """Return the relations as cells for `unmask.bench.run.jobs_of`."""
    return [(name, relation.copy) for name, relation in RELATIONS.items()]


def metamorphic(
    entrants: Sequence[Entrant], datasets: Sequence[BenchDataset], kept: Predictions
) -> list[RelationResult]:
    """Check every relation for every model and dataset, from kept answers."""
    return [_check(entrant, dataset, name, kept) for entrant in entrants for dataset in datasets for name in RELATIONS]


def extra_of_relations(results: Sequence[RelationResult]) -> Extra:
    """Return the table and numbers of the relations for the folder of the benchmark."""
    rows = []
    for result in results:
        allowed = "same number" if result.tolerance == 0 else f"within {result.tolerance:g}"
        worst = DASH if result.worst is None else f"{result.worst:.6f}"
        names = ", ".join(result.broken[:_NAMES_SHOWN]) + (", ..." if len(result.broken) > _NAMES_SHOWN else "")
        counts = (str(result.tried), f"{len(result.broken)} {names}".strip(), str(result.other_words))
        rows.append((result.model, result.dataset, result.relation, allowed, worst, *counts, str(result.not_possible)))
    header = ("Method", "Dataset", "Copy", "Allowed", "Worst", "Clips", "Broken", "Other word", "Not possible")
    table = Table("Relations that must hold", header, tuple(rows))
    return Extra((table,), facts={"metamorphic": [asdict(result) for result in results]})


def _check(entrant: Entrant, dataset: BenchDataset, relation: str, kept: Predictions) -> RelationResult:
    allowed, broken, differences = RELATIONS[relation].tolerance, [], []
    impossible = words = tried = 0
    for clip in dataset.clips:
        plain = kept.row(Job(dataset.name, clip).key(entrant))
        copy: dict[str, Any] = kept.row(Job(dataset.name, clip, relation).key(entrant))
        if plain["fake_probability"] is None:
            continue
        if any(str(reason).startswith(NO_COPY) for reason in copy["reasons"]):
            impossible += 1
            continue
        tried += 1
        words += plain["label"] != copy["label"]
        if copy["fake_probability"] is None:
            broken.append(clip.truth.name)
            continue
        differences.append(abs(plain["fake_probability"] - copy["fake_probability"]))
        if differences[-1] > allowed + 1e-9:
            broken.append(clip.truth.name)
    worst = max(differences, default=None)
    return RelationResult(entrant.name, dataset.name, relation, allowed, tried, worst, tuple(broken), words, impossible)
