"""Scan the clips of datasets with several models, each clip and copy once, and keep every answer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from unmask.bench.dataset import BenchClip, BenchDataset
from unmask.bench.store import AS_IT_IS, Predictions
from unmask.errors import UnmaskError
from unmask.runtime.parallel import Failure, cores, map_items
from unmask.scan.base import BaseScanner
from unmask.scan.inputs import Input

NO_COPY = "no copy could be made"
"""How the reason begins of a clip of which the copy of a cell cannot be made."""

Copy = Callable[[Path, Path], Path]
"""Writes a changed copy of a clip into a folder, and returns it; raises `UnmaskError` where that cannot be done."""


@dataclass(frozen=True, slots=True)
class Entrant:
    """A model that takes part."""

    name: str
    """As the tables call it."""
    scanner: BaseScanner
    """How it scans."""


@dataclass(frozen=True, slots=True)
class Job:
    """One clip in one cell: the same file for all models."""

    dataset: str
    """Name of the dataset."""
    clip: BenchClip
    """The clip."""
    cell: str = AS_IT_IS
    """What is done to it."""
    copy: Copy | None = None
    """Writes the copy that is scanned; None where that is the clip itself."""

    def key(self, entrant: Entrant) -> str:
        """Return the key of an entrant's row about this, see `Predictions.key`."""
        return Predictions.key(
            entrant.scanner.settings_hash, self.clip.sha256 or str(self.clip.path.resolve()), self.cell
        )


def jobs_of(
    datasets: Sequence[BenchDataset], cells: Sequence[tuple[str, Copy | None]] = ((AS_IT_IS, None),)
) -> list[Job]:
    """Return all jobs of datasets and cells, clip after clip."""
    return [
        Job(dataset.name, clip, cell, copy) for dataset in datasets for clip in dataset.clips for cell, copy in cells
    ]


def run(
    jobs: Sequence[Job], entrants: Sequence[Entrant], kept: Predictions, workers: int | None = None
) -> Iterator[Job]:
    """Scan what is not kept yet; yield each job when all entrants' rows about it are kept.

    Args:
        jobs: What to scan.
        entrants: Who scans it.
        kept: Takes the rows.
        workers: Jobs under way at a time, at least 1; None for one per core.

    Raises:
        ModelError: A model gave something that is not a number.
        OSError: Rows or copies cannot be written.
    """
    stopping = threading.Event()

    def scan(job: Job) -> None:
        open_ones = [entrant for entrant in entrants if job.key(entrant) not in kept]
        if open_ones and not stopping.is_set():
            _scan(job, open_ones, kept)

    for job, done in map_items(scan, jobs, workers or cores(), stopping):
        if isinstance(done, Failure):
            raise done.error
        yield job


def _scan(job: Job, entrants: Sequence[Entrant], kept: Predictions) -> None:
    with TemporaryDirectory(prefix="unmask-bench-") as folder:
        path, failed = job.clip.path, ""
        if job.copy is not None:
            try:
                path = job.copy(path, Path(folder))
            except UnmaskError as error:
                failed = f"{NO_COPY}: {error}"
        for entrant in entrants:
            if failed:
                verdict = entrant.scanner.unscanned(path, failed, "unreadable")
            else:
                item = Input(str(path), path.name, is_frames=path.is_dir())
                verdict = entrant.scanner.scan_input(item)
            row = verdict.to_dict(timing=True)
            kept.add(job.key(entrant), entrant.name, job.dataset, job.clip.truth.name, job.cell, row)
