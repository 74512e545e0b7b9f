"""Judge videos: one line a video on stdout, and the files you ask for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unmask.cli.console import ExitCode, exit_code, interruptible, printable, progress, say, wrong_use
from unmask.cli.limits import LIMITS_OPTION, parse_limits
from unmask.cli.options import MODELS_OPTION, WORKERS_OPTION
from unmask.cli.scale import (
    ADDRESS_OPTION,
    ENGINE_OPTION,
    METRICS_OPTION,
    SHARD_OPTION,
    EngineName,
    Scale,
    check_scaled_outputs,
    scan_at_scale,
    write_outputs,
)
from unmask.cli.scan_outputs import ScanOutputs, named_inputs
from unmask.cli.start import loading

if TYPE_CHECKING:
    from unmask.scan.base import BaseScanner
    from unmask.scan.inputs import Input
    from unmask.scan.options import ScanKeywords

Row = dict[str, Any]

EPILOG = "Exit codes: 0 every video was judged; 3 some were not; 4 none was, or over half failed alike; 2 wrong use."


class Precision(StrEnum):
    """Number format of the network."""

    AUTO = "auto"
    FASTEST = "fastest"
    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"
    INT8 = "int8"


class Sampling(StrEnum):
    """Which frames are looked at."""

    TIME = "time"
    KEYFRAMES = "keyframes"


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


@dataclass(frozen=True, slots=True)
class _Inputs:
    """The inputs as they were named, and what was said of them."""

    named: tuple[str, ...]
    recursive: bool
    follow_links: bool
    folders: bool


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
        Path | None, typer.Option(help="Write the challenge's table: filename,label; - for stdout.", show_default=False)
    ] = None,
    people: Annotated[
        Path | None,
        typer.Option(help="Write a table of the people: words, times, reason, hash; - for stdout.", show_default=False),
    ] = None,
    json: Annotated[
        Path | None, typer.Option(help="Write one JSON verdict a line; - for stdout.", show_default=False)
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write a report: a folder, or NAME.html for one video.", show_default=False)
    ] = None,
    frames_folder: Annotated[
        bool, typer.Option("--frames-folder", help="Each folder you name holds the frames of one clip, as pictures.")
    ] = False,
    pieces: Annotated[
        bool, typer.Option("--pieces", help="Each folder you name holds the pieces of one recording, as films.")
    ] = False,
    maps: Annotated[
        bool, typer.Option("--maps", help="Write into the JSON what the report shows: crops, maps, a frame.")
    ] = False,
    timing: Annotated[
        bool, typer.Option("--timing", help="Write into the JSON when and how long each video was scanned.")
    ] = False,
    model: Annotated[list[str] | None, MODELS_OPTION] = None,
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
    sampling: Annotated[
        Sampling, typer.Option(help="Which frames; keyframes alone cost little to decode.")
    ] = Sampling.TIME,
    triage: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Scan in full only what a cheap look does not show to be real up to this."),
    ] = None,
    identity: Annotated[
        Path | None,
        typer.Option(
            help="A face embedder, bundled or a folder: one person in several shots is one.", show_default=False
        ),
    ] = None,
    trust: Annotated[
        Path | None,
        typer.Option(help="PEM file: whose C2PA signatures are trusted. Takes unmask[c2pa].", show_default=False),
    ] = None,
    precision: Annotated[Precision, typer.Option(help="auto: as cards say; fastest: measured.")] = Precision.AUTO,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:N, or auto: the GPU, if any.")] = "auto",
    workers: Annotated[int | None, WORKERS_OPTION] = None,
    limits: Annotated[list[str] | None, LIMITS_OPTION] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Keep what an interrupted run, or an earlier --json, has of the same files."),
    ] = False,
    engine: Annotated[EngineName | None, ENGINE_OPTION] = None,
    address: Annotated[str | None, ADDRESS_OPTION] = None,
    shard: Annotated[str | None, SHARD_OPTION] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of a run with an engine: its parts, to go on with.", show_default=False)
    ] = None,
    metrics: Annotated[Path | None, METRICS_OPTION] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no summary.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="A table of the people, and all reasons.")] = False,
) -> None:
    """Judge videos: one line a video on stdout, and the files you ask for."""
    statuses, labels = Counter[str](), Counter[str]()
    outputs = ScanOutputs(csv, people, json, html, timing, maps)
    how_to_go_on = "--resume goes on" if outputs.files else "with --json FILE, --resume can go on another time"
    with wrong_use(), interruptible(how_to_go_on), ExitStack() as stack:
        with loading():
            from unmask.errors import UsageError
            from unmask.report.words import count_text
            from unmask.scan.resume import scan_rows

        options = _options(context, preset, precision, device, workers, frames, fuse, adaptive, identity, sampling)
        if preset is not Preset.ROBUSTFORENSICS:
            options["pictures"] = outputs.keeps_pictures
        options |= {"trust": trust} if trust else {}
        costs = options["limits"] = parse_limits(limits or ())
        scale = Scale(engine, address, shard, out, metrics)
        if scale.wanted:
            at_scale = _Inputs(tuple(inputs), recursive, follow_links, frames_folder or pieces)
            opened = partial(_scanner, preset, tuple(model or ()), options, triage)
            raise SystemExit(_scan_at_scale(scale, at_scale, outputs, opened, device, workers, resume, quiet))
        if out is not None:
            raise UsageError(
                "--out is for runs with an engine; add --engine local or --engine ray, "
                "or name a file by --json or --csv"
            )
        folders = "pieces" if pieces else "frames" if frames_folder else ""
        items = _list_items(inputs, recursive, follow_links, folders, outputs, resume, quiet)
        scanner = _scanner(preset, model or [], options, triage)
        journal = outputs.open_journal(stack, scanner.settings_hash, resume)
        for row in progress(scan_rows(scanner, items, journal, costs), len(items), "scanning", quiet):
            statuses[row["status"]] += 1
            labels[row["label"] or row["status"]] += 1
            _show(row, outputs, verbose)
        if journal is not None:
            outputs.write(journal, items)
            journal.discard()
    if not quiet and len(items) > 1:
        say(count_text(labels))
    raise SystemExit(exit_code(statuses))


def _options(
    context: typer.Context,
    preset: Preset | None,
    precision: Precision,
    device: str,
    workers: int | None,
    frames: int,
    fuse: Fuse | None,
    adaptive: bool,
    identity: Path | None,
    sampling: Sampling,
) -> ScanKeywords:
    """Return the options of a scan that were given; a preset has its own for the others."""
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
    if sampling is not Sampling.TIME:
        options["sampling"] = sampling.value
    return options


def _scanner(preset: Preset | None, models: Sequence[str], options: ScanKeywords, triage: float | None) -> BaseScanner:
    from unmask.media import prepare_decoding

    prepare_decoding(options["limits"])  # loads what it needs while networks are loaded here
    if preset is None:
        with loading():
            from unmask.scan.scanner import Scanner

        scanner: BaseScanner = Scanner(models or "bundled", **options)
    else:
        from unmask.systems.presets import open_preset

        scanner = open_preset(preset.value, models, **options)
    if triage is None:
        return scanner
    from unmask.scan.triage import with_triage

    return with_triage(scanner, triage)


def _scan_at_scale(
    scale: Scale,
    inputs: _Inputs,
    outputs: ScanOutputs,
    open_scanner: Callable[[], BaseScanner],
    device: str,
    workers: int | None,
    resume: bool,
    quiet: bool,
) -> ExitCode:
    """Scan with an engine; refuse, before any work, what such a run does not write."""
    from unmask.cli.outputs import SCALED, check_output
    from unmask.errors import UsageError
    from unmask.scale.sources import Sources

    more = {"--people": outputs.people, "--html": outputs.html, "--maps": outputs.maps, "--timing": outputs.timing}
    more["--frames-folder and --pieces"] = inputs.folders
    if refused := [option for option, value in more.items() if value]:
        raise UsageError(
            f"a run with an engine takes no {', '.join(refused)}; it writes --json, --csv and unmask merge"
        )
    if outputs.on_stdout:
        raise UsageError("a run with an engine writes to files, not to stdout; name one")
    sources = Sources(list(named_inputs(inputs.named)), inputs.recursive, inputs.follow_links)
    if scale.out is not None:
        check_output("--out", scale.out, SCALED, sources.names)
    check_scaled_outputs(sources.names, json=outputs.json, csv=outputs.csv, metrics=scale.metrics, run=scale.out)
    write = partial(write_outputs, json_lines=outputs.json, table=outputs.csv) if outputs.files else None
    return scan_at_scale(
        scale, sources, open_scanner, device=device, workers=workers, resume=resume, quiet=quiet, write=write
    )


def _is_given(context: typer.Context, option: str) -> bool:
    """Tell whether the user named an option, even with its default value."""
    source = context.get_parameter_source(option)
    return source is not None and source.name == "COMMANDLINE"


def _list_items(
    inputs: Sequence[str],
    recursive: bool,
    follow_links: bool,
    folders: str,
    outputs: ScanOutputs,
    resume: bool,
    quiet: bool,
) -> tuple[Input, ...]:
    """Return what is to be scanned, say what is not, and refuse outputs that would destroy something."""
    from unmask.scan.inputs import clip_folders, survey_inputs

    named = list(named_inputs(inputs))
    if folders:
        clips = clip_folders(named, pieces=folders == "pieces", recursive=recursive, follow_links=follow_links)
        outputs.check(named, clips, resume)
        return clips
    listing = survey_inputs(named, recursive=recursive, follow_links=follow_links)
    passed_over = listing.passed_over()
    if passed_over is not None and not quiet:
        say(f"unmask: passed over: {passed_over}")
    outputs.check(named, listing.items, resume)
    if not listing.items:
        say("unmask: no video found; name files, or folders that hold some (-r looks deeper)")
        raise SystemExit(ExitCode.WRONG_USE)
    return listing.items


def _show(row: Row, outputs: ScanOutputs, verbose: bool) -> None:
    """Print one verdict to stdout in words or as JSON, unless a table is to stand there."""
    from unmask.storage.rowlog import json_line

    if not outputs.on_stdout:
        _print_row(row, verbose)
    elif outputs.on_stdout == ["--json"]:
        print(json_line(outputs.json_row(row)), flush=True)


def _declared(row: Row) -> list[str]:
    """Say what the file declares of itself."""
    from unmask.report.words import declared_text

    return [declared_text(row["declared"])] if row["declared"] else []


def _print_row(row: Row, verbose: bool) -> None:
    """Print one verdict: a line with the reasons, and the people where that is asked for.

    Of a fake the first reason stands in the line, else all: they say what was not looked at, and what to do next. What
    limits the answer is said on stderr, so that stdout holds one line a video.
    """
    from unmask.report.words import probability_text, spans_text

    probability = row["fake_probability"]
    number = "--" if probability is None else probability_text(probability)
    reasons = row["reasons"][:1] if row["label"] == "fake" else row["reasons"]
    why = printable(" ".join((*reasons, *_declared(row))))
    print(f"{row['label'] or row['status']:<12} {number:>6}  {printable(row['path'])}  {why}", flush=True)
    if not verbose:
        for text in row["warnings"]:
            say(f"unmask: {printable(row['path'])}: {text}")
        return
    told = (fact["reason"] for fact in (*row["declared"], *row["traces"]))
    for text in (*row["reasons"][len(reasons) :], *row["warnings"], *told):
        print(f"    {printable(text)}")
    for face in row["faces"]:
        print(
            f"    person {face['person']:<3} {face['label']:<12} {probability_text(face['fake_probability']):>6}  "
            f"{spans_text(face)}, {face['frames']} frame{'s' * (face['frames'] != 1)}"
        )
