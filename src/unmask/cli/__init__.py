"""Run the command line. Nothing heavy is imported until a command runs, so that ``--help`` answers at once."""

from __future__ import annotations

import io
import sys
from typing import Annotated

import typer

from unmask._version import __version__
from unmask.cli import (
    bench,
    compare,
    doctor,
    evaluate,
    explore,
    faces,
    mcp,
    models,
    people,
    prepare,
    sample,
    scale,
    scan,
    serve,
    train,
    watch,
)
from unmask.cli.commands import Commands
from unmask.cli.console import flush_stdout
from unmask.cli.start import keep_products_single
from unmask.runtime.streams import restore_standard_streams

app = typer.Typer(
    name="unmask",
    cls=Commands,
    help="Is the face in this video real?",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,  # to load what draws its boxes took longer than all the rest of --help
    pretty_exceptions_enable=False,
)
app.command(name="scan", epilog=scan.EPILOG)(scan.scan)
app.command(name="manifest")(scale.manifest)
app.command(name="merge", epilog=scan.EPILOG)(scale.merge)
app.command(name="compare", epilog=compare.EPILOG)(compare.compare)
app.command(name="people", epilog=people.EPILOG)(people.people)
app.command(name="explore", epilog=explore.EPILOG)(explore.explore)
app.command(name="faces")(faces.faces)
app.command(name="prepare", epilog=prepare.EPILOG)(prepare.prepare)
app.command(name="sample")(sample.sample)
app.command(name="train")(train.train)
app.command(name="evaluate", epilog=evaluate.EPILOG)(evaluate.evaluate)
app.command(name="bench", epilog=bench.EPILOG)(bench.bench)
app.command(name="serve", epilog=serve.EPILOG)(serve.serve)
app.command(name="watch", epilog=watch.EPILOG)(watch.watch)
app.command(name="mcp", epilog=mcp.EPILOG)(mcp.mcp)
app.command(name="doctor")(doctor.doctor)
app.add_typer(models.app, name="models")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"unmask {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Is the face in this video real?"""


def main() -> None:
    """Run the command line."""
    keep_products_single()
    restore_standard_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr is: a name that has no bytes here ends nothing
    try:
        app()
    finally:
        flush_stdout()
