"""The published systems whose way of preparing a dataset ``unmask prepare --as`` follows."""

from __future__ import annotations

from unmask.systems.preparation import PublishedPreparation
from unmask.systems.robustforensics.preparation import ROBUSTFORENSICS_PREPARATION
from unmask.systems.winner.preparation import WINNER_PREPARATION

PREPARATIONS: dict[str, PublishedPreparation] = {
    "winner": WINNER_PREPARATION,
    "robustforensics": ROBUSTFORENSICS_PREPARATION,
}
"""Name, as ``unmask prepare --as`` takes it -> preparation."""
