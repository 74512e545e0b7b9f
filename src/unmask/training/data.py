"""What a network is shown: crops of a prepared dataset, or blends made from its authentic ones.

An item depends on seed, epoch and its number alone, so any number of workers gives the same epoch, and so does a run
that was resumed in its middle.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeAlias, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from unmask.augment.dropouts import is_valid, mixup, winner_dropouts
from unmask.augment.selfblend import WEIGHTS, Donor, blend_pair, mask_targets
from unmask.augment.transforms import Example, Transform, load_augmentation, padding_part, rng_for
from unmask.datasets.public import public_validation_ids
from unmask.errors import UsageError
from unmask.prepare.layout import CropRow, read_folds, read_image
from unmask.storage.arrays import read_array
from unmask.training.recipe import DataRecipe, Recipe

Item: TypeAlias = "tuple[Tensor, Tensor, float, bool]"
"""Picture (3, S, S) or clip (3, T, S, S) uint8; mask targets (2, S / 8, S / 8); label; whether it counts under
only_changed_frames."""

T = TypeVar("T")

_VALIDATION_STEP = 20


@dataclass(frozen=True, slots=True)
class Batch:
    """What the loop takes. N samples."""

    image_N3SS: Tensor
    """uint8; of clips (N, 3, T, S, S)."""
    target_N2hw: Tensor
    """Mask targets: blend region and its boundary, 0 to 1."""
    label_N: Tensor
    """0 real to 1 fake."""
    valid_N: Tensor
    """bool."""


class PreparedCrops:
    """The rows of folds.csv and the files they mean."""

    images = "crops"
    """Folder of the images."""

    def __init__(self, folder: Path, recipe: Recipe) -> None:
        """Read the folder of ``unmask prepare``.

        Raises:
            UsageError: There is no folds.csv, or one of the classes is missing on one side of the fold.
        """
        self.folder, self.recipe = folder, recipe
        self.training, held_out = split_rows(self.read_rows(), recipe.data)
        self.validation = self.reduced(held_out) or held_out
        check_sides(self.training, self.validation, recipe, folder)

    def read_rows(self) -> list[CropRow]:
        """Return a row for each image."""
        return list(read_folds(self.folder / "folds.csv"))

    def reduced(self, rows: Sequence[CropRow]) -> list[CropRow]:
        """Return the rows of a hold-out that validate: every second kept frame, as with the winner."""
        return [row for row in rows if row.frame % _VALIDATION_STEP == 0]

    def epoch(self, epoch: int) -> list[CropRow]:
        """Return the rows of a training epoch, shuffled."""
        return draw_epoch(self.training, self.recipe, epoch)

    def training_items(self, epoch: int, numbers: Sequence[int]) -> Dataset[list[Item]]:
        """Return the items with these numbers of an epoch."""
        return TrainingItems(self, self.recipe, epoch, numbers)

    def validation_items(self) -> ValidationItems:
        """Return the items that validate."""
        return ValidationItems(self, self.recipe)

    def example(self, row: CropRow) -> Example:
        """Read a crop with its mask and landmarks."""
        stem = Path(row.file).stem
        image_HW3 = read_image(self.folder / self.images / row.video / row.file)
        diff = self.folder / "diffs" / row.video / f"{stem}_diff.png"
        mask_HW = np.zeros(image_HW3.shape[:2], np.uint8)
        if row.label and diff.exists():
            mask_HW = read_image(diff)[..., 0].copy()
        points = self.folder / "landmarks" / row.original / f"{stem}.npy"
        landmarks = read_array(points).astype(np.float32) if points.exists() else None
        return Example(image_HW3, mask_HW, float(row.label), landmarks)

    def has_mask(self, row: CropRow) -> bool:
        """Tell whether it is known where a fake was changed."""
        return (self.folder / "diffs" / row.video / f"{Path(row.file).stem}_diff.png").exists()

    def original(self, row: CropRow) -> CropRow | None:
        """Return the authentic crop of the same place and time, None when there is none."""
        if (
            not row.label
            or row.original == row.video
            or not (self.folder / self.images / row.original / row.file).exists()
        ):
            return None
        return replace(row, video=row.original, label=0)


class Labelled(Protocol):
    """A row of training data."""

    @property
    def video(self) -> str:
        """Id of the clip."""
        ...

    @property
    def fold(self) -> int:
        """Fold of the clip."""
        ...

    @property
    def label(self) -> int:
        """0 real, 1 fake."""
        ...


Row = TypeVar("Row", bound=Labelled)


def split_rows(rows: Sequence[Row], data: DataRecipe) -> tuple[list[Row], list[Row]]:
    """Return the rows that train and those that validate, as ``data.holdout`` says."""
    if data.holdout == "public":
        public = public_validation_ids()
        return [row for row in rows if row.video not in public], [row for row in rows if row.video in public]
    held_out = [row for row in rows if row.fold == data.fold]
    if data.holdout == "fold_public":
        public = public_validation_ids()
        held_out = [row for row in held_out if row.video in public]
    return [row for row in rows if row.fold != data.fold], held_out


def check_sides(training: Sequence[Labelled], validation: Sequence[Labelled], recipe: Recipe, folder: Path) -> None:
    """Refuse data that lack a class on one side of the fold.

    Raises:
        UsageError: They do.
    """
    needed = {0} if recipe.data.from_authentic_alone else {0, 1}
    for name, side in (("training", training), ("validation", validation)):
        missing = needed - {row.label for row in side}
        if missing:
            what = " and ".join("fake" if label else "real" for label in sorted(missing))
            out = "the public validation set" if recipe.data.holdout == "public" else f"fold {recipe.data.fold}"
            raise UsageError(f"no {what} crop is left for {name} with {out} held out in {folder}")


def draw_epoch(rows: Sequence[Row], recipe: Recipe, epoch: int) -> list[Row]:
    """Return the rows of a training epoch, shuffled.

    With ``oversample_real`` all reals and as many fakes, drawn anew in each epoch, as the winner did.
    """
    rng = np.random.default_rng((recipe.seed, epoch))
    if recipe.data.from_authentic_alone:
        rows = [row for row in rows if not row.label]
    elif recipe.data.oversample_real:
        reals, fakes = ([row for row in rows if row.label == label] for label in (0, 1))
        drawn = rng.permutation(len(fakes))[: len(reals)]
        rows = reals + [fakes[i] for i in drawn]
    return [rows[i] for i in rng.permutation(len(rows))]


class TrainingItems(Dataset[list[Item]]):
    """The items of one epoch, from item ``start`` on."""

    def __init__(
        self,
        crops: PreparedCrops,
        recipe: Recipe,
        epoch: int,
        numbers: Sequence[int],
        rows: Sequence[CropRow] | None = None,
    ) -> None:
        """Serve the items with these numbers of an epoch, or of other rows."""
        self._crops, self._recipe, self._epoch, self._numbers = crops, recipe, epoch, numbers
        self._rows = crops.epoch(epoch) if rows is None else rows
        self._augment = load_augmentation(recipe.data.augmentation, size_px=recipe.data.size_px)
        self._dropouts: Transform | None = winner_dropouts() if recipe.data.hardcore else None
        self._people: dict[str, list[CropRow]] = defaultdict(list)
        for row in self._rows if recipe.data.kind == "selfblend" else ():
            self._people[row.original].append(row)

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, position: int) -> list[Item]:
        """Return one sample, or a pair of real and fake when blends are made."""
        number = self._numbers[position]
        rng = rng_for(self._recipe.seed, self._epoch, number)
        row = self._rows[number % len(self._rows)]
        if self._recipe.data.kind == "selfblend":
            return self._blended(row, rng)
        example = self._crops.example(row)
        original = self._crops.original(row) if rng.random() < self._recipe.data.mixup else None
        if original is not None:
            real = self._crops.example(original)
            if real.image_HW3.shape == example.image_HW3.shape:
                example = mixup(real, example, rng)
        return [self._finish(example, rng, known=self._crops.has_mask(row))]

    def _finish(self, example: Example, rng: np.random.Generator, known: bool) -> Item:
        """Black out, cut the margin, augment, and make tensors: the winner's order.

        A fake of which nobody knows where it was changed counts; the winner's did not.
        """
        if self._dropouts is not None:
            example = self._dropouts(example, rng)
        if self._recipe.data.padding_part > 3:
            example = padding_part(example, rng, part=self._recipe.data.padding_part)
        valid = is_valid(example) or not known
        return to_item(self._augment(example, rng), valid, self._recipe.data.label_smoothing)

    def _blended(self, row: CropRow, rng: np.random.Generator) -> list[Item]:
        """Make a fake of an authentic crop; both get the same light, geometry and compression."""
        target = self._crops.example(row)
        if target.landmarks_px is None:
            return self._another(rng)
        others = [person for person in self._people if person != row.original]
        donor = self._crops.example(_pick(self._people[_pick(others, rng)], rng)) if others else None
        lender = None
        if donor is not None and donor.landmarks_px is not None:
            lender = Donor(donor.image_HW3, donor.landmarks_px.astype(np.float32))
        points = target.landmarks_px.astype(np.float32)
        least = self._recipe.data.least_strength
        strength = float(rng.uniform(least, 1)) if least < 1 else 1.0
        weights = self._recipe.data.blends or WEIGHTS
        try:
            real_HW3, fake_HW3, mask_HW = blend_pair(
                target.image_HW3, points, rng, lender, strength=strength, weights=weights
            )
        except ValueError:
            return self._another(rng)  # landmarks that make no face
        state = rng.bit_generator.state
        blank = np.zeros(mask_HW.shape, np.uint8)
        items = []
        for image, mask, label in ((real_HW3, blank, 0.0), (fake_HW3, np.rint(255 * mask_HW).astype(np.uint8), 1.0)):
            rng.bit_generator.state = state
            example = self._augment(Example(image, mask, label, target.landmarks_px), rng)
            items.append(to_item(example, True, self._recipe.data.label_smoothing))
        return items

    def _another(self, rng: np.random.Generator) -> list[Item]:
        return self._blended(_pick(self._rows, rng), rng)


class ValidationItems(Dataset[tuple[Tensor, int]]):
    """The crops that validate, and the number of each one's video; blends where blends are trained, always the same."""

    def __init__(self, crops: PreparedCrops, recipe: Recipe) -> None:
        """Serve the held-out crops."""
        self._crops, self._rows = crops, crops.validation
        self._augment = load_augmentation(recipe.data.validation_augmentation, size_px=recipe.data.size_px)
        self._blends: TrainingItems | None = None
        if recipe.data.kind == "selfblend":
            plain = replace(recipe, data=replace(recipe.data, augmentation=recipe.data.validation_augmentation))
            self._rows = [row for row in crops.validation if not row.label]
            self._blends = TrainingItems(crops, plain, 0, range(len(self._rows)), self._rows)
        names = sorted({(row.video, label) for row in self._rows for label in self._labels(row)})
        self._number = {name: i for i, name in enumerate(names)}
        self.labels = np.array([label for _, label in names], np.float64)
        """Of each video."""

    def _labels(self, row: CropRow) -> tuple[int, ...]:
        return (0, 1) if self._blends is not None else (row.label,)

    def __len__(self) -> int:
        return len(self._rows) * (2 if self._blends is not None else 1)

    def __getitem__(self, position: int) -> tuple[Tensor, int]:
        if self._blends is not None:
            row, label = self._rows[position // 2], position % 2
            return self._blends[position // 2][label][0], self._number[row.video, label]
        row = self._rows[position]
        example = self._augment(self._crops.example(row), np.random.default_rng(0))
        return to_tensor(example.image_HW3), self._number[row.video, row.label]


def to_item(example: Example, valid: bool, label_smoothing: float) -> Item:
    """Make tensors of a finished example; labels are clipped to ``label_smoothing`` and 1 minus it."""
    size_px = example.image_HW3.shape[0]
    targets = np.stack(mask_targets((example.mask_HW / np.float32(255)).astype(np.float32), size_px))
    label = min(max(example.label, label_smoothing), 1 - label_smoothing)
    return to_tensor(example.image_HW3), torch.from_numpy(targets), label, valid


def collate(items: Sequence[list[Item]]) -> Batch:
    """Put samples, or pairs, into one batch."""
    images, targets, labels, valid = zip(*(item for group in items for item in group), strict=True)
    return Batch(torch.stack(images), torch.stack(targets), torch.tensor(labels), torch.tensor(valid))


def numbers_of(batch_items: int, batches: int, rank: int, size: int, first_batch: int) -> Iterator[int]:
    """Yield the numbers of the items that one process is served, batch after batch.

    Args:
        batch_items: For each process.
        batches: Of the epoch.
        rank: Of the process.
        size: Number of processes.
        first_batch: Where to go on, from 0.
    """
    for batch in range(first_batch, batches):
        start = (batch * size + rank) * batch_items
        yield from range(start, start + batch_items)


def to_tensor(image_HW3: NDArray[np.uint8]) -> Tensor:
    """Return a picture as (3, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(image_HW3.transpose(2, 0, 1)))


def _pick(values: Sequence[T], rng: np.random.Generator) -> T:
    return values[int(rng.integers(len(values)))]
