"""Compare a suspect with the original that it was perhaps made from: an answer on stdout, and files you ask for."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unmask.cli.console import ExitCode, interruptible, printable, say, wrong_use
from unmask.cli.limits import LIMITS_OPTION, parse_limits
from unmask.cli.options import MODELS_OPTION
from unmask.cli.scan import Precision

if TYPE_CHECKING:
    from unmask.compared import Comparison

EPILOG = "Exit codes: 0 compared; 4 a file cannot be read; 5 not the same footage; 2 wrong use."


def compare(
    suspect: Annotated[
        str, typer.Argument(metavar="SUSPECT", help="The clip in question, a file or an https address.")
    ],
    original: Annotated[str, typer.Argument(metavar="ORIGINAL", help="The clip that it was perhaps made from.")],
    json: Annotated[
        Path | None, typer.Option(help="Write the comparison as JSON; - for stdout.", show_default=False)
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write a page with the pairs of frames, NAME.html.", show_default=False)
    ] = None,
    maps: Annotated[bool, typer.Option("--maps", help="Write into the JSON what the page shows: views, maps.")] = False,
    model: Annotated[list[str] | None, MODELS_OPTION] = None,
    frames: Annotated[int, typer.Option(min=8, help="Pairs of frames to compare.")] = 32,
    precision: Annotated[Precision, typer.Option(help="auto: as cards say; fastest: measured.")] = Precision.AUTO,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:N, or auto: the GPU, if any.")] = "auto",
    limits: Annotated[list[str] | None, LIMITS_OPTION] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No notes on stderr.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="A table of the people.")] = False,
) -> None:
    """Compare a suspect with its original: where the faces differ, and what the model scores in both."""
    with wrong_use(), interruptible("nothing was written"):
        from unmask.comparison.compare import compare as compare_files
        from unmask.errors import DownloadError, InputError
        from unmask.scan.scanner import Scanner

        _check(json, html, maps, (suspect, original))
        scanner = Scanner(
            model or "bundled",
            frames=frames,
            precision=precision.value,
            device=device,
            limits=parse_limits(limits or ()),
            pictures=False,
        )
        try:
            found = compare_files(suspect, original, scanner)
        except (InputError, DownloadError) as error:
            say(f"unmask: {error}")
            raise SystemExit(ExitCode.NONE_OK) from None
        _write(found, json, html, maps)
        if json is None or str(json) != "-":
            _show(found, verbose)
        if not quiet:
            for text in found.warnings:
                say(f"unmask: {text}")
    raise SystemExit(ExitCode.OTHER_FOOTAGE if found.alignment is None else ExitCode.ALL_OK)


def _check(json: Path | None, html: Path | None, maps: bool, inputs: tuple[str, str]) -> None:
    """Refuse, before any work, outputs that would destroy something."""
    from unmask.cli.outputs import check_named
    from unmask.errors import UsageError
    from unmask.report.comparison import JSON, PAGE

    if maps and json is None:
        raise UsageError("--maps writes into the JSON; name it: --json FILE")
    check_named((("--json", json, JSON), ("--html", html, PAGE)), inputs)


def _write(found: Comparison, json: Path | None, html: Path | None, maps: bool) -> None:
    from unmask.report.comparison import comparison_json, write_comparison_page
    from unmask.storage.atomic import write_file

    if html is not None:
        write_comparison_page(found.to_dict(timing=True, pictures=True), html)
    if json is not None:
        text = comparison_json(found.to_dict(pictures=maps))
        if str(json) == "-":
            sys.stdout.write(text.decode())
        else:
            write_file(json, text)


def _show(found: Comparison, verbose: bool) -> None:
    """Print the outcome with its reasons, and the people where that is asked for."""
    print(f"{found.outcome.replace('_', ' ')}  {printable(found.suspect)}  {printable(found.original)}")
    for text in found.reasons:
        print(f"    {printable(text)}")
    for face in found.faces if verbose else ():
        print(
            f"    person {face.person:<3} difference {face.difference:.3f}  beside {face.background_difference:.3f}  "
            f"scores {face.suspect_probability:.2f} and {face.original_probability:.2f}  "
            f"{face.start_seconds:6.1f} - {face.end_seconds:.1f} s  {face.frames} pairs"
        )
