"""Read what a recipe learns from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from unmask.training.blended_clips import BlendedClips
from unmask.training.clips import PreparedAligned, PreparedClips
from unmask.training.data import PreparedCrops
from unmask.training.labelled import LabelledFaces
from unmask.training.recipe import Recipe

Data: TypeAlias = PreparedCrops | PreparedClips | LabelledFaces

_KINDS: dict[str, Callable[[Path, Recipe], Data]] = {
    "crops": PreparedCrops,
    "selfblend": PreparedCrops,
    "aligned": PreparedAligned,
    "clips": PreparedClips,
    "blended_clips": BlendedClips,
    "labelled": LabelledFaces,
}


def load_data(folder: Path, recipe: Recipe) -> Data:
    """Read a prepared folder, or one of packs, as the recipe wants it.

    Raises:
        UsageError: See the class of each kind.
    """
    return _KINDS[recipe.data.kind](folder, recipe)
