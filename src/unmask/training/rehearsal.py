"""Try a training before hours are spent on it: can its data be read, does it fit into memory, how long will it take?

    found = rehearse(load_recipe(Path("recipes/tiny.toml")), Path("prepared"), Path("runs/tiny"))
    print(found.hours)

Nothing is written to the folder of the run.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from unmask.errors import UnmaskError, UsageError
from unmask.training.cluster import Cluster
from unmask.training.load import load_data
from unmask.training.loop import Trainer
from unmask.training.recipe import Recipe

STEPS = 4
"""Steps that are tried; the first one, in which libraries set themselves up, is not timed."""
SAMPLES = 100
"""Items that are read of each side of the fold."""
FORWARD_SHARE = 1 / 3
"""Of the work of a step: the backward pass costs twice the forward pass."""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a training will need."""

    training_items: int
    """Of one epoch."""
    validation_items: int
    steps: int
    """Optimizer steps of the whole training."""
    step_seconds: float
    """Median of the steps tried, loading included."""
    validations: int
    """Times that the held-out items are scored."""
    hours: float
    """Of the whole training: steps and validations."""
    memory_bytes: int | None
    """Most that this process has used: on the graphics card where it trains there, else of main memory. None where the
    system does not tell."""
    memory_limit_bytes: int | None
    """What the device has, or this machine has to spare; None where that is not known."""
    disk_bytes: int
    """Of all checkpoints: one of each epoch, the last and the best."""
    disk_free_bytes: int
    """Where the run is to be written."""

    @property
    def shortages(self) -> list[str]:
        """What there is too little of, in sentences."""
        found = []
        used, limit = self.memory_bytes, self.memory_limit_bytes
        if used is not None and limit is not None and used > limit:
            found.append("memory does not suffice; lower batch_size, and raise accumulate as much")
        if self.disk_bytes > self.disk_free_bytes:
            found.append("the disk cannot hold the checkpoints; name another --out, or train fewer epochs")
        return found


def rehearse(
    recipe: Recipe,
    data: Path,
    out: Path,
    cluster: Cluster = Cluster(),  # noqa: B008 - frozen
    *,
    workers: int = 0,
) -> Rehearsal:
    """Read a sample of the data, take a few steps and write one checkpoint, to a folder that is deleted again.

    Args:
        recipe: The run.
        data: Its data, as `Trainer` takes them.
        out: Where the run is to be written; it need not exist, and is not made.
        cluster: This process, alone.
        workers: Processes that load items, beside this one.

    Raises:
        UsageError: Data or recipe make no sense, an item cannot be read, or memory ran out.
    """
    items = load_data(data, recipe)
    training, validation = len(items.epoch(0)), items.validation_items()
    numbers = _spread(training)
    _read(items.training_items(0, numbers), range(len(numbers)))
    _read(validation, _spread(len(validation)))
    with tempfile.TemporaryDirectory(prefix="unmask-rehearsal-") as folder:
        try:
            trainer = Trainer(recipe, data, Path(folder), cluster, workers=workers)
            seconds = _time_steps(trainer)
        except torch.OutOfMemoryError as error:
            raise UsageError(
                f"the memory of {cluster.device} does not suffice for batches of {recipe.batch_size}; "
                "lower batch_size, and raise accumulate as much"
            ) from error
        last = Path(folder) / "last"
        checkpoint_bytes = sum(path.stat().st_size for path in last.rglob("*") if path.is_file())
    step_seconds = float(np.median(seconds))
    validations = len({*range(0, recipe.epochs, recipe.validate_every)} | {recipe.epochs})
    item_seconds = step_seconds / (recipe.batch_size * recipe.accumulate)
    validating_seconds = validations * len(validation) * item_seconds * FORWARD_SHARE
    return Rehearsal(
        training_items=training,
        validation_items=len(validation),
        steps=trainer.iterations,
        step_seconds=step_seconds,
        validations=validations,
        hours=(trainer.iterations * step_seconds + validating_seconds) / 3600,
        memory_bytes=_memory_used_bytes(cluster.device),
        memory_limit_bytes=_memory_limit_bytes(cluster.device),
        disk_bytes=checkpoint_bytes * (recipe.epochs + 2),
        disk_free_bytes=shutil.disk_usage(next(place for place in out.absolute().parents if place.is_dir())).free,
    )


def _spread(count: int) -> list[int]:
    """Return numbers of items, spread over all."""
    return sorted({round(place) for place in np.linspace(0, count - 1, min(count, SAMPLES))})


def _read(items: torch.utils.data.Dataset[object], places: range | list[int]) -> None:
    for place in places:
        try:
            items[place]
        except (UnmaskError, OSError, ValueError) as error:
            raise UsageError(f"the data cannot be trained on: {error}; mend or prepare them again") from error


def _time_steps(trainer: Trainer) -> list[float]:
    """Train for a few steps and write a checkpoint; return the seconds of each step but the first."""
    ends: list[float] = []
    for event in trainer.run():
        if event["event"] == "step":
            ends.append(time.monotonic())
            if len(ends) == STEPS:
                trainer.stop()
    return list(np.diff(ends)) or [time.monotonic() - ends[0]]


def _memory_used_bytes(device: str) -> int | None:
    if device != "cpu":
        return int(torch.cuda.max_memory_reserved())
    try:
        import resource
    except ImportError:  # Windows
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most


def _memory_limit_bytes(device: str) -> int | None:
    """Return what the card has, or the main memory that is free, with what this process has by now."""
    if device != "cpu":
        return int(torch.cuda.mem_get_info()[1])
    facts, used = Path("/proc/meminfo"), _memory_used_bytes(device)
    if used is None or not facts.is_file():
        return None
    free_kb = next(int(line.split()[1]) for line in facts.read_text().splitlines() if line.startswith("MemAvailable"))
    return 1024 * free_kb + used
