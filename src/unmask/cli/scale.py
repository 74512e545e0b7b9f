"""Runs at scale: what `scan` does with an engine, and the commands `manifest` and `merge`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unmask.cli.console import ExitCode, exit_code, interruptible, say, wrong_use
from unmask.cli.scan_outputs import is_stdout, target_of

if TYPE_CHECKING:
    from unmask.scale.engines import Engine
    from unmask.scale.merge import Merge
    from unmask.scale.rows import MakeWork
    from unmask.scale.run import Run
    from unmask.scan.base import BaseScanner


_TO_STDOUT = ("--json", "--csv")


class EngineName(StrEnum):
    """Where workers run."""

    LOCAL = "local"
    RAY = "ray"


ENGINE_OPTION = typer.Option(help="Work with processes: local, or ray, on a cluster.", show_default=False)
ADDRESS_OPTION = typer.Option(help="The Ray cluster. Default: RAY_ADDRESS, or this machine.", show_default=False)
SHARD_OPTION = typer.Option(metavar="I/N", help="Do one of N parts; unmask merge joins them.", show_default=False)
METRICS_OPTION = typer.Option(help="Write counts for Prometheus to this file.", show_default=False)


@dataclass(frozen=True, slots=True)
class Scale:
    """The options of a run at scale."""

    engine: EngineName | None
    """Where workers run; None for no run at scale, or the default of a shard."""
    address: str | None
    """The Ray cluster's."""
    shard: str | None
    """Which part of the rows, ``I/N``."""
    out: Path | None
    """Folder of the run."""
    metrics: Path | None
    """File for Prometheus."""

    @property
    def wanted(self) -> bool:
        """Whether this is a run at scale.

        Raises:
            UsageError: Options are named that only such a run has.
        """
        from unmask.errors import UsageError

        wanted = self.engine is not None or self.shard is not None
        if not wanted and (self.address or self.metrics):
            raise UsageError("--address and --metrics are for runs with an engine; add --engine local or --engine ray")
        if self.address and self.engine is not EngineName.RAY:
            raise UsageError("--address names a Ray cluster; add --engine ray")
        return wanted

    def open_engine(self, workers: int | None, device: str = "cpu") -> Engine:
        """Return the engine.

        Raises:
            UsageError: Ray is not installed, or the cluster cannot be reached.
        """
        from unmask.runtime.parallel import cores

        on_gpu = is_gpu(device)
        if self.engine is EngineName.RAY:
            from unmask.scale.ray_engine import RayEngine

            return RayEngine(self.address, None if on_gpu else workers, (workers or cores()) if on_gpu else 0)
        from unmask.scale.engines import LocalEngine

        return LocalEngine(workers or cores(), _count_gpus() if on_gpu else 0)


def is_gpu(device: str) -> bool:
    """Tell whether workers are to have a graphics card each; ``auto`` takes none at scale."""
    return device.startswith("cuda")


def scan_at_scale(
    scale: Scale,
    sources: Any,
    open_scanner: Callable[[], BaseScanner],
    *,
    device: str,
    workers: int | None,
    resume: bool,
    quiet: bool,
    write: Callable[[Merge], None] | None,
) -> ExitCode:
    """Scan with an engine, and merge unless this is one of several shards.

    Args:
        scale: The options.
        sources: The inputs, `unmask.scale.sources.Sources`.
        open_scanner: Loads the scanner, in a worker.
        device: Where networks run.
        workers: Workers; None for one a core.
        resume: Go on with an earlier run.
        quiet: Say nothing.
        write: Writes the outputs; None for none.
    """
    from unmask.errors import UsageError
    from unmask.scale.plan import Shard
    from unmask.scale.run import Run, work_through
    from unmask.scale.scanning import ScanWork

    if scale.out is None:
        raise UsageError(
            "a run with an engine keeps its parts in a folder, on a disk that all workers see; name it: --out RUN"
        )
    shard, run = Shard.parse(scale.shard or "1/1"), Run(scale.out)
    if shard.count > 1 and write is not None:
        raise UsageError("a shard writes no outputs; when all are done: unmask merge RUN --json FILE --csv FILE")
    rows = len(run.prepare(sources.write, resume=resume, shard=shard))
    if not rows:
        say("unmask: no video found; name files, or folders that hold some (-r looks deeper)")
        return ExitCode.WRONG_USE
    if sources.passed.total() and not quiet:
        say(f"unmask: passed over: {sources.passed.total()} files and folders")
    tell = teller(quiet)
    make_work: MakeWork = partial(ScanWork, open_scanner, is_gpu(device))
    done = work_through(
        run, scale.open_engine(workers, device), make_work, shard=shard, resume=resume, say=tell, metrics=scale.metrics
    )
    if shard.count > 1:
        print(f"{scale.out}: {done} rows of shard {scale.shard} done; when all are: unmask merge {scale.out}")
        return ExitCode.ALL_OK
    return finish(run, write)


