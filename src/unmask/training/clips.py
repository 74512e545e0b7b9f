"""Clips of one face for video models: aligned faces of ``unmask prepare --steps ...,tubes``, or else its crops.

A clip spans so many consecutive kept frames, looped where there are fewer, of which every fourth or eighth is shown.
One draw changes all its frames alike. Source: Siyu-C/RobustForensics.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from unmask.augment.transforms import Example, Rng, Transform, load_augmentation, rng_for
from unmask.errors import UsageError
from unmask.prepare.layout import CropRow, parse_stem, read_folds, read_image
from unmask.training.data import Item, PreparedCrops, check_sides, draw_epoch, split_rows, to_tensor
from unmask.training.recipe import Recipe

_ALIGNED = re.compile(r"frame(\d+)_face(\d+)\.(png|jpg|webp)")


@dataclass(frozen=True, slots=True)
class ClipRow:
    """One face through its video."""

    video: str
    """Id of the clip."""
    label: int
    """0 real, 1 fake: one of its crops is, or of its video's where it is a tube."""
    fold: int
    """Of its video."""
    files: tuple[Path, ...]
    """Its crops, by frame."""


class PreparedClips:
    """The faces of a prepared folder, each as one row."""

    def __init__(self, folder: Path, recipe: Recipe) -> None:
        """Read the folder of ``unmask prepare``; labels and folds are those of folds.csv.

        Raises:
            UsageError: There is no folds.csv, or one of the classes is missing on one side of the fold.
        """
        self._recipe = recipe
        self.training, self.validation = split_rows(list(self.read_rows(folder)), recipe.data)
        check_sides(self.training, self.validation, recipe, folder)

    def read_rows(self, folder: Path) -> Iterator[ClipRow]:
        """Yield a row for each face."""
        yield from _clip_rows(folder, read_folds(folder / "folds.csv"))

    def epoch(self, epoch: int) -> list[ClipRow]:
        """Return the rows of a training epoch, shuffled."""
        return draw_epoch(self.training, self._recipe, epoch)

    def training_items(self, epoch: int, numbers: Sequence[int]) -> Dataset[list[Item]]:
        """Return the items with these numbers of an epoch."""
        return TrainingClips(self.epoch(epoch), self._recipe, epoch, numbers)

    def validation_items(self) -> ValidationClips:
        """Return the items that validate."""
        return ValidationClips(self.validation, self._recipe)


class PreparedAligned(PreparedCrops):
    """Aligned faces, each frame of a tube as one row: those at every ``data.frame_step``-th frame of the clip.

    With a step of 30 these are the images of the data lists of Siyu-C/RobustForensics.
    """

    images = "aligned"

    def read_rows(self) -> list[CropRow]:
        """Return a row for each aligned face; labels and folds are those of folds.csv.

        Raises:
            UsageError: No clip has aligned faces.
        """
        clips: dict[str, CropRow] = {}
        for row in read_folds(self.folder / "folds.csv"):  # a clip is fake where one of its crops is
            if row.video not in clips or row.label:
                clips[row.video] = row
        rows, step = [], self.recipe.data.frame_step
        for row in clips.values():
            for _, files in sorted(_aligned_files(self.folder, row.video).items()):
                shown = [(frame - 1, path.name) for frame, path in files if (frame - 1) % step == 0]
                rows += [replace(row, file=name, frame=frame) for frame, name in shown]
        if not rows:
            raise UsageError(f"{self.folder} has no aligned faces; prepare it with --as robustforensics, or with tubes")
        return rows

    def reduced(self, rows: Sequence[CropRow]) -> list[CropRow]:
        """Return all rows of a hold-out."""
        return list(rows)


def clip_frames(count: int, span: int, step: int, start: int) -> list[int]:
    """Return which of ``count`` frames a clip shows: every ``step``-th of ``span`` frames from ``start`` on.

    Where there are fewer than ``span``, ``start`` is 0 and they are looped.
    """
    return [start + place % min(span, count) for place in range(0, span, step)]


class TrainingClips(Dataset[list[Item]]):
    """The clips of one epoch with random starts."""

    def __init__(self, rows: Sequence[ClipRow], recipe: Recipe, epoch: int, numbers: Sequence[int]) -> None:
        """Serve the items with these numbers."""
        self._rows, self._recipe, self._epoch, self._numbers = rows, recipe, epoch, numbers
        self._augment = load_augmentation(recipe.data.augmentation, size_px=recipe.data.size_px)

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, position: int) -> list[Item]:
        """Return the samples of one face."""
        number, data = self._numbers[position], self._recipe.data
        rng = rng_for(self._recipe.seed, self._epoch, number)
        row = self._rows[number % len(self._rows)]
        start = int(rng.integers(max(0, len(row.files) - data.clip_frames), endpoint=True))
        blank = torch.zeros(2, 1, 1)  # no masks: no network of clips has a head for them
        return [
            (clip_3TSS, blank, min(max(float(label), data.label_smoothing), 1 - data.label_smoothing), True)
            for clip_3TSS, label in self.samples(row, start, rng)
        ]

    def samples(self, row: ClipRow, start: int, rng: Rng) -> list[tuple[Tensor, int]]:
        """Return clips of a face, (3, T, S, S) each, and their labels."""
        return [(_read_clip(row, self._recipe, start, self._augment, rng), row.label)]


