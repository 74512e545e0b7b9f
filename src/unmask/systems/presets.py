"""Published systems by name: the models, frames, crops and fusion that gave their numbers.

scanner = unmask.open_preset("winner")
scanner = unmask.open_preset("winner", ["models/a", "models/b"])    # other weights, same frames, crops and fusion
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from unmask.errors import UsageError
from unmask.scan.base import BaseScanner, PathLike
from unmask.systems.preset import Preset
from unmask.systems.robustforensics.preset import ROBUSTFORENSICS
from unmask.systems.winner.presets import B5X15, WINNER, WINNER_EXACT

PRESETS: dict[str, Preset] = {
    "winner": WINNER,
    "winner-exact": WINNER_EXACT,
    "b5x15": B5X15,
    "robustforensics": ROBUSTFORENSICS,
}
"""Name -> preset."""


def open_preset(name: str, models: PathLike | Sequence[PathLike] = (), **options: Any) -> BaseScanner:
    """Load a published system by name.

    Args:
        name: In `PRESETS`.
        models: In place of the preset's; names or folders.
        options: Fields of `ScanOptions`, in place of the preset's.

    Raises:
        ModelError: Models are missing or damaged.
        UsageError: An unknown name, models that do not fit, or an option that makes no sense.
    """
    if name not in PRESETS:
        raise UsageError(f"unknown preset {name!r}; use one of {', '.join(PRESETS)}")
    chosen = [models] if isinstance(models, (str, os.PathLike)) else models
    scanner = PRESETS[name].open(chosen, **options)
    scanner.settings["preset"] = name  # so that a report can say how to repeat the scan
    return scanner
