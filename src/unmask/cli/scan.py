"""Judge videos: one line a video on stdout, and the files you ask for."""

from __future__ import annotations

import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unmask.cli.console import ExitCode, exit_code, interruptible, printable, progress, say, wrong_use
from unmask.cli.limits import LIMITS_OPTION, parse_limits

if TYPE_CHECKING:
    from unmask.media import Limits
    from unmask.scan.base import BaseScanner
    from unmask.scan.inputs import Input
    from unmask.scan.journal import Journal
    from unmask.scan.options import ScanKeywords

Row = dict[str, Any]

EPILOG = "Exit codes: 0 every video was judged; 3 some were not; 4 none was, or over half failed alike; 2 wrong use."


class Precision(StrEnum):
    """Number format of the network."""

    AUTO = "auto"
    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"
    INT8 = "int8"


class Preset(StrEnum):
    """Names of published systems, see `unmask.systems.presets.PRESETS`."""

    WINNER = "winner"
    WINNER_EXACT = "winner-exact"
    B5X15 = "b5x15"
    ROBUSTFORENSICS = "robustforensics"


class Fuse(StrEnum):
    """Names of fusion rules, see `unmask.models.FUSIONS`."""

    WINNER = "winner"
    WM = "wm"
    NTECH = "ntech"
    ROBUST = "robust"
    DEEPWARE = "deepware"
    MEAN = "mean"
    MAX = "max"


def scan(
    context: typer.Context,
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="VIDEO...",
            help="Files, folders and https addresses; - reads a list from stdin.",
            show_default=False,
        ),
    ],
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Look into the folders of folders.")] = False,
    follow_links: Annotated[
        bool, typer.Option("--follow-links", help="Follow links within folders; those you name always are.")
    ] = False,
    csv: Annotated[
        Path | None, typer.Option(help="Write the challenge's table: filename,label.", show_default=False)
    ] = None,
    json: Annotated[
        Path | None, typer.Option(help="Write one JSON verdict a line; - for stdout.", show_default=False)
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write a report folder: index.html and a page a video.", show_default=False)
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(help="Name or folder of a model; repeat for an ensemble. Default: bundled.", show_default=False),
    ] = None,
    preset: Annotated[
        Preset | None, typer.Option(help="Scan as a published system does; --model replaces its models.")
    ] = None,
    frames: Annotated[int, typer.Option(min=1, help="Frames to look at in each video.")] = 32,
    fuse: Annotated[
        Fuse | None, typer.Option(help="How scores become one number. Default: as the first model's card says.")
    ] = None,
    adaptive: Annotated[
        bool, typer.Option("--adaptive", help="Stop looking, and asking models, once a video is clear.")
    ] = False,
    identity: Annotated[
        Path | None, typer.Option(help="Folder of a face embedder: one person in several shots is one.")
    ] = None,
    precision: Annotated[Precision, typer.Option(help="auto: bf16 where model and CPU allow.")] = Precision.AUTO,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:N, or auto: the GPU, if any.")] = "auto",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Videos under way at a time. Default: one per core.", show_default=False)
    ] = None,
    limits: Annotated[list[str] | None, LIMITS_OPTION] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Keep what an interrupted run, or an earlier --json, has of the same files."),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no summary.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="A table of the people, and all reasons.")] = False,
) -> None:
    """Judge videos: one line a video on stdout, and the files you ask for."""
    statuses: Counter[str] = Counter()
    json_to_stdout = json is not None and str(json) == "-"
    json_file = None if json_to_stdout else json
    outputs = [path for path in (json_file, csv, html) if path is not None]
    how_to_go_on = "--resume goes on" if outputs else "with --json, --csv or --html, --resume can go on another time"
    with wrong_use(), interruptible(how_to_go_on), ExitStack() as stack:
        from unmask.scan.inputs import list_inputs

        _check_outputs(outputs, html, resume)
        items = list_inputs(_names(inputs), recursive=recursive, follow_links=follow_links)
        if not items:
            say("unmask: no video found; name files, or folders that hold some (-r looks deeper)")
            raise SystemExit(ExitCode.WRONG_USE)
        options: ScanKeywords = {"precision": precision.value, "workers": workers}
        if _is_given(context, "device"):
            options["device"] = device
        if preset is None or _is_given(context, "frames"):
            options["frames"] = frames
        if fuse is not None:
            options["fuse"] = fuse.value
        if adaptive:
            options["adaptive"] = True
        if identity is not None:
            options["identity"] = identity
        costs = options["limits"] = parse_limits(limits or ())
        scanner = _scanner(preset, model or [], options)
        journal = _open_journal(stack, outputs, scanner.settings_hash, resume, json_file) if outputs else None
        for row in progress(_rows(scanner, items, journal, costs), len(items), "scanning", quiet):
            statuses[row["status"]] += 1
            _print_row(row, verbose, json_to_stdout)
        if journal is not None:
            _write_outputs(journal, items, csv, json_file, html)
            journal.discard()
    if not quiet and len(items) > 1:
        say(", ".join(f"{count} {status}" for status, count in statuses.most_common()))
    raise SystemExit(exit_code(statuses))


def _scanner(preset: Preset | None, models: Sequence[str], options: ScanKeywords) -> BaseScanner:
    from unmask.scan.scanner import Scanner
    from unmask.systems.presets import open_preset

    if preset is not None:
        return open_preset(preset.value, models, **options)
    return Scanner(models or "bundled", **options)


