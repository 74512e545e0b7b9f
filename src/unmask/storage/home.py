"""Find the folder in which unmask keeps a user's models."""

from __future__ import annotations

import os
from pathlib import Path


def models_home() -> Path:
    """Return the folder of the user's models: ``$UNMASK_HOME/models``, by default ``~/.cache/unmask/models``."""
    home = os.environ.get("UNMASK_HOME")
    return (Path(home) if home else Path.home() / ".cache" / "unmask") / "models"
