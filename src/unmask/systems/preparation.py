"""Describe how a published system prepares a dataset for training."""

from __future__ import annotations

from dataclasses import dataclass

from unmask.prepare.clip_steps import Settings
from unmask.prepare.folds import FoldRule


@dataclass(frozen=True, slots=True)
class PublishedPreparation:
    """What ``unmask prepare --as`` sets; options that are given beside it have precedence."""

    steps: tuple[str, ...]
    """Some of `unmask.prepare.preparation.STEPS`."""
    settings: Settings
    """How clips are prepared."""
    folds: int
    """Number of folds, at least 2."""
    fold_rule: FoldRule
    """How clips are assigned to folds, see `unmask.prepare.folds.assign_folds`."""