def _is_given(context: typer.Context, option: str) -> bool:
    """Tell whether the user named an option, even with its default value."""
    source = context.get_parameter_source(option)
    return source is not None and source.name == "COMMANDLINE"


def _names(inputs: Sequence[str]) -> Iterator[str]:
    for name in inputs:
        if name != "-":
            yield name
            continue
        for line in sys.stdin.buffer:
            if stripped := line.rstrip(b"\r\n"):
                yield stripped.decode("utf-8", "surrogateescape")


def _check_outputs(outputs: Sequence[Path], html: Path | None, resume: bool) -> None:
    """Refuse, before any work, outputs that cannot be written after it."""
    from unmask.errors import UsageError

    if resume and not outputs:
        raise UsageError("--resume needs an output to go on with: --json, --csv or --html")
    if len({path.absolute() for path in outputs}) < len(outputs):
        raise UsageError("two outputs have the same name")
    for path in outputs:
        if not path.absolute().parent.is_dir():
            raise UsageError(f"cannot write {path}: its folder does not exist; create it first")
        if path.is_dir() and path is not html:
            raise UsageError(f"cannot write {path}: this is a folder; name a file")
        if path.is_file() and path is html:
            raise UsageError(f"cannot write the report to {path}: this is a file; name a folder")


def _open_journal(
    stack: ExitStack, outputs: Sequence[Path], settings_hash: str, resume: bool, finished: Path | None
) -> Journal:
    """Hold the outputs, and open the journal beside the first; in a temporary folder when that is a device."""
    from unmask.scan.journal import Journal
    from unmask.storage.atomic import is_device
    from unmask.storage.lock import sole_writer

    for path in outputs:
        if not is_device(path):
            stack.enter_context(sole_writer(path))
    beside = outputs[0].absolute()
    if is_device(beside):
        beside = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "scan"
    path = beside.with_name(f"{beside.name}.partial")
    journal = stack.enter_context(Journal(path, settings_hash, resume=resume, finished=finished))
    if resume and journal.foreign_rows:
        say(
            f"unmask: {journal.foreign_rows} rows of an earlier run were made with other models or settings, or by "
            "another version of unmask; their videos are scanned again"
        )
    return journal


def _rows(scanner: BaseScanner, items: Sequence[Input], journal: Journal | None, limits: Limits) -> Iterator[Row]:
    """Yield one row for each input, in order; unchanged rows of an earlier run are used again."""
    known = _known(items, journal, limits) if journal is not None else set()
    keep = (lambda verdict: journal.append(verdict.to_dict())) if journal is not None else None
    fresh = scanner.scan_many((item for item in items if item.path not in known), on_verdict=keep)
    for item in items:
        if journal is not None and item.path in known:
            yield from journal.rows([item.path])
        else:
            yield next(fresh).to_dict()


def _known(items: Sequence[Input], journal: Journal, limits: Limits) -> set[str]:
    """Return the inputs that have not changed since an earlier run left their rows. Addresses are fetched for that."""
    from unmask.runtime.parallel import Failure, cores, map_items
    from unmask.scan.inputs import hash_input

    stopping = threading.Event()
    there = [(item, sha256) for item in items if (sha256 := journal.sha256_of(item.path)) is not None]

    def is_same(found: tuple[Input, str]) -> bool:
        return hash_input(found[0], limits.download_bytes, stopping.is_set) == found[1]

    known = set()
    for (item, _), answer in map_items(is_same, there, cores(), stopping):
        if isinstance(answer, Failure):
            raise answer.error
        if answer:
            known.add(item.path)
    return known


def _print_row(row: Row, verbose: bool, as_json: bool) -> None:
    """Print one verdict: a line, with its people where that is asked for, or JSON."""
    from unmask.storage.rowlog import json_line

    if as_json:
        print(json_line(row), flush=True)
        return
    probability = row["fake_probability"]
    number = "  -- " if probability is None else f"{probability:5.2f}"
    print(f"{row['label'] or row['status']:<12} {number}  {printable(row['path'])}  {row['reasons'][0]}", flush=True)
    if not verbose:
        return
    for text in (*row["reasons"][1:], *row["warnings"]):
        print(f"    {text}")
    for face in row["faces"]:
        print(
            f"    person {face['person']:<3} {face['label']:<12} {face['fake_probability']:5.2f}  "
            f"{face['start_seconds']:6.1f} - {face['end_seconds']:.1f} s  {face['frames']} frames"
        )


def _write_outputs(
    journal: Journal, items: Sequence[Input], csv: Path | None, json: Path | None, html: Path | None
) -> None:
    from unmask.report import write_csv, write_index, write_json_lines
    from unmask.runtime.jsonable import portable
    from unmask.storage.atomic import sweep

    paths = [item.path for item in items]
    if csv is not None:
        rows = zip(items, journal.rows(paths), strict=True)
        unknown = write_csv(((portable(item.name), row["fake_probability"]) for item, row in rows), csv)
        if unknown:
            say(f"unmask: {unknown} videos have no number; {csv} says 0.5 for them, since its form needs one")
    if html is not None:
        sweep(html)
        write_index(journal.rows(paths), html)
    if json is not None:
        write_json_lines(journal.rows(paths), json)
