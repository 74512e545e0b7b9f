"""See which models are there and whether their files are whole; bring in published ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unmask.cli.commands import Commands
from unmask.cli.console import ExitCode, byte_progress, printable, say, wrong_use
from unmask.cli.outputs import MODEL, check_output

if TYPE_CHECKING:
    from unmask.models import Card

app = typer.Typer(cls=Commands, help=__doc__, no_args_is_help=True)


@app.command("list")
def list_models() -> None:
    """List the models by name: what each does (a judge scores faces, a detector finds them), purpose and terms."""
    with wrong_use():
        from unmask.models import load_card, model_folder, model_names

        for name in model_names():
            folder = model_folder(name)
            card = load_card(folder)
            print(printable(f"{name}  ({card.kind}: {card.name} {card.version})"))
            print(printable(f"    {card.purpose}"))
            print(printable(f"    licence: {card.licence}"))
            print(printable(f"    folder:  {folder}"))


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="Folder of a training run.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Model folder to write.", show_default=False)],
    licence: Annotated[str, typer.Option(help="Terms of the weights, for the card.", show_default=False)],
    checkpoint: Annotated[str, typer.Option(help="Which: best, last, epoch_012 ...")] = "best",
    version: Annotated[str, typer.Option("--model-version", help="Of the weights, for the card.")] = "1",
) -> None:
    """Write a trained network as a model folder, which scan takes: ONNX, safetensors and card."""
    with wrong_use():
        check_output("--out", out, MODEL, [run])
        from unmask.training.export import export_run

        card = export_run(run, out, checkpoint=checkpoint, licence=licence, version=version)
        print(f"{out}: {card.name} {card.version}, {card.files['model.onnx'].bytes / 1e6:.1f} MB")


@app.command("import")
def import_(
    source: Annotated[
        str, typer.Argument(metavar="FILE_OR_URL", help="A released .pth or .safetensors file.", show_default=False)
    ],
    kind: Annotated[str, typer.Option("--as", help="What it is, e.g. winner-b7.", show_default=False)],
    name: Annotated[str | None, typer.Option(help="Of the model. Default: its release's.", show_default=False)] = None,
    weights: Annotated[
        str | None, typer.Option(help="Which of several sets in the file, e.g. state_dict_ema.", show_default=False)
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Turn a published checkpoint into a model, once; a process that may do nothing else reads it."""
    with wrong_use(), byte_progress("fetching", quiet) as on_progress:
        from unmask.models.checkpoints import import_checkpoint

        _print_origin(
            import_checkpoint(source, kind, name=name, weights=weights, on_progress=on_progress, say=_say_unless(quiet))
        )


