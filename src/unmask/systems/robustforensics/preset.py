"""RobustForensics as a preset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from unmask.errors import UsageError
from unmask.models import load_card, model_folder
from unmask.scan.base import PathLike
from unmask.systems.robustforensics.members import MEMBERS
from unmask.systems.robustforensics.scanner import RobustScanner

_OPTIONS = ("precision", "workers", "limits", "trust")


@dataclass(frozen=True, slots=True)
class RobustPreset:
    """RobustForensics, which has a flow of its own: `RobustScanner`."""

    purpose: str
    """What it is, in a sentence."""

    def open(self, models: Sequence[PathLike] = (), **options: Any) -> RobustScanner:
        """Load the models.

        Args:
            models: In place of all that are installed; the names in their cards say which member each is.
            options: ``precision``, ``workers``, ``limits`` and ``trust``.

        Raises:
            ModelError: No model, or not the detector's, is installed.
            UsageError: A model is none of the ensemble's, or an option is not one of this preset.
        """
        unknown = [name for name in options if name not in _OPTIONS]
        if unknown:
            raise UsageError(f"preset robustforensics has rules of its own; leave out {', '.join(unknown)}")
        members = {member.model: member.name for member in MEMBERS}
        named = {load_card(model_folder(model)).name: model for model in models}
        strange = [name for name in named if name not in members]
        if strange:
            raise UsageError(f"{', '.join(strange)}: none of RobustForensics' models, which are {', '.join(members)}")
        chosen = {members[name]: model for name, model in named.items()}
        return RobustScanner(chosen or None, **options)


ROBUSTFORENSICS = RobustPreset("The challenge's fourth: aligned faces, seven image models, four video models.")