class ValidationClips(Dataset[tuple[Tensor, int]]):
    """The middle of each held-out face, and the number of its video."""

    def __init__(self, rows: Sequence[ClipRow], recipe: Recipe) -> None:
        """Serve these rows."""
        self._recipe = recipe
        self._augment = load_augmentation(recipe.data.validation_augmentation, size_px=recipe.data.size_px)
        self._shown = [(row, label) for row in rows for label in self.labels_of(row)]
        names = sorted({(row.video, label) for row, label in self._shown})
        self._number = {name: i for i, name in enumerate(names)}
        self.labels = np.array([label for _, label in names], np.float64)
        """Of each video."""

    def labels_of(self, row: ClipRow) -> tuple[int, ...]:
        """Return the labels under which a face is shown."""
        return (row.label,)

    def __len__(self) -> int:
        return len(self._shown)

    def __getitem__(self, position: int) -> tuple[Tensor, int]:
        row, label = self._shown[position]
        start = max(0, len(row.files) // 2 - self._recipe.data.clip_frames // 2)
        return self.clip(position, row, label, start), self._number[row.video, label]

    def clip(self, position: int, row: ClipRow, label: int, start: int) -> Tensor:  # noqa: ARG002 - for those that blend
        """Return a face as it is shown, (3, T, S, S)."""
        return _read_clip(row, self._recipe, start, self._augment, np.random.default_rng(0))


def _clip_rows(folder: Path, crops: Iterable[CropRow]) -> Iterator[ClipRow]:
    """Yield a row for each tube of a video, or where it has none for each face number of its crops."""
    for video, rows in _by_video(crops).items():
        faces = _aligned_files(folder, video)
        fake = max(rows, key=lambda row: row.label)  # tubes are numbered in their own way
        yield from _rows(dict.fromkeys(faces, fake), faces) if faces else rows_of_crops(folder, rows)


def rows_of_crops(folder: Path, crops: Iterable[CropRow]) -> Iterator[ClipRow]:
    """Yield a row for each face number of the crops of each video; it is fake where one of its crops is."""
    for video, rows in _by_video(crops).items():
        faces: dict[int, list[tuple[int, Path]]] = defaultdict(list)
        crop_of: dict[int, CropRow] = {}
        for row in rows:
            if (at := parse_stem(Path(row.file).stem)) is not None:
                faces[at[1]].append((at[0], folder / "crops" / video / row.file))
                crop_of[at[1]] = max(crop_of.get(at[1], row), row, key=lambda crop: crop.label)
        yield from _rows(crop_of, faces)


def _by_video(crops: Iterable[CropRow]) -> dict[str, list[CropRow]]:
    by_video: dict[str, list[CropRow]] = defaultdict(list)
    for crop in crops:
        by_video[crop.video].append(crop)
    return by_video


def _rows(crop_of: Mapping[int, CropRow], faces: dict[int, list[tuple[int, Path]]]) -> Iterator[ClipRow]:
    for face, files in sorted(faces.items()):
        crop = crop_of[face]
        yield ClipRow(crop.video, crop.label, crop.fold, tuple(path for _, path in sorted(files)))


def _aligned_files(folder: Path, video: str) -> dict[int, list[tuple[int, Path]]]:
    """Return the aligned faces of a clip: number of the tube -> number of the frame, from 1, and file, in order."""
    faces: dict[int, list[tuple[int, Path]]] = defaultdict(list)
    aligned = folder / "aligned" / video
    for path in aligned.iterdir() if aligned.is_dir() else ():
        if place := _ALIGNED.fullmatch(path.name):
            faces[int(place[2])].append((int(place[1]), path))
    for files in faces.values():
        files.sort()
    return faces


def _read_clip(row: ClipRow, recipe: Recipe, start: int, augment: Transform, rng: Rng) -> Tensor:
    """Return (3, T, S, S): every frame sees the same draws."""
    data = recipe.data
    state, pictures = rng.bit_generator.state, []
    for place in clip_frames(len(row.files), data.clip_frames, data.clip_step, start):
        rng.bit_generator.state = state
        image_HW3 = read_image(row.files[place])
        blank_HW = np.zeros(image_HW3.shape[:2], np.uint8)
        pictures.append(to_tensor(augment(Example(image_HW3, blank_HW, float(row.label)), rng).image_HW3))
    return torch.stack(pictures, 1)
