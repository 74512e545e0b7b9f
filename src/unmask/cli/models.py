"""See which models are there, and whether their files are whole."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unmask.cli.console import ExitCode, say, wrong_use

app = typer.Typer(help=__doc__, no_args_is_help=True)


@app.command("list")
def list_models() -> None:
    """List the models by name, with their purpose and terms."""
    with wrong_use():
        from unmask.models import load_card, model_folder, model_names

        for name in model_names():
            folder = model_folder(name)
            card = load_card(folder)
            print(f"{name}  ({card.name} {card.version})")
            print(f"    {card.purpose}")
            print(f"    licence: {card.licence}")
            print(f"    folder:  {folder}")


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
        from unmask.training.export import export_run

        card = export_run(run, out, checkpoint=checkpoint, licence=licence, version=version)
        print(f"{out}: {card.name} {card.version}, {card.files['model.onnx'].bytes / 1e6:.1f} MB")


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
        from unmask.datasets.calibration import read_crop_sets
        from unmask.models import load_card, model_folder
        from unmask.models.quantise import quantise_model

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
            print(f"{name}: {len(card.files)} file{'s' * (len(card.files) != 1)} as the card says")
    raise SystemExit(ExitCode.SOME_NOT_OK if failed else ExitCode.ALL_OK)
