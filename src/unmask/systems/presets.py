"""Published systems by name: the models, frames, crops and fusion that gave their numbers.

    scanner = unmask.open_preset("winner")
    scanner = unmask.open_preset("winner", ["models/a", "models/b"])    # other weights, seen and fused alike

A preset is an entry of `PRESETS`: anything with a ``purpose`` and an ``open`` that returns a `Scans`. `Preset` is the
kind that is a setting of `Scanner`; a system with a flow of its own brings its own class.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

from unmask.errors import ModelError, UsageError
from unmask.models import FUSIONS, Fusion, load_card, model_folder
from unmask.scan.scanner import Scanner
from unmask.systems.robustforensics.members import MEMBERS
from unmask.systems.robustforensics.scanner import RobustScanner
from unmask.types import CropSpec, DetectorSpec, Verdict

PathLike = str | os.PathLike[str]


class Scans(Protocol):
    """What judges videos: `Scanner`, and whatever can stand in its place."""

    @property
    def settings_hash(self) -> str:
        """Hash of models and settings: verdicts with the same hash can stand in one table."""
        ...

    def scan(self, path: PathLike) -> Verdict:
        """Judge one video."""
        ...

    def scan_many(
        self,
        inputs: PathLike | Iterable[PathLike],
        *,
        recursive: bool = False,
        follow_links: bool = False,
        on_verdict: Callable[[Verdict], None] | None = None,
    ) -> Iterator[Verdict]:
        """Judge many videos: one verdict for each input, in order."""
        ...


class Opens(Protocol):
    """An entry of `PRESETS`."""

    @property
    def purpose(self) -> str:
        """What it is, in a sentence."""
        ...

    def open(self, models: Sequence[PathLike] = (), **options: Any) -> Scans:
        """Load it, with other models where some are named; ``options`` are keyword arguments of `Scanner`."""
        ...


@dataclass(frozen=True, slots=True)
class Preset:
    """A published system that is a setting of `Scanner`."""

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
    frames: int = 32
    """Frames to look at in each video."""
    sampling: str = "reference"
    """Which ones, see `unmask.media.SAMPLINGS`."""
    exact: bool = False
    """With the faults of the released code, see `unmask.systems.winner.released`."""

    def open(self, models: Sequence[PathLike] = (), **options: Any) -> Scanner:
        """Load the models.

        Args:
            models: In place of the preset's.
            options: Keyword arguments of `Scanner`; they have precedence.

        Raises:
            ModelError: Models are missing; all of them are named.
            UsageError: A model's crop rule is not the preset's.
        """
        names = list(models or self.models)
        self._check_installed(names)
        for name in names:
            self._check_crop(name)
        mine: dict[str, Any] = {
            "frames": self.frames,
            "sampling": self.sampling,
            "fuse": self.fusion,
            "exact": self.exact,
        }
        return Scanner(names, **(mine | options))

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
                "Use it without the preset"
            )


def _is_installed(name: PathLike) -> bool:
    try:
        model_folder(name)
    except ModelError:
        return False
    return True


WINNER = Preset(
    purpose="The challenge's winner: 32 frames, seven EfficientNet-B7, sure scores decide; its faults mended.",
    models=tuple(
        f"winner-b7-{name}" for name in ("111-36", "555-19", "777-29", "777-31", "888-37", "888-40", "999-23")
    ),
    cure="get the published weights: unmask models pull winner",
    crop=CropSpec(
        size_px=380,
        margin=1 / 3,
        outline="box",
        detection=DetectorSpec(scale=0.5, thresholds=(0.7, 0.8, 0.8), shrink="bicubic"),
    ),
    fusion=FUSIONS["winner"],
)
"""Source: selimsef/dfdc_deepfake_challenge, predict_folder.py and predict_submission.sh."""


@dataclass(frozen=True, slots=True)
class RobustPreset:
    """RobustForensics, which has a flow of its own: `unmask.systems.robustforensics.scanner.RobustScanner`."""

    purpose: str
    """What it is, in a sentence."""

    def open(self, models: Sequence[PathLike] = (), **options: Any) -> RobustScanner:
        """Load the models.

        Args:
            models: In place of all that are installed; the names in their cards say which member each is.
            options: ``precision``, ``workers`` and ``limits``.

        Raises:
            ModelError: No model, or not the detector's, is installed.
            UsageError: A model is none of the ensemble's, or an option is not one of this preset.
        """
        unknown = [name for name in options if name not in ("precision", "workers", "limits")]
        if unknown:
            raise UsageError(f"preset robustforensics has rules of its own; leave out {', '.join(unknown)}")
        members = {member.model: member.name for member in MEMBERS}
        named = {load_card(model_folder(model)).name: model for model in models}
        strange = [name for name in named if name not in members]
        if strange:
            raise UsageError(f"{', '.join(strange)}: none of RobustForensics' models, which are {', '.join(members)}")
        chosen = {members[name]: model for name, model in named.items()}
        return RobustScanner(chosen or None, **options)


PRESETS: dict[str, Opens] = {
    "winner": WINNER,
    "winner-exact": replace(WINNER, purpose="The same with the released code's faults, to the last digit.", exact=True),
    "b5x15": replace(
        WINNER,
        purpose="The winner's other submission: fifteen EfficientNet-B5.",
        models=tuple(f"winner-b5-{number:02d}" for number in range(1, 16)),
        cure="their weights were never published: train fifteen with recipes/b5.toml, a seed and a fold for each, and "
        "export them under these names: unmask models export RUN --out ~/.cache/unmask/models/winner-b5-01",
    ),
    "robustforensics": RobustPreset("The challenge's fourth: aligned faces, seven image models, four video models."),
}
"""Name -> preset."""


def open_preset(name: str, models: PathLike | Sequence[PathLike] = (), **options: Any) -> Scans:
    """Load a published system by name.

    Args:
        name: In `PRESETS`.
        models: In place of the preset's; names or folders.
        options: Keyword arguments of `Scanner`, in place of the preset's.

    Raises:
        ModelError: Models are missing or damaged.
        UsageError: An unknown name, models that do not fit, or an option that makes no sense.
    """
    if name not in PRESETS:
        raise UsageError(f"unknown preset {name!r}; use one of {', '.join(PRESETS)}")
    chosen = [models] if isinstance(models, (str, os.PathLike)) else models
    return PRESETS[name].open(chosen, **options)
