"""Options that several commands have, beside those on the limits of a file."""

from __future__ import annotations

from typing import Any

import typer

MODELS_OPTION: Any = typer.Option(
    help="Name or folder of a model; repeat for an ensemble. Default: bundled.", show_default=False
)
WORKERS_OPTION: Any = typer.Option(min=1, help="Videos under way at a time. Default: one per core.", show_default=False)
