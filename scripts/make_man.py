"""Write the manual page of unmask, made from the command line itself, to docs/unmask.1.

python scripts/make_man.py
man -l docs/unmask.1
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer import Context
from typer.main import get_command

from unmask._version import __version__
from unmask.cli import app

PATH = Path(__file__).parents[1] / "docs" / "unmask.1"


def page() -> str:
    """Return the page in the language of man(7)."""
    group = get_command(app)
    context = Context(group, info_name="unmask", **group.context_settings)
    lines = [
        f'.TH UNMASK 1 "" "unmask {__version__}" "User Commands"',
        ".SH NAME",
        r"unmask \- say whether the face in a video is real",
        ".SH SYNOPSIS",
        ".B unmask",
        r"[\fIoptions\fR] \fIcommand\fR [\fIarguments\fR]",
        ".SH DESCRIPTION",
        "Looks at every face of a clip and says fake, real or inconclusive, with a number and the reasons.",
        ".SH OPTIONS",
        *options(group, context),
        ".SH COMMANDS",
    ]
    for command in commands(group, context):
        lines += command
    lines += [
        ".SH EXIT STATUS",
        "0 all is well; 2 wrong use; 3 some inputs failed; 4 none succeeded; 130 and 143 interrupted; 141 nobody reads",
        "the standard output any more.",
    ]
    return "\n".join(lines) + "\n"


def walk(group: Any, parent: Context) -> Iterator[tuple[Any, Context]]:
    """Yield each command with its context, those within a group after one another."""
    for name, command in group.commands.items():
        context = Context(command, info_name=name, parent=parent)
        if hasattr(command, "commands"):
            yield from walk(command, context)
        else:
            yield command, context


def records(command: Any, context: Context) -> Iterator[tuple[str, str]]:
    """Yield arguments and options, each with its help."""
    for parameter in command.get_params(context):
        if record := parameter.get_help_record(context):
            yield record[0], " ".join(record[1].split())


def commands(group: Any, parent: Context) -> Iterator[list[str]]:
    """Yield the section of each command."""
    for command, context in walk(group, parent):
        full = context.command_path
        pieces = " ".join(command.collect_usage_pieces(context)).replace("...}...", "...}")  # some versions repeat it
        yield [
            f".SS {roff(full)}",
            rf".B {roff(full)}",
            rf".RI {quoted(pieces)}",
            ".PP",
            roff(" ".join((command.help or "").split())),
            *options(command, context),
            *([".PP", roff(command.epilog)] if command.epilog else []),
        ]


def options(command: Any, context: Context) -> Iterator[str]:
    """Yield arguments and options with their help."""
    for name, text in records(command, context):
        yield ".TP"
        yield rf".B {quoted(name)}"
        yield roff(text)


def quoted(text: str) -> str:
    """Return a text as one argument of a request."""
    return '"' + roff(text).replace('"', r"\(dq") + '"'


def roff(text: str) -> str:
    """Return a text that holds no orders."""
    text = text.replace("\\", r"\e").replace("-", r"\-")
    return r"\&" + text if text.startswith((".", "'")) else text


if __name__ == "__main__":
    PATH.write_text(page())
