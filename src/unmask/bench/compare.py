"""From kept answers to results: the models that take part, each on each dataset."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from unmask.bench.dataset import BenchDataset
from unmask.bench.deepsafe import read_matrix, rows_of, write_matrix
from unmask.bench.measure import Result, measure
from unmask.bench.protocol import protocol_of, protocol_of_file
from unmask.bench.run import Entrant, Job
from unmask.bench.store import Predictions
from unmask.errors import UsageError
from unmask.scan.scanner import Scanner

DEEPSAFE = "deepsafe"
"""Name of the folder of tables for deepsafe-bench."""


def open_entrants(models: Sequence[str], frames: int, **options: Any) -> list[Entrant]:
    """Load models; each looks at ``frames`` frames of a clip and no closer, as the field's tables have it.

    Args:
        models: Names or folders of models, each once; an ensemble is named ``a+b``.
        frames: Frames of each clip.
        options: Fields of `unmask.ScanOptions`.

    Raises:
        ModelError: A model is missing or damaged.
        UsageError: Two are called the same.
    """
    entrants: list[Entrant] = []
    for text in models:
        members = text.split("+")
        name = "+".join(Path(member).name or member for member in members)
        if any(entrant.name == name for entrant in entrants):
            raise UsageError(f"two models are called {name!r}; name each once, or copy one to a folder of another name")
        entrants.append(Entrant(name, Scanner(members, frames=frames, max_frames=frames, pictures=False, **options)))
    return entrants


def compare(
    entrants: Sequence[Entrant], datasets: Sequence[BenchDataset], kept: Predictions, repeats: int, seed: int
) -> list[Result]:
    """Measure every model on every dataset from what is kept of the clips as they are.

    Args:
        entrants: The models.
        datasets: Their clips, all of which `unmask.bench.run.run` has scanned.
        kept: The answers.
        repeats: Resamples for each interval.
        seed: Seed of the resamples.
    """
    results = []
    for entrant in entrants:
        for dataset in datasets:
            keys = {clip.truth.name: Job(dataset.name, clip).key(entrant) for clip in dataset.clips}
            predictions = [kept.prediction(key, name) for name, key in keys.items()]
            statuses = Counter(str(kept.row(key)["status"]) for key in keys.values())
            protocol = protocol_of(entrant.scanner, dataset, repeats, seed)
            results.append(
                measure(
                    entrant.name, dataset.name, predictions, dataset.labels, protocol,
                    statuses=statuses, repeats=repeats, seed=seed,
                )
            )  # fmt: skip
    return results


def compare_matrix(path: Path, name: str, repeats: int, seed: int) -> list[Result]:
    """Measure every model of a table of deepsafe-bench, by modality.

    Args:
        path: The table.
        name: What the tables call it; the modality is added.
        repeats: Resamples for each interval.
        seed: Seed of the resamples.

    Raises:
        UsageError: It is no such table.
    """
    protocol = protocol_of_file(path, hashlib.sha256(path.read_bytes()).hexdigest(), repeats, seed)
    results = []
    for matrix in read_matrix(path):
        for model, predictions in matrix.predictions.items():
            said = protocol | {"model": model, "modality": matrix.modality}
            about = (model, f"{name} {matrix.modality}", predictions, matrix.labels, said)
            results.append(measure(*about, repeats=repeats, seed=seed))
    return results


def write_matrices(
    entrants: Sequence[Entrant], datasets: Sequence[BenchDataset], kept: Predictions, folder: Path
) -> None:
    """Write ``deepsafe/DATASET.csv.gz`` for each dataset, which deepsafe-bench reads."""
    (folder / DEEPSAFE).mkdir(exist_ok=True)
    for dataset in datasets:
        said = {}
        for entrant in entrants:
            keys = [(clip.truth.name, Job(dataset.name, clip).key(entrant)) for clip in dataset.clips]
            said[entrant.name] = rows_of(
                [(kept.prediction(key, name), float(kept.row(key)["elapsed_seconds"])) for name, key in keys]
            )
        write_matrix(dataset, said, folder / DEEPSAFE / f"{re.sub(r'[^A-Za-z0-9.+-]', '_', dataset.name)}.csv.gz")
