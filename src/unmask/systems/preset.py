"""What a preset is: a published system that can be opened as a scanner."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol

from unmask.errors import ModelError, UsageError
from unmask.models import Fusion, load_card, model_folder
from unmask.scan.base import BaseScanner, PathLike
from unmask.scan.options import ScanOptions
from unmask.scan.scanner import Scanner
from unmask.types import CropSpec


class Preset(Protocol):
    """A published system that can be opened as a scanner."""

    @property
    def purpose(self) -> str:
        """What it is, in a sentence."""
        ...

    def open(self, models: Sequence[PathLike] = (), **options: Any) -> BaseScanner:
        """Load it, with other models where some are named; ``options`` are fields of `ScanOptions`."""
        ...


@dataclass(frozen=True, slots=True)
class ScannerPreset:
    """A published system that is `Scanner`, or a subclass, with options of its own."""

    purpose: str
    """What it is, in a sentence."""
    models: tuple[str, ...]
    """Names of the models, as they lie in the user's model folder."""
    cure: str
    """How to get them, after "they are not installed: ..."."""
    crop: CropSpec
    """How faces are found and cut. Other models must agree, but may take another number of pixels."""
    fusion: Fusion
    """How scores become one number."""
    frames: int
    """Frames to look at in each video, at least 1."""
    sampling: str
    """Which ones, a name in `unmask.media.SAMPLINGS`."""
    scanner: type[Scanner] = Scanner
    """What scans."""

    def open(self, models: Sequence[PathLike] = (), **options: Any) -> Scanner:
        """Load the models.

        Args:
            models: In place of the preset's.
            options: Fields of `ScanOptions`; they have precedence.

        Raises:
            ModelError: Models are missing; all of them are named.
            UsageError: A model's crop rule is not the preset's, or an option makes no sense.
        """
        names = list(models or self.models)
        self._check_installed(names)
        for name in names:
            self._check_crop(name)
        mine = ScanOptions(frames=self.frames, sampling=self.sampling, fuse=self.fusion)
        return self.scanner(names, mine, **options)

    def _check_installed(self, names: Sequence[PathLike]) -> None:
        missing = [os.fspath(name) for name in names if not _is_installed(name)]
        if missing:
            raise ModelError(
                f"models of this preset are not installed: {', '.join(missing)}; {self.cure}. Other models can take "
                "their place: --model FOLDER, once for each"
            )

    def _check_crop(self, name: PathLike) -> None:
        crop = load_card(model_folder(name)).crop
        other = [
            f"{item.name} is {getattr(crop, item.name)!r} and must be {getattr(self.crop, item.name)!r}"
            for item in fields(CropSpec)
            if item.name != "size_px" and getattr(crop, item.name) != getattr(self.crop, item.name)
        ]
        if other:
            raise UsageError(
                f"model {os.fspath(name)!r} sees other crops than this preset makes: {'; '.join(other)}. "
                "Use it without the preset, or import its checkpoint again if an earlier version wrote its card"
            )


def _is_installed(name: PathLike) -> bool:
    try:
        model_folder(name)
    except ModelError:
        return False
    return True
