"""Print what others published beside our numbers, each with its source; ``published.csv`` holds the facts.

They are as their authors state them, with their frames, crops and splits, so they stand beside ours and are not
compared with them by any test.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal, cast

from unmask.bench.dataset import plain_name

_OTHER_NAMES = {
    "CDFv1": ("Celeb-DF-v1", "CelebDFv1", "CDF1"),
    "CDFv2": ("Celeb-DF-v2", "Celeb-DF", "CelebDF", "CDF", "CDF2"),
    "DFD": ("DeepFakeDetection", "GoogleDFD"),
    "DFDC": ("Deepfake Detection Challenge", "DFDC test"),
    "DFDCP": ("DFDC preview", "DFDC-P"),
    "DF-1.0": ("DeeperForensics-1.0", "DeeperForensics"),
    "DFW": ("WildDeepfake", "Deepfake in the wild"),
    "FF++": ("FaceForensics++", "FaceForensics", "FF++ c23"),
    "FFIW": ("FFIW-10K",),
    "UADFV": (),
}
"""Name in the field's tables -> other names of the dataset."""
Level = Literal["video", "frame"]


@dataclass(frozen=True, slots=True)
class Published:
    """One number that somebody published."""

    method: str
    """Name of the method, with its backbone where that tells more."""
    dataset: str
    """Name of the dataset in the field's tables, e.g. ``CDFv2``."""
    level: Level
    """What was counted: clips or frames."""
    auc: float
    """Area under the ROC curve, 0 to 1."""
    trained_on: str
    """What the method was trained on, in words."""
    source: str
    """Where the number stands."""


@cache
def published_numbers() -> tuple[Published, ...]:
    """Return all facts of ``published.csv``, in its order."""
    text = (files("unmask.bench") / "published.csv").read_text(encoding="utf-8")
    return tuple(
        Published(
            row["method"],
            row["dataset"],
            cast(Level, row["level"]),
            float(row["auc"]),
            row["trained_on"],
            row["source"],
        )
        for row in csv.DictReader(text.splitlines())
    )


def field_name(dataset: str) -> str | None:
    """Return the name of a dataset in the field's tables, whatever the user calls it; None for one of one's own."""
    plain = plain_name(dataset)
    for name, others in _OTHER_NAMES.items():
        if plain in map(plain_name, (name, *others)):
            return name
    return None


def beside(datasets: Iterable[str], level: Level) -> dict[str, dict[str, Published]]:
    """Return the published numbers about datasets: method -> name of the dataset as given -> number."""
    found: dict[str, dict[str, Published]] = {}
    for dataset in datasets:
        name = field_name(dataset)
        for fact in published_numbers():
            if fact.dataset == name and fact.level == level:
                found.setdefault(fact.method, {})[dataset] = fact
    return found
