"""Train a network by a recipe."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unmask.cli.console import ExitCode, progress, say, wrong_use
from unmask.cli.outputs import CASCADE, EMBEDDER, LOSSES, RUN, check_output

if TYPE_CHECKING:
    from unmask.training.cluster import Cluster
    from unmask.training.loop import Trainer
    from unmask.training.recipe import Recipe


class Device(StrEnum):
    """Where the network is trained."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


def train(
    recipe: Annotated[
        Path | None, typer.Argument(help="A file, or the name of one that comes along, e.g. tiny.", show_default=False)
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder of unmask prepare; mtcnn: a table of boxes; embedder: a folder a person.", show_default=False
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run.", show_default=False)] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change the recipe, e.g. data.fold=1.", show_default=False),
    ] = None,
    device: Annotated[Device, typer.Option(help="auto: the graphics card where there is one.")] = Device.AUTO,
    workers: Annotated[int, typer.Option(min=0, help="Processes that load crops, beside this one.")] = 0,
    checkpoint_every: Annotated[
        int | None, typer.Option(min=1, help="Steps between checkpoints within an epoch.", show_default=False)
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint in --out.")] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Read some data, take a few steps, tell time, memory and disk; keep nothing."),
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option(
            help="Draw the losses of this run, or log of the DFDC winner's script, as a page.", show_default=False
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no summary.")] = False,
) -> None:
    """Train a network; the same command runs alone, under torchrun and under srun."""
    with wrong_use():
        if plot is not None:
            _plot(plot)
            return
        from unmask.errors import UsageError

        if recipe is None or data is None or out is None:
            raise UsageError("training needs a recipe, --data and --out; or name a run to --plot")
        from unmask.training.recipes import find_recipe

        file = find_recipe(recipe)
        if (kind := _kind(file)) in _OTHERS:
            if dry_run:
                raise UsageError(f"--dry-run is for recipes of networks that judge, and {file.name} is of kind {kind}")
            form, run = _OTHERS[kind]
            check_output("--out", out, form, [data, recipe])
            from unmask.storage.lock import sole_writer

            with sole_writer(out):
                run(file, data, out, dict(map(_change, changes or ())), device, resume, quiet)
            return
        check_output("--out", out, RUN, [data, recipe])
        from unmask.training.cluster import join
        from unmask.training.loop import Trainer
        from unmask.training.recipe import load_recipe

        loaded = load_recipe(file, dict(map(_change, changes or ())))
        with join(device.value) as cluster:
            if dry_run:
                if cluster.size > 1:
                    raise UsageError("--dry-run is for one process; start it without torchrun or srun")
                _rehearse(loaded, data, out, cluster, workers)
                return
            with _sole_run(out, cluster):
                trainer = Trainer(
                    loaded, data, out, cluster, resume=resume, workers=workers, checkpoint_every=checkpoint_every
                )
                _train_to_the_end(trainer, out, quiet or not cluster.is_first)


def _train_to_the_end(trainer: Trainer, out: Path, quiet: bool) -> None:
    try:
        with _stop_on_sigterm(trainer):
            _run(trainer, quiet)
    except KeyboardInterrupt:
        say("unmask: interrupted; --resume goes on from the last checkpoint")
        raise SystemExit(ExitCode.INTERRUPTED) from None
    if trainer.stopped:
        if trainer.cluster.is_first:
            say(f"unmask: told to end; {out / 'last'} is written, --resume goes on")
        raise SystemExit(ExitCode.TERMINATED)


def _rehearse(recipe: Recipe, data: Path, out: Path, cluster: Cluster, workers: int) -> None:
    from unmask.errors import UsageError
    from unmask.training.rehearsal import rehearse

    found = rehearse(recipe, data, out, cluster, workers=workers)
    of = "" if found.memory_limit_bytes is None else f" of {found.memory_limit_bytes / 1e9:.1f}"
    print(f"data    {found.training_items} items an epoch, {found.validation_items} that validate")
    print(
        f"time    about {found.hours:.2g} h: {found.steps} steps of {found.step_seconds:.2g} s, "
        f"{found.validations} validations"
    )
    if found.memory_bytes is not None:
        print(f"memory  {found.memory_bytes / 1e9:.1f}{of} GB on {cluster.device}")
    print(f"disk    {found.disk_bytes / 1e9:.2g} GB for checkpoints, {found.disk_free_bytes / 1e9:.0f} GB are free")
    if found.shortages:
        raise UsageError("; ".join(found.shortages))
    print(f"ready: the same command without --dry-run trains {recipe.name}")


