"""Pair each fake crop with the authentic crop of the same frame and box; mixup and difference masks need such pairs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from unmask.prepare.layout import read_folds


@dataclass(frozen=True, slots=True)
class CropPair:
    """Two crops with the same pixels apart from the manipulation."""

    fake: Path
    """Crop of the fake."""
    original: Path
    """Crop of its original: the same frame, the same box."""
    diff: Path | None
    """Where they differ, 8 bits grey; None when it was not computed."""
    landmarks: Path | None
    """(5, 2) int16 points in both; None when none were found."""
    fold: int
    """Fold of both."""


def read_crop_pairs(prepared: Path) -> Iterator[CropPair]:
    """Yield a pair for each fake crop whose original's crop is there.

    Args:
        prepared: Folder of ``unmask prepare``, or of the winner's scripts.

    Raises:
        UsageError: There is no folds.csv in it.
    """
    for row in read_folds(prepared / "folds.csv"):
        original = prepared / "crops" / row.original / row.file
        if not row.label or row.original == row.video or not original.exists():
            continue
        stem = Path(row.file).stem
        diff = prepared / "diffs" / row.video / f"{stem}_diff.png"
        landmarks = prepared / "landmarks" / row.original / f"{stem}.npy"
        yield CropPair(
            prepared / "crops" / row.video / row.file,
            original,
            diff if diff.exists() else None,
            landmarks if landmarks.exists() else None,
            row.fold,
        )
