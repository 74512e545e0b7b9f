"""Make a small dataset to try the other commands on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unmask.cli.console import interruptible, wrong_use
from unmask.cli.outputs import SAMPLE, check_output


def sample(
    out: Annotated[Path, typer.Argument(help="Folder to write; must not exist or be empty.", show_default=False)],
    sources: Annotated[
        list[Path],
        typer.Argument(metavar="PORTRAIT_OR_CLIP...", help="Images of faces, or authentic clips.", show_default=False),
    ],
    parts: Annotated[int, typer.Option(min=1, help="Number of DFDC parts; three or four clips each.")] = 3,
    seconds: Annotated[float, typer.Option(min=0.04, help="Length of each clip.")] = 2.0,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same fakes.")] = 0,
    groups: Annotated[
        bool,
        typer.Option("--groups", help="Add clips of two people of whom one is changed, or for a part of the time."),
    ] = False,
) -> None:
    """Write a small dataset in the form of the Deepfake Detection Challenge, with self-blended fakes."""
    with wrong_use(), interruptible(f"remove {out} and start again"):
        from unmask.augment.selfblend import self_blend
        from unmask.datasets.synthetic import write_sample

        check_output("OUT", out, SAMPLE, sources)
        clips = write_sample(out, sources, self_blend, parts=parts, seconds=seconds, seed=seed, groups=groups)
    print(f"{out}: {clips} clips in {parts} parts")
