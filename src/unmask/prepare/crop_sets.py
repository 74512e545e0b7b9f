"""Read crops as a model takes them, authentic and blended: one set to calibrate with, another one to check on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from unmask.augment.selfblend import blend_pair
from unmask.errors import UsageError
from unmask.faces import Detector, crop_face, load_detector
from unmask.prepare.layout import CropRow, read_folds, read_image
from unmask.storage.arrays import read_array
from unmask.types import CropSpec, Face, ImageHW3

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
_CHECKED_FOLD = 0
_BOX = (0.2, 0.2, 0.8, 0.8)
"""The face in a prepared crop, which has a third of its sides around it."""


@dataclass(frozen=True, slots=True)
class CropSets:
    """Two sets of crops from different sources."""

    calibrating_NSS3: NDArray[np.uint8]
    """Authentic crops and blends of them, in turn, (N, S, S, 3)."""
    checking_MSS3: NDArray[np.uint8]
    """Crops of other clips, (M, S, S, 3)."""
    labels_M: NDArray[np.int64] | None
    """Labels of these, 0 real and 1 fake; None when they are not known."""


@dataclass(frozen=True, slots=True)
class _Source:
    """A stored crop."""

    path: Path
    landmarks: Path | None
    label: int | None
    held_out: bool
    prepared: bool

    @classmethod
    def of_row(cls, row: CropRow, folder: Path, held_out: bool) -> Self:
        points = folder / "landmarks" / row.original / f"{Path(row.file).stem}.npy"
        path = folder / "crops" / row.video / row.file
        return cls(path, points if points.exists() else None, row.label, held_out, prepared=True)


def read_crop_sets(folder: Path, spec: CropSpec, *, calibrating: int = 300, checking: int = 600) -> CropSets:
    """Read crops, and blend authentic ones.

    Args:
        folder: Of ``unmask prepare``: fold 0 checks. Or any folder of face crops; where it has the folders ``real`` and
            ``fake``, these are the labels; the last quarter, by name, checks.
        spec: The model's crop rule. Prepared crops are cut by it; others are taken whole.
        calibrating: Crops to calibrate with, at most.
        checking: Crops to check on, at most.

    Raises:
        UsageError: There is nothing to calibrate with, or nothing to check on.
    """
    sources = list(_prepared(folder) if (folder / "folds.csv").exists() else _loose(folder))
    authentic = [source for source in sources if not source.held_out and source.label != 1]
    held_out = [source for source in sources if source.held_out]
    if not authentic or not held_out:
        raise UsageError(f"{folder} holds too few crops: some authentic ones are needed, and others to check on")
    rng, cutter = np.random.default_rng(0), _Cutter(spec)
    ranges = [crop for source in _some(authentic, calibrating // 2, rng) for crop in cutter.with_blend(source, rng)]
    known = {source.label for source in held_out}
    if known == {0}:  # what fakes look like must be made up
        pairs = [cutter.with_blend(source, rng) for source in _some(held_out, checking // 2, rng)]
        checks = [(crop, label) for pair in pairs for label, crop in enumerate(pair)]
    else:
        by_label = [[source for source in held_out if source.label == label] for label in sorted(known, key=str)]
        chosen = [source for group in by_label for source in _some(group, checking // len(by_label), rng)]
        checks = [(cutter.crop(source), source.label or 0) for source in chosen]
    labels = np.array([label for _, label in checks])
    both = len(set(labels.tolist())) == 2
    return CropSets(np.stack(ranges), np.stack([crop for crop, _ in checks]), labels if both else None)


def _prepared(folder: Path) -> Iterator[_Source]:
    rows = list(read_folds(folder / "folds.csv"))
    originals = sorted({row.original for row in rows})
    if len({row.fold for row in rows}) > 1:
        chosen = {row.original for row in rows if row.fold == _CHECKED_FOLD}
    else:
        chosen = set(originals[::4]) if len(originals) > 1 else set()
    return (_Source.of_row(row, folder, row.original in chosen) for row in rows)


def _loose(folder: Path) -> Iterator[_Source]:
    labelled = all((folder / name).is_dir() for name in ("real", "fake"))
    groups: dict[int | None, Path] = {0: folder / "real", 1: folder / "fake"} if labelled else {None: folder}
    for label, place in groups.items():
        paths = sorted(path for path in place.rglob("*") if path.suffix.lower() in SUFFIXES)
        for position, path in enumerate(paths):
            yield _Source(path, None, label, position >= 0.75 * len(paths), prepared=False)


def _some(sources: Sequence[_Source], count: int, rng: np.random.Generator) -> list[_Source]:
    """Draw at most ``count``."""
    return [sources[i] for i in sorted(rng.permutation(len(sources))[: max(1, count)])]


class _Cutter:
    """Reads stored crops, and cuts them as a model takes them."""

    def __init__(self, spec: CropSpec) -> None:
        self._spec, self._whole = spec, replace(spec, margin=0.0)

    def crop(self, source: _Source) -> ImageHW3:
        """Return the model's crop."""
        return self._cut(read_image(source.path), source)

    def with_blend(self, source: _Source, rng: np.random.Generator) -> list[ImageHW3]:
        """Return an authentic crop, and a blend of it where its landmarks are known or found."""
        image_HW3 = read_image(source.path)
        crops, points_52 = [self._cut(image_HW3, source)], self._landmarks(source, image_HW3)
        if points_52 is not None:
            with suppress(ValueError):  # landmarks that make no face
                crops.append(self._cut(blend_pair(image_HW3, points_52, rng)[1], source))
        return crops

    @cached_property
    def _detector(self) -> Detector:
        return load_detector(self._spec.detection)

    def _landmarks(self, source: _Source, image_HW3: ImageHW3) -> NDArray[np.float32] | None:
        if source.landmarks is not None:
            return read_array(source.landmarks).astype(np.float32)
        faces = [] if source.prepared else self._detector.detect(image_HW3)
        return next((face.landmarks_px for face in faces if face.landmarks_px is not None), None)

    def _cut(self, image_HW3: ImageHW3, source: _Source) -> ImageHW3:
        height, width = image_HW3.shape[:2]
        x1, y1, x2, y2 = _BOX if source.prepared else (0.0, 0.0, 1.0, 1.0)
        face = Face((x1 * width, y1 * height, x2 * width, y2 * height), 1.0)
        return crop_face(image_HW3, face, self._spec if source.prepared else self._whole)