@app.command()
def pull(
    release: Annotated[
        str, typer.Argument(help="What was released, e.g. winner, or hf:OWNER/NAME[@REVISION].", show_default=False)
    ],
    base_url: Annotated[
        str | None, typer.Option(help="Fetch its files from this address instead.", show_default=False)
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Of the model from a hub. Default: the repository's.", show_default=False)
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Fetch all checkpoints of a release and import them, or a model from a hub; run again, it goes on."""
    from unmask.errors import DownloadError, ModelError

    if release.startswith("hf:"):
        _pull_from_hub(release, name, quiet)
        return
    with wrong_use():
        from unmask.models.checkpoints import RELEASES, look_up
        from unmask.models.checkpoints import pull as pull_model

        there, models = 0, look_up("release", RELEASES, release).files
        for model in models:
            try:
                with byte_progress(model, quiet) as on_progress:
                    card = pull_model(
                        release, model, base_url=base_url, on_progress=on_progress, say=_say_unless(quiet)
                    )
                _print_origin(card)
            except ModelError as error:
                say(f"unmask: {error}")
            except DownloadError as error:
                say(f"unmask: {error}")
                break  # the others would fail alike
            except KeyboardInterrupt:
                say("unmask: interrupted; run it again, it goes on")
                raise SystemExit(ExitCode.INTERRUPTED) from None
            else:
                there += 1
    raise SystemExit(ExitCode.ALL_OK if there == len(models) else ExitCode.SOME_NOT_OK if there else ExitCode.NONE_OK)


def _pull_from_hub(address: str, name: str | None, quiet: bool) -> None:
    with wrong_use(), byte_progress("fetching", quiet) as on_progress:
        from unmask.models.hub import pull_folder

        card = pull_folder(address, name=name, on_progress=on_progress)
        print(printable(f"{card.name} {card.version}: {card.purpose}"))
        print(printable(f"    licence: {card.licence}"))


@app.command()
def push(
    model: Annotated[str, typer.Argument(help="Name or folder of a model.", show_default=False)],
    address: Annotated[str, typer.Argument(metavar="hf:OWNER/NAME", help="Where to.", show_default=False)],
    private: Annotated[
        bool, typer.Option("--private", help="Only the account sees a repository that is made.")
    ] = False,
) -> None:
    """Put a model and its card on a hub; pip install 'unmask[hf]', and log in with `hf auth login` or $HF_TOKEN."""
    with wrong_use():
        from unmask.models import model_folder
        from unmask.models.hub import push_folder

        print(push_folder(model_folder(model), address, private=private))


@app.command("card")
def show_card(
    model: Annotated[str, typer.Argument(help="Name or folder of a model.")] = "bundled",
) -> None:
    """Print a model's card as the README of a hub: purpose, terms, limits, training, numbers, files."""
    with wrong_use():
        from unmask.models import load_card, model_folder
        from unmask.models.readme import readme

        print(readme(load_card(model_folder(model))), end="")


def _say_unless(quiet: bool) -> Callable[[str], None]:
    return (lambda _: None) if quiet else say


def _print_origin(card: Card) -> None:
    checkpoint = card.training["checkpoint"]
    print(printable(f"{card.name}: from {checkpoint['from']}, sha256 {checkpoint['sha256']}"))


@app.command()
def quantise(
    model: Annotated[str, typer.Argument(help="Name or folder of a model.", show_default=False)],
    data: Annotated[
        Path, typer.Option(help="Folder of unmask prepare, or of face crops (real/ and fake/).", show_default=False)
    ],
    max_change: Annotated[
        float | None,
        typer.Option(
            min=0, help="Of the log loss; without labels of any score. Default: 0.005; 0.05.", show_default=False
        ),
    ] = None,
) -> None:
    """Write an int8 network beside a model's own, if it scores alike; scan --precision int8 takes it."""
    with wrong_use():
        from unmask.models import load_card, model_folder
        from unmask.models.quantise import quantise_model, require_nncf
        from unmask.prepare.crop_sets import read_crop_sets

        require_nncf()  # before the crops are read
        folder = model_folder(model)
        sets = read_crop_sets(data, load_card(folder).crop)
        crops = (sets.calibrating_NSS3, sets.checking_MSS3, sets.labels_M)
        _, check = quantise_model(folder, *crops, data=data.resolve().name, max_change=max_change)
        print(f"{folder}: {check}")


@app.command()
def verify(
    names: Annotated[
        list[str] | None, typer.Argument(help="Names or folders; all when not given.", show_default=False)
    ] = None,
) -> None:
    """Compare every file of a model with the sha256 in its card."""
    from unmask.errors import ModelError
    from unmask.models import model_folder, model_names, verify_folder

    failed = 0
    for name in names or model_names():
        try:
            card = verify_folder(model_folder(name))
        except ModelError as error:
            say(f"unmask: {error}")
            failed += 1
        else:
            print(printable(f"{name}: {len(card.files)} file{'s' * (len(card.files) != 1)} as the card says"))
    raise SystemExit(ExitCode.SOME_NOT_OK if failed else ExitCode.ALL_OK)
