"""Clips of one authentic face, and fakes made from them: one blend for all frames of a clip.

What tells them apart is where the pasted face meets the rest, and how that moves. The idea is that of Nguyen et al.
2025 (FakeSTormer), arXiv 2501.01184; here the hulls follow the landmarks of each frame, with no jitter added to them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from unmask.augment.selfblend import WEIGHTS, blend_pair
from unmask.augment.transforms import Example, Rng, Transform, load_augmentation, rng_for
from unmask.errors import UsageError
from unmask.prepare.layout import read_folds, read_image
from unmask.training.clips import ClipRow, clip_frames, rows_of_crops
from unmask.training.data import Item, check_sides, draw_epoch, split_rows, to_tensor
from unmask.training.recipe import Recipe


class BlendedClips:
    """The authentic faces of a prepared folder that have landmarks, each as one row."""

    def __init__(self, folder: Path, recipe: Recipe) -> None:
        """Read the folder of ``unmask prepare``.

        Raises:
            UsageError: There is no folds.csv, or a side of the fold has no authentic face with landmarks.
        """
        self._recipe = recipe
        self.training, self.validation = split_rows(list(_authentic_rows(folder)), recipe.data)
        check_sides(self.training, self.validation, recipe, folder)

    def epoch(self, epoch: int) -> list[ClipRow]:
        """Return the rows of a training epoch, shuffled."""
        return draw_epoch(self.training, self._recipe, epoch)

    def training_items(self, epoch: int, numbers: Sequence[int]) -> Dataset[list[Item]]:
        """Return the items with these numbers of an epoch: pairs of real and fake."""
        return _TrainingBlends(self.epoch(epoch), self._recipe, epoch, numbers)

    def validation_items(self) -> ValidationBlends:
        """Return the items that validate."""
        return ValidationBlends(self.validation, self._recipe)


class _TrainingBlends(Dataset[list[Item]]):
    """The pairs of one epoch with random starts."""

    def __init__(self, rows: Sequence[ClipRow], recipe: Recipe, epoch: int, numbers: Sequence[int]) -> None:
        self._rows, self._recipe, self._epoch, self._numbers = rows, recipe, epoch, numbers
        self._augment = load_augmentation(recipe.data.augmentation, size_px=recipe.data.size_px)

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, position: int) -> list[Item]:
        """Return a pair."""
        number, data = self._numbers[position], self._recipe.data
        rng = rng_for(self._recipe.seed, self._epoch, number)
        row = self._rows[number % len(self._rows)]
        start = int(rng.integers(max(0, len(row.files) - data.clip_frames), endpoint=True))
        clips = blend_clip(row, self._recipe, start, self._augment, rng)
        blank, smoothing = torch.zeros(2, 1, 1), data.label_smoothing  # no network of clips has a head for masks
        return [(clip, blank, label, True) for clip, label in zip(clips, (smoothing, 1 - smoothing), strict=True)]


class ValidationBlends(Dataset[tuple[Tensor, int]]):
    """The middle of each held-out face and a blend of it, always the same one; and the number of its video."""

    def __init__(self, rows: Sequence[ClipRow], recipe: Recipe) -> None:
        """Serve these rows."""
        self._rows, self._recipe = rows, recipe
        self._augment = load_augmentation(recipe.data.validation_augmentation, size_px=recipe.data.size_px)
        names = sorted({(row.video, label) for row in rows for label in (0, 1)})
        self._number = {name: i for i, name in enumerate(names)}
        self.labels = np.array([label for _, label in names], np.float64)
        """Of each video."""

    def __len__(self) -> int:
        return 2 * len(self._rows)

    def __getitem__(self, position: int) -> tuple[Tensor, int]:
        row, label = self._rows[position // 2], position % 2
        start = max(0, len(row.files) // 2 - self._recipe.data.clip_frames // 2)
        rng = rng_for(self._recipe.seed, 0, position // 2)
        clips = blend_clip(row, self._recipe, start, self._augment, rng)
        return clips[label], self._number[row.video, label]


def blend_clip(row: ClipRow, recipe: Recipe, start: int, augment: Transform, rng: Rng) -> tuple[Tensor, Tensor]:
    """Return a real and a fake clip, (3, T, S, S) each: every frame sees the same draws.

    Raises:
        UsageError: The landmarks of a frame make no face.
    """
    data = recipe.data
    strength = float(rng.uniform(data.least_strength, 1)) if data.least_strength < 1 else 1.0
    before, after = rng.bit_generator.state, None
    sides: tuple[list[Tensor], list[Tensor]] = ([], [])
    for place in clip_frames(len(row.files), data.clip_frames, data.clip_step, start):
        image_HW3, points = read_image(row.files[place]), _landmarks_px(row.files[place])
        rng.bit_generator.state = before
        try:
            real_HW3, fake_HW3, _ = blend_pair(
                image_HW3, points, rng, strength=strength, weights=data.blends or WEIGHTS
            )
        except ValueError as error:
            raise UsageError(f"{row.files[place]}: {error}; run the step landmarks of prepare again") from error
        after = after or rng.bit_generator.state
        blank_HW = np.zeros(image_HW3.shape[:2], np.uint8)
        for side, picture_HW3 in zip(sides, (real_HW3, fake_HW3), strict=True):
            rng.bit_generator.state = after
            side.append(to_tensor(augment(Example(picture_HW3, blank_HW, 0.0), rng).image_HW3))
    return torch.stack(sides[0], 1), torch.stack(sides[1], 1)


def _authentic_rows(folder: Path) -> Iterator[ClipRow]:
    crops = (row for row in read_folds(folder / "folds.csv") if not row.label)
    for row in rows_of_crops(folder, crops):
        if files := tuple(path for path in row.files if _landmarks_file(path).is_file()):
            yield ClipRow(row.video, row.label, row.fold, files)


def _landmarks_file(crop: Path) -> Path:
    return crop.parents[2] / "landmarks" / crop.parent.name / f"{crop.stem}.npy"


def _landmarks_px(crop: Path) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.load(_landmarks_file(crop), allow_pickle=False).astype(np.float32)
