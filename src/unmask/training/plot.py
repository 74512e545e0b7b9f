"""The loss of a run over its epochs, with the epochs that are worth a place in an ensemble."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from unmask.errors import UsageError
from unmask.html import render
from unmask.storage.atomic import write_file

FAKE_WEIGHT = 1.4
CANDIDATES, FIRST_EPOCH = 5, 17


def read_epochs(run: Path) -> list[dict[str, Any]]:
    """Return the validated epochs of a run's log; of an epoch that ran twice, the later one.

    Raises:
        UsageError: There is no log, or no epoch in it.
    """
    path = run / "log.jsonl"
    try:
        events = [json.loads(line) for line in path.read_text().splitlines() if line]
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read the log of {run}: {error}") from error
    epochs = {event["epoch"]: event for event in events if event.get("event") == "epoch" and "loss" in event}
    if not epochs:
        raise UsageError(f"{path} tells of no validated epoch yet")
    return [epochs[number] for number in sorted(epochs)]


def weighted_loss(epoch: dict[str, Any], fake_weight: float = FAKE_WEIGHT) -> float:
    """Return (fake_weight x loss on fakes + loss on reals) / 2. Source: selimsef/dfdc_deepfake_challenge, plot_loss."""
    return (fake_weight * (epoch["fake_loss"] or 0.0) + (epoch["real_loss"] or 0.0)) / 2


def candidate_epochs(losses: list[float], first: int = FIRST_EPOCH) -> list[int]:
    """Return the positions of the lowest losses, at most five, those of early epochs dropped.

    Source: selimsef/dfdc_deepfake_challenge, plot_loss: of the five lowest, those with a position above 16.
    """
    lowest = sorted(range(len(losses)), key=lambda i: (losses[i], i))[:CANDIDATES]
    return sorted(i for i in lowest if i >= first)


def write_plot(run: Path, page: Path, fake_weight: float = FAKE_WEIGHT) -> list[int]:
    """Draw the losses of a run as a page and return the candidate epochs.

    Raises:
        UsageError: The run has no validated epoch.
    """
    epochs = read_epochs(run)
    weighted = [weighted_loss(epoch, fake_weight) for epoch in epochs]
    chosen = candidate_epochs(weighted)
    top = max([*weighted, *(epoch[name] or 0.0 for epoch in epochs for name in ("real_loss", "fake_loss"))]) or 1.0
    step = 600 / max(1, len(epochs) - 1)

    def points(values: list[float]) -> list[tuple[float, float]]:
        return [(round(i * step, 1), round(200 * (1 - value / top), 1)) for i, value in enumerate(values)]

    lines = {"weighted": weighted} | {
        name: [epoch[key] or 0.0 for epoch in epochs] for name, key in (("reals", "real_loss"), ("fakes", "fake_loss"))
    }
    content = render(
        "unmask.training",
        "training.html.j2",
        run=str(run),
        epochs=epochs,
        fake_weight=fake_weight,
        top=top,
        lines={name: points(values) for name, values in lines.items()},
        marks=[(*points(weighted)[i], epochs[i]["epoch"], weighted[i]) for i in chosen],
    )
    write_file(page, content)
    return [epochs[i]["epoch"] for i in chosen]
