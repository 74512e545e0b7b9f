"""Clips of one authentic face, and fakes made from them: one blend for all frames of a clip.

What tells them apart is where the pasted face meets the rest, and how that moves. The idea is that of Nguyen et al.
2025 (FakeSTormer), arXiv 2501.01184; here the hulls follow the landmarks of each frame, with no jitter added to them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from unmask.augment.selfblend import WEIGHTS, blend_pair
from unmask.augment.transforms import Example, Rng, Transform, rng_for
from unmask.errors import UsageError
from unmask.prepare.layout import read_folds, read_image
from unmask.storage.arrays import read_array
from unmask.training.clips import ClipRow, PreparedClips, TrainingClips, ValidationClips, clip_frames, rows_of_crops
from unmask.training.data import Item, to_tensor
from unmask.training.recipe import Recipe


class BlendedClips(PreparedClips):
    """The authentic faces of a prepared folder that have landmarks, each as one row."""

    def read_rows(self, folder: Path) -> Iterator[ClipRow]:
        """Yield a row for each face, of the frames that have landmarks."""
        crops = (row for row in read_folds(folder / "folds.csv") if not row.label)
        for row in rows_of_crops(folder, crops):
            if files := tuple(path for path in row.files if _landmarks_file(path).is_file()):
                yield replace(row, files=files)

    def training_items(self, epoch: int, numbers: Sequence[int]) -> Dataset[list[Item]]:
        """Return the items with these numbers of an epoch: pairs of real and fake."""
        return _TrainingBlends(self.epoch(epoch), self._recipe, epoch, numbers)

    def validation_items(self) -> ValidationClips:
        """Return the items that validate."""
        return _ValidationBlends(self.validation, self._recipe)


class _TrainingBlends(TrainingClips):
    """Pairs of a face and a blend of it."""

    def samples(self, row: ClipRow, start: int, rng: Rng) -> list[tuple[Tensor, int]]:
        """Return a pair."""
        real_3TSS, fake_3TSS = blend_clip(row, self._recipe, start, self._augment, rng)
        return [(real_3TSS, 0), (fake_3TSS, 1)]


class _ValidationBlends(ValidationClips):
    """Each held-out face and a blend of it, always the same one."""

    def labels_of(self, row: ClipRow) -> tuple[int, ...]:  # noqa: ARG002
        """Return both."""
        return 0, 1

    def clip(self, position: int, row: ClipRow, label: int, start: int) -> Tensor:
        """Return the face, or the blend."""
        rng = rng_for(self._recipe.seed, 0, position // 2)
        return blend_clip(row, self._recipe, start, self._augment, rng)[label]


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


def _landmarks_file(crop: Path) -> Path:
    return crop.parents[2] / "landmarks" / crop.parent.name / f"{crop.stem}.npy"


def _landmarks_px(crop: Path) -> np.ndarray[Any, np.dtype[np.float32]]:
    return read_array(_landmarks_file(crop)).astype(np.float32)
