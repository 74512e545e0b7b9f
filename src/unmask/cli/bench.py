"""Compare models on datasets: the field's tables from one command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unmask.cli.console import ExitCode, interruptible, printable, progress, say, wrong_use
from unmask.cli.options import WORKERS_OPTION
from unmask.cli.outputs import BENCH, check_output

if TYPE_CHECKING:
    from unmask.bench import BenchDataset, Entrant, Predictions, Result
    from unmask.bench.metamorphic import RelationResult
    from unmask.bench.run import Copy

EPILOG = (
    "Exit codes: 0 every clip was judged by every model; 3 some were not, or a copy that shows the same has another "
    "number; 2 wrong use. Run again with the same --out, "
    "it goes on, and takes over what is there for other models, datasets and measures."
)


def bench(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL...", help="Names or folders; a+b is an ensemble. Default: bundled.", show_default=False
        ),
    ] = None,
    on: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]DATASET",
            help="A folder, CSV or index.parquet, or predictions of deepsafe-bench; repeat for more.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for tables, page and answers.", show_default=False)] = None,
    frames: Annotated[int, typer.Option(min=1, help="Frames of each clip.")] = 32,
    split: Annotated[
        str | None,
        typer.Option(help="Clips of this split, or all. Default: test where there is one.", show_default=False),
    ] = None,
    clips: Annotated[
        int | None, typer.Option(min=1, help="Clips of each label and dataset, at most.", show_default=False)
    ] = None,
    robustness: Annotated[
        bool, typer.Option("--robustness", help="Also on changed copies: distortions, codecs, platforms, captions.")
    ] = False,
    cell: Annotated[
        list[str] | None,
        typer.Option(help="With --robustness: this change alone, e.g. blur or 'blur 3'; repeat.", show_default=False),
    ] = None,
    metamorphic: Annotated[
        bool, typer.Option("--metamorphic", help="Also check that copies which show the same have the same number.")
    ] = False,
    bootstrap: Annotated[int, typer.Option(min=1, help="Resamples for the intervals.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the resamples.")] = 0,
    workers: Annotated[int | None, WORKERS_OPTION] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:N, or auto.")] = "auto",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no remarks.")] = False,
) -> None:
    """Compare models on datasets: AUC, EER, AP and more, with intervals over source videos and published numbers."""
    with wrong_use(), interruptible("run it again, it goes on"):
        from unmask.bench import Predictions, write_outputs
        from unmask.bench.cells import chosen_cells, copies_of
        from unmask.bench.compare import compare, compare_matrix, open_entrants, write_matrices
        from unmask.bench.metamorphic import copies_of_relations, extra_of_relations
        from unmask.bench.metamorphic import metamorphic as check_relations
        from unmask.bench.outputs import ANSWERS, Extra
        from unmask.bench.robustness import extra_of
        from unmask.bench.robustness import robustness as measure_cells
        from unmask.bench.store import AS_IT_IS
        from unmask.bench.tables import markdown

        folder, (matrices, named) = _folder(out, on or []), _datasets(on or [])
        cells = chosen_cells(cell or []) if robustness or cell else []
        relations = copies_of_relations() if metamorphic else []
        datasets = _open(named, split, clips)
        entrants = open_entrants(models or ["bundled"], frames, device=device) if datasets else []
        folder.mkdir(parents=True, exist_ok=True)
        results = [item for name, path in matrices for item in compare_matrix(path, name, bootstrap, seed)]
        with Predictions(folder / ANSWERS) as kept:
            copies = [(AS_IT_IS, None), *copies_of(cells), *relations]
            _scan(entrants, datasets, copies, kept, workers, quiet)
            results += compare(entrants, datasets, kept, bootstrap, seed)
            if datasets:
                write_matrices(entrants, datasets, kept, folder)
            changed = measure_cells(entrants, datasets, cells, kept, repeats=bootstrap, seed=seed)
            checked = check_relations(entrants, datasets, kept) if metamorphic else []
        extra = (extra_of(changed, cells) if cells else Extra()) + (extra_of_relations(checked) if checked else Extra())
        tables = write_outputs(results, folder, extra)
    print(markdown(tables))
    raise SystemExit(_end(results, checked, quiet))


def _folder(out: Path | None, on: list[str]) -> Path:
    from unmask.bench import named_path
    from unmask.errors import UsageError

    if out is None or not on:
        raise UsageError("name a dataset with --on, and with --out the folder for tables and answers")
    check_output("--out", out, BENCH, [named_path(text)[1] for text in on])
    return out


def _datasets(on: list[str]) -> tuple[list[tuple[str, Path]], list[tuple[str, Path]]]:
    """Return the tables of deepsafe-bench and the datasets, each with its name."""
    from unmask.bench import named_path
    from unmask.bench.deepsafe import is_matrix
    from unmask.errors import UsageError

    named = [named_path(text) for text in on]
    names = [name for name, _ in named]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"two datasets are called {twice!r}; name them: --on NAME=DATASET")
    matrices = [item for item in named if is_matrix(item[1])]
    return matrices, [item for item in named if item not in matrices]


def _open(named: list[tuple[str, Path]], split: str | None, clips: int | None) -> list[BenchDataset]:
    from unmask.bench import open_dataset

    return [open_dataset(name, path, split=split, clips=clips) for name, path in named]


def _scan(
    entrants: list[Entrant],
    datasets: list[BenchDataset],
    copies: list[tuple[str, Copy | None]],
    kept: Predictions,
    workers: int | None,
    quiet: bool,
) -> None:
    from unmask.bench import jobs_of, run

    jobs = jobs_of(datasets, copies)
    for _ in progress(run(jobs, entrants, kept, workers), len(jobs), "scanning", quiet):
        pass


def _end(results: list[Result], checked: list[RelationResult], quiet: bool) -> ExitCode:
    """Say what has no answer, and return the exit code."""
    missing = any(relation.broken for relation in checked)
    for result in results:
        failed = {status: count for status, count in result.statuses.items() if status not in ("ok", "ok_partial")}
        missing = missing or bool(failed) or result.evaluation is None
        if failed and not quiet:
            counts = ", ".join(f"{count} {status}" for status, count in failed.items())
            say(f"unmask: {printable(result.model)} has no number for clips of {printable(result.dataset)}: {counts}")
    return ExitCode.SOME_NOT_OK if missing else ExitCode.ALL_OK
