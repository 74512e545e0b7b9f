"""Say who is in which clip."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unmask.cli.console import exit_code, interruptible, printable, progress, say, wrong_use
from unmask.cli.limits import LIMITS_OPTION, parse_limits

if TYPE_CHECKING:
    from unmask.identities.gather import FilePeople, Gatherer
    from unmask.identities.people import Person
    from unmask.scan.inputs import Input

EPILOG = (
    "Two files and no folder: whether they show one person. Exit codes: 0 faces were found in every file; 3 not in "
    "some; 4 in none, or over half failed alike; 2 wrong use."
)


def people(
    inputs: Annotated[
        list[str], typer.Argument(metavar="FOLDER|FILE...", help="Clips and pictures.", show_default=False)
    ],
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Look into the folders of folders.")] = False,
    known: Annotated[
        Path | None,
        typer.Option(help="Folder of pictures with names, Ada.jpg or Ada/1.jpg: who is who.", show_default=False),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write a contact sheet, NAME.html.", show_default=False)] = None,
    csv: Annotated[
        Path | None,
        typer.Option(help="Write a table, one row for each span; - for stdout.", show_default=False),
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write it all as JSON; - for stdout.", show_default=False)] = None,
    identity: Annotated[
        Path | None, typer.Option(help="Folder of another face embedder. Default: bundled.", show_default=False)
    ] = None,
    frames: Annotated[int, typer.Option(min=1, help="Frames to look at in each clip.")] = 16,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Files under way at a time. Default: one per core.", show_default=False)
    ] = None,
    limits: Annotated[list[str] | None, LIMITS_OPTION] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no summary.")] = False,
) -> None:
    """Say who is in which clip or picture of a folder, whether two files show one person, and who it is."""
    with wrong_use(), interruptible("nothing was written"):
        from unmask.identities.gather import Gatherer
        from unmask.identities.people import group_people, list_files, passed_over, read_known
        from unmask.storage.walk import is_folder

        items = list_files(inputs, recursive=recursive)
        _check(csv, json, html, [*inputs, *(item.path for item in items), *([str(known)] if known else [])])
        if not quiet and (passed := passed_over(inputs, recursive=recursive)):
            say(f"unmask: passed over: {passed}")
        gatherer = Gatherer(identity or "bundled", frames=frames, limits=parse_limits(limits or ()))
        names = read_known(str(known), gatherer.read, lambda text: say(f"unmask: {text}")) if known else ()
        files = list(progress(_read(gatherer, items, workers), len(items), "looking for faces", quiet))
        statuses = Counter(file.status for file in files)
        for file in files:
            if file.reason:
                say(f"unmask: {printable(file.path)}: {file.reason}")
        found = group_people(files, gatherer.embedder.card, names)
        is_pair = len(items) == 2 and not any(map(is_folder, inputs)) and known is None
        if not any(path is not None and str(path) == "-" for path in (csv, json)):
            if is_pair:
                _print_comparison(files, gatherer)
            else:
                _print_people(found)
        _write(found, files, gatherer, csv, json, html)
    if not quiet and not is_pair:
        say(f"{len(found)} {'person' if len(found) == 1 else 'people'} in {len(files)} files")
    raise SystemExit(exit_code(statuses))


def _check(csv: Path | None, json: Path | None, html: Path | None, inputs: Sequence[str]) -> None:
    """Refuse outputs that would destroy something, before any work."""
    from unmask.cli.outputs import check_named
    from unmask.errors import UsageError
    from unmask.identities.outputs import JSON, SHEET, TABLE

    if str(csv) == str(json) == "-":
        raise UsageError("only one of --csv and --json can go to stdout; name a file for the other")
    check_named((("--csv", csv, TABLE), ("--json", json, JSON), ("--html", html, SHEET)), inputs)


def _read(gatherer: Gatherer, items: Sequence[Input], workers: int | None) -> Iterator[FilePeople]:
    from unmask.runtime.parallel import Failure, cores, map_items

    for _, outcome in map_items(gatherer.read, items, workers or cores()):
        if isinstance(outcome, Failure):
            raise outcome.error
        yield outcome


def _print_people(found: Sequence[Person]) -> None:
    """Print one line a person: number, name where known, files, and when in each."""
    from unmask.identities.outputs import name_of, times_of

    for person in found:
        where = []
        for each in person.appearances:
            times = times_of(each.seen.spans)
            where.append(f"{each.file.name} ({times})" if times else each.file.name)
        count = len(person.appearances)
        files = f"{count} file{'s' * (count != 1)}"
        print(printable(f"person {person.person:<4} {name_of(person):<12} {files:>9}  {', '.join(where)}"))


def _print_comparison(files: Sequence[FilePeople], gatherer: Gatherer) -> None:
    from unmask.identities.outputs import comparison_text
    from unmask.identities.people import compare_files

    one, other = files
    found = compare_files(one, other, gatherer.embedder.card)
    print(printable(comparison_text(found, one, other, gatherer.settings)))


def _write(
    found: Sequence[Person],
    files: Sequence[FilePeople],
    gatherer: Gatherer,
    csv: Path | None,
    json: Path | None,
    html: Path | None,
) -> None:
    from unmask.identities.outputs import people_row, write_people_table, write_sheet
    from unmask.report.json import write_json
    from unmask.storage.rowlog import json_line

    if csv is not None:
        write_people_table(found, sys.stdout.buffer if str(csv) == "-" else csv)
    if json is not None:
        row: dict[str, Any] = people_row(found, files, gatherer.settings)
        if str(json) == "-":
            print(json_line(row))
        else:
            write_json(row, json)
    if html is not None:
        write_sheet(found, files, gatherer.settings, html)