def finish(run: Run, write: Callable[[Merge], None] | None, tell: Callable[[str], None] = print) -> ExitCode:
    """Merge a run, write its outputs, and tell what came of it."""
    from unmask.scale.merge import Merge

    merge = Merge(run.manifest, run.index())
    if write is not None:
        write(merge)
    counts = ", ".join(f"{count} {status}" for status, count in merge.statuses.most_common())
    tell(f"{run.folder}: {merge.statuses.total()} rows: {counts}")
    return exit_code(merge.statuses)


def write_outputs(merge: Merge, json_lines: Path | None, table: Path | None, dataset: Path | None = None) -> None:
    """Write JSON lines, the challenge's table and a Parquet dataset of a run, while no other run writes them."""
    from unmask.report.csv import write_csv
    from unmask.scale.merge import write_dataset, write_lines
    from unmask.storage.atomic import is_device
    from unmask.storage.lock import sole_writer

    with ExitStack() as stack:
        for path in (json_lines, table, dataset):
            if path is not None and not is_stdout(path) and not is_device(path):
                stack.enter_context(sole_writer(path))
        if json_lines is not None:
            write_lines(merge.lines(), target_of(json_lines))
        if table is not None:
            unknown = write_csv(((name, row.get("fake_probability")) for name, row in merge.rows()), target_of(table))
            if unknown:
                say(f"unmask: {unknown} videos have no number; {table} says 0.5 for them, since its form needs one")
        if dataset is not None:
            write_dataset(merge.rows(), dataset)


def check_scaled_outputs(
    inputs: Sequence[str],
    *,
    json: Path | None = None,
    csv: Path | None = None,
    parquet: Path | None = None,
    metrics: Path | None = None,
    run: Path | None = None,
) -> None:
    """Refuse outputs that would destroy something, also within the folder of the run.

    Raises:
        UsageError: One is an input, media, or somebody else's, or cannot be written there.
    """
    from unmask.cli.outputs import COUNTS, DATASET
    from unmask.errors import UsageError
    from unmask.report.csv import TABLE
    from unmask.report.json import JSON_LINES
    from unmask.storage.outputs import Output, check_outputs

    if json and csv and is_stdout(json) and is_stdout(csv):
        raise UsageError("only one of --json and --csv can go to stdout; name a file for the other")
    named = (("--json", json, JSON_LINES), ("--csv", csv, TABLE), ("--parquet", parquet, DATASET))
    wanted = ((option, path, form) for option, path, form in (*named, ("--metrics", metrics, COUNTS)) if path)
    outputs = [Output(*each) for each in wanted if not (each[0] in _TO_STDOUT and is_stdout(each[1]))]
    parts = [] if run is None else [run, *run.rglob("*")]
    check_outputs(outputs, [*inputs, *parts])


def merge(
    run: Annotated[Path, typer.Argument(help="Folder of a run at scale, as --out named it.", show_default=False)],
    csv: Annotated[
        Path | None, typer.Option(help="Write the challenge's table: filename,label; - for stdout.", show_default=False)
    ] = None,
    json: Annotated[
        Path | None, typer.Option(help="Write one JSON verdict a line; - for stdout.", show_default=False)
    ] = None,
    parquet: Annotated[
        Path | None, typer.Option(help="Write a Parquet dataset: a folder of files of 64 MB.", show_default=False)
    ] = None,
) -> None:
    """Join the shards of a run: exactly one row for each input, in order."""
    with wrong_use(), interruptible("the parts stay; merge them again"):
        from unmask.scale.run import Run

        check_scaled_outputs([], json=json, csv=csv, parquet=parquet, run=run)
        tell = say if any(path is not None and is_stdout(path) for path in (csv, json)) else print
        code = finish(Run(run), partial(write_outputs, json_lines=json, table=csv, dataset=parquet), tell)
    raise SystemExit(code)


def manifest(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="Files, folders, patterns, addresses, s3://..., tables, lists, tar archives.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="Parquet file to write.", show_default=False)],
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Look into the folders of folders.")] = False,
    follow_links: Annotated[bool, typer.Option("--follow-links", help="Follow links within folders.")] = False,
    column: Annotated[
        str | None, typer.Option(help="Column of tables that holds the names. Default: uri, path, file ...")
    ] = None,
) -> None:
    """List inputs once, with lengths and versions, for runs at scale."""
    with wrong_use(), interruptible("nothing was written"):
        from unmask.cli.outputs import MANIFEST, check_output
        from unmask.cli.scan_outputs import named_inputs
        from unmask.scale.manifest import write_manifest
        from unmask.scale.sources import Sources

        check_output("--out", out, MANIFEST, inputs)
        sources = Sources(list(named_inputs(inputs)), recursive, follow_links, column)
        rows = write_manifest(sources.rows(), out)
        if sources.passed.total():
            say(f"unmask: passed over: {sources.passed.total()} files and folders")
    print(f"{out}: {rows} rows")
    raise SystemExit(ExitCode.ALL_OK if rows else ExitCode.WRONG_USE)


def teller(quiet: bool) -> Callable[[str], None]:
    """Return what a run at scale tells its lines."""
    return (lambda _: None) if quiet else (lambda text: say(f"unmask: {text}"))


def _count_gpus() -> int:
    """Return how many graphics cards torch sees.

    Raises:
        UsageError: None.
    """
    from unmask.models.cuda import count_devices

    return count_devices()
