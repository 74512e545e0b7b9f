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
_LOSSES = ("real_loss", "fake_loss")


def read_epochs(run: Path) -> list[dict[str, Any]]:
    """Return the validated epochs of a run's log; of an epoch that ran twice, the later one.

    Args:
        run: Folder of a run, or a log of the challenge winner's training script, see `read_winner_log`.

    Raises:
        UsageError: There is no log, or no epoch in it.
    """
    if run.is_file():
        return read_winner_log(run)
    path = run / "log.jsonl"
    try:
        events = [json.loads(line) for line in path.read_text().splitlines() if line]
        epochs = {int(event["epoch"]): event for event in events if event["event"] == "epoch" and "loss" in event}
        if any(not isinstance(epoch[name], int | float | None) for epoch in epochs.values() for name in _LOSSES):
            raise ValueError("a loss is no number")
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UsageError(f"cannot read the log of {run}: {error}; it is to be as unmask train writes it") from error
    if not epochs:
        raise UsageError(f"{path} tells of no validated epoch yet")
    return [epochs[number] for number in sorted(epochs)]


def read_winner_log(path: Path) -> list[dict[str, Any]]:
    """Return the epochs of a log of the challenge winner's training script, which starts each line with its measure.

    Source: selimsef/dfdc_deepfake_challenge, train.sh and plot_loss.py: ``fake_loss 0.3`` and ``real_loss 0.2``.

    Raises:
        UsageError: It cannot be read, or has no such lines.
    """
    losses: dict[str, list[float]] = {"fake_loss": [], "real_loss": []}
    try:
        for line in path.read_text(errors="replace").splitlines():
            name, _, value = line.strip().partition(" ")
            if name in losses:
                losses[name].append(float(value.split(" ")[-1]))
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read the log {path}: {error}") from error
    pairs = list(zip(losses["fake_loss"], losses["real_loss"], strict=False))  # the last epoch may lack one
    if not pairs:
        raise UsageError(f"{path} has no lines that start with fake_loss and real_loss; name a run or such a log")
    return [
        {"epoch": epoch, "fake_loss": fake, "real_loss": real, "loss": (fake + real) / 2, "auc": None}
        for epoch, (fake, real) in enumerate(pairs)
    ]


def plot_page(run: Path) -> Path:
    """Return the page that `write_plot` is to write: in the folder of a run, beside a log.

    Raises:
        UsageError: There is neither.
    """
    if not run.exists():
        raise UsageError(f"cannot read the log of {run}: there is no such run; name its folder, or a log")
    return run.with_name(f"{run.name}.html") if run.is_file() else run / "loss.html"


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