@contextmanager
def _sole_run(out: Path, cluster: Cluster) -> Iterator[None]:
    """Hold the folder of a run for the length of the block; where the first process cannot, all of them are refused."""
    from unmask.errors import UsageError
    from unmask.storage.lock import sole_writer

    with ExitStack() as held:
        refused: UsageError | None = None
        if cluster.is_first:
            try:
                held.enter_context(sole_writer(out))
            except UsageError as error:
                refused = error
        if cluster.any_of(refused is not None):
            raise refused or UsageError(f"the first process cannot write {out}")
        yield


@contextmanager
def _stop_on_sigterm(trainer: Trainer) -> Iterator[None]:
    """Finish the step and write a checkpoint when a scheduler is about to take the machine away."""
    before = signal.signal(signal.SIGTERM, lambda *_: trainer.stop())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _kind(file: Path) -> str | None:
    from unmask.training.recipe import recipe_kind

    return recipe_kind(file)


def _train_cascade(
    file: Path, table: Path, out: Path, changes: dict[str, Any], device: Device, resume: bool, quiet: bool
) -> None:
    from unmask.training.cascade import load_cascade_recipe, train_cascade

    recipe = load_cascade_recipe(file, changes)
    events = train_cascade(recipe, table, out, device=device.value, resume=resume)
    for event in progress(events, 3 * recipe.steps, "training", quiet):
        if event["event"] == "validation" and not quiet:
            print(
                f"{event['network']} step {event['step']:>6}  accuracy {event['accuracy']:.4f}  IoU {event['iou']:.4f}"
            )


def _train_embedder(
    file: Path, folder: Path, out: Path, changes: dict[str, Any], device: Device, resume: bool, quiet: bool
) -> None:
    from unmask.training.embedder import load_embedder_recipe, train_embedder

    recipe = load_embedder_recipe(file, changes)
    events = train_embedder(recipe, folder, out, device=device.value, resume=resume)
    for event in progress(events, recipe.steps, "training", quiet):
        if event["event"] == "validation" and not quiet:
            print(
                f"step {event['step']:>6}  equal error rate {event['equal_error_rate']:.4f}  "
                f"accepted at 0.01 {event['accepted']:.4f}",
                flush=True,
            )
    if not quiet:
        print(f"{out / 'model'}: unmask scan clip.mp4 --identity {out / 'model'}")


_OTHERS = {"cascade": (CASCADE, _train_cascade), "embedder": (EMBEDDER, _train_embedder)}
"""Kind of a recipe that trains no judge -> the form of its run, and what trains."""


def _run(trainer: Trainer, quiet: bool) -> None:
    left = trainer.iterations - trainer.iteration + trainer.recipe.epochs - trainer.epoch
    for event in progress(trainer.run(), left, "training", quiet):
        if event["event"] == "epoch" and not quiet:
            print(epoch_line(event), flush=True)


def epoch_line(event: dict[str, Any]) -> str:
    """Return an epoch as a line."""
    values = {"reals": "real_loss", "fakes": "fake_loss", "loss": "loss", "AUC": "auc"}
    known = [f"{name} {event[key]:.4f}" for name, key in values.items() if event.get(key) is not None]
    return f"epoch {event['epoch']:>3}  {'  '.join(known)}"


def _plot(run: Path) -> None:
    from unmask.training.plot import plot_page, write_plot

    page = plot_page(run)
    check_output("--plot", page, LOSSES)
    chosen = write_plot(run, page)
    print(f"{page}: candidate epochs: {', '.join(map(str, chosen)) or 'none yet'}")


def _change(text: str) -> tuple[str, Any]:
    """Read ``key=value``, the value as TOML where it is TOML, else as text."""
    import tomllib

    from unmask.errors import UsageError

    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UsageError(f"--set {text}: write KEY=VALUE, e.g. data.fold=1")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value
