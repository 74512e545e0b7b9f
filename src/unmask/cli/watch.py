"""Watch a folder: scan what arrives in it, once each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unmask.cli.console import interruptible, printable, say, wrong_use
from unmask.cli.limits import LIMITS_OPTION, parse_limits
from unmask.cli.options import MODELS_OPTION, WORKERS_OPTION

EPILOG = "Ctrl-C stops; the next start goes on, and judges nothing again."


def watch(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder that files arrive in.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder for verdicts.jsonl and a page for each file.", show_default=False)],
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Look into the folders of the folder.")] = False,
    once: Annotated[bool, typer.Option("--once", help="Judge what is there, and end.")] = False,
    model: Annotated[list[str] | None, MODELS_OPTION] = None,
    frames: Annotated[int, typer.Option(min=1, help="Frames to look at in each video.")] = 32,
    workers: Annotated[int | None, WORKERS_OPTION] = None,
    limits: Annotated[list[str] | None, LIMITS_OPTION] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Do not say what is watched.")] = False,
) -> None:
    """Scan what arrives in a folder, once each; one line a video on stdout."""
    with wrong_use(), interruptible("start it again to go on"):
        from unmask.cli.outputs import WATCHED, check_output
        from unmask.report.words import probability_text
        from unmask.scan.inputs import survey_inputs
        from unmask.scan.scanner import Scanner
        from unmask.scan.watch import Watch

        check_output("--out", out, WATCHED, [folder])
        scanner = Scanner(model or "bundled", frames=frames, workers=workers, limits=parse_limits(limits or ()))
        with Watch(scanner, folder, out, recursive=recursive) as watched:
            if not quiet:
                say(f"unmask: watching {folder}; verdicts go to {out}; Ctrl-C stops")
                if passed_over := survey_inputs([folder], recursive=recursive).passed_over():
                    say(f"unmask: passed over: {passed_over}")
            for row in watched.rows(once=once):
                number = "" if row["fake_probability"] is None else probability_text(row["fake_probability"])
                reason = row["reasons"][0] if row["reasons"] else ""
                line = f"{row['label'] or row['status']:<13} {number:>6}  {row['path']}  {reason}"
                print(printable(line), flush=True)
