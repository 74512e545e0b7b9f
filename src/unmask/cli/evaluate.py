"""Measure predictions, or a model, against labels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unmask.cli.console import ExitCode, printable, progress, say, wrong_use
from unmask.cli.outputs import EVALUATION, NUMBERS, check_output

if TYPE_CHECKING:
    from unmask.evaluation import Evaluation, Labels, Prediction
    from unmask.models import Card

EPILOG = (
    "Exit codes: 0 every row has a partner and a probability; 3 some have not, or temperature and offset of a card "
    "stayed as they were since the fit makes held-out clips worse; 2 wrong use. For a large dataset, "
    "unmask scan --json and then unmask evaluate of its file: a scan can be resumed."
)


def evaluate(
    predictions: Annotated[
        Path | None,
        typer.Argument(
            metavar="PREDICTIONS", help="JSON lines or CSV of unmask scan, or any CSV filename,label.",
            show_default=False,
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            help="CSV filename,label, an index.parquet, or a dataset's folder; alone: its clips are scanned.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(help="Scan --data with this model instead; repeat for an ensemble.", show_default=False),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Dataset to scan: a folder, a CSV, or an index.parquet.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for evaluation.json and index.html.", show_default=False)
    ] = None,
    json: Annotated[
        Path | None, typer.Option(help="Write all numbers as JSON; - for stdout.", show_default=False)
    ] = None,
    bootstrap: Annotated[int, typer.Option(min=1, help="Resamples for the intervals.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of resamples and folds.")] = 0,
    calibrate: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL", help="Fit this model's calibration and thresholds, and write them into its card.",
            show_default=False,
        ),
    ] = None,
    false_alarms: Annotated[
        float,
        typer.Option(min=0, max=0.5, help="With --calibrate: share of authentic clips that may be called fake."),
    ] = 0.05,
    error: Annotated[
        float, typer.Option(min=0.001, max=0.5, help="Share of clips that the card's thresholds may call wrongly.")
    ] = 0.05,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no remarks.")] = False,
) -> None:  # fmt: skip
    """Measure predictions, or a model, against labels: log loss, AUC and more, with intervals over source videos.

    Says also whether the thresholds of the model's card hold for these clips, and offers thresholds for a stated error.
    """
    with wrong_use():
        import unmask.evaluation as evaluation
        from unmask.report import write_json

        _check_outputs(out, json, [path for path in (predictions, labels, data) if path is not None])
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
        given, truth, about = _inputs(predictions, labels, model, data, quiet)
        measured = evaluation.evaluate(given, truth, repeats=bootstrap, seed=seed, about=about)
        measured = _with_drift(measured, given, truth, model, error)
        if calibrate is not None:
            measured = _calibrated(measured, given, truth, calibrate, false_alarms, quiet)
        if out is not None:
            evaluation.write_evaluation_page(measured, out / "index.html")
            write_json(measured.to_dict(), out / "evaluation.json")
        if json is not None and str(json) != "-":
            write_json(measured.to_dict(), json)
    _show(measured, json is not None and str(json) == "-", quiet)
    refused = measured.calibration is not None and not measured.calibration.helps
    raise SystemExit(ExitCode.SOME_NOT_OK if measured.missing or refused else ExitCode.ALL_OK)


def _check_outputs(out: Path | None, json: Path | None, inputs: list[Path]) -> None:
    """Refuse outputs that would destroy something, before any work."""
    if out is not None:
        check_output("--out", out, EVALUATION, inputs)
    if json is not None and str(json) != "-":
        check_output("--json", json, NUMBERS, inputs)


def _inputs(
    predictions: Path | None, labels: Path | None, model: list[str] | None, data: Path | None, quiet: bool
) -> tuple[list[Prediction], Labels, dict[str, str]]:
    """Return the predictions, what is true, and where both are from."""
    from unmask.errors import UsageError

    if predictions is not None and labels is not None and model is None and data is None:
        from unmask.evaluation import read_predictions, read_truth

        about = {"predictions": printable(str(predictions)), "labels": printable(str(labels))}
        return read_predictions(predictions), read_truth(labels), about
    if predictions is None and labels is None and model and data is not None:
        return _scan(model, data, quiet)
    if predictions is None and labels is not None and data is None:
        return _scan(model or ["bundled"], labels, quiet)
    raise UsageError("name PREDICTIONS and --labels, --labels alone, or --model and --data")


def _scan(model: list[str], data: Path, quiet: bool) -> tuple[list[Prediction], Labels, dict[str, str]]:
    from unmask.datasets import read_index
    from unmask.evaluation import scan_index, truth_of_index
    from unmask.scan.scanner import Scanner

    index = read_index(data, follow_links=True)
    scanner = Scanner(model, pictures=False)
    count = sum(clip.label is not None for clip in index.clips)
    given = list(progress(scan_index(scanner, index), count, "scanning", quiet))
    names = ", ".join(f"{facts['name']} {facts['version']}" for facts in scanner.models)
    return given, truth_of_index(index), {"predictions": f"model {names}", "labels": printable(str(data))}


def _with_drift(
    measured: Evaluation, given: list[Prediction], truth: Labels, model: list[str] | None, error: float
) -> Evaluation:
    """Check the thresholds of the model that made all predictions, where its card is found."""
    from unmask.evaluation import check_drift, label_predictions

    made_by = {item.model_sha256 for item in given if item.fake_probability is not None}
    card = next((card for card in _cards(model) if made_by and made_by <= card.weights_hashes), None)
    if card is None:
        return measured
    return replace(measured, drift=check_drift(label_predictions(given, truth)[0], card, error))


def _cards(model: list[str] | None) -> Iterator[Card]:
    """Yield the cards of the models that were named, else those of all that are installed and whole."""
    from unmask.errors import ModelError
    from unmask.models import load_card, model_folder, model_names

    for name in model or model_names():
        with suppress(ModelError):  # another model's card may be damaged
            if (card := load_card(model_folder(name))).kind == "judge":
                yield card


def _calibrated(
    measured: Evaluation, given: list[Prediction], truth: Labels, model: str, false_alarms: float, quiet: bool
) -> Evaluation:
    """Fit calibration and thresholds, write them into the card, and return the evaluation with the fit."""
    from unmask.evaluation import fit_calibration, label_predictions, write_calibration
    from unmask.models import load_card, model_folder

    folder = model_folder(model)
    labelled, _ = label_predictions(given, truth)
    fit = fit_calibration(labelled, load_card(folder), false_alarms=false_alarms, seed=measured.seed)
    write_calibration(fit, folder, ", ".join(f"{name}: {value}" for name, value in measured.about.items()))
    fitted = f"temperature {fit.calibration.temperature:g} and offset {fit.calibration.offset:g}"
    losses = f"the balanced log loss of held-out clips from {fit.before.log_loss_balanced} to "
    losses += f"{fit.after.log_loss_balanced}"
    if not fit.helps:
        say(
            f"unmask: the card of {folder} keeps {fitted}, since a fit takes {losses}; calibrate on clips of more "
            "sources"
        )
    elif not quiet:
        say(f"unmask: wrote {fitted} into the card of {folder}; they take {losses}")
    if not quiet:
        say(
            f"unmask: wrote thresholds for {false_alarms:.1%} false alarms: real up to {fit.thresholds.real_below}, "
            f"fake from {fit.thresholds.fake_above}; of held-out clips, {fit.held_out.authentic_called_fake:.1%} of "
            f"the authentic and {fit.held_out.fake_called_fake:.1%} of the fake ones are called fake"
        )
    return replace(measured, calibration=fit)


def _show(measured: Evaluation, as_json: bool, quiet: bool) -> None:
    """Print the numbers, and say what they leave out."""
    from unmask.storage.rowlog import json_line

    if as_json:
        print(json_line(measured.to_dict()))
    else:
        _print_measures(measured)
    missing = {
        "predictions have no probability": measured.missing.abstained,
        "predictions match no labelled clip": measured.missing.unmatched_predictions + measured.missing.unlabelled,
        "labelled clips have no prediction": measured.missing.unmatched_labels,
    }
    for what, names in missing.items():
        if names:
            say(f"unmask: {len(names)} {what}, e.g. {printable(names[0])}")
    if not quiet:
        for text in (*measured.faults[:5], *measured.notes):
            say(f"unmask: {text}")


def _print_measures(measured: Evaluation) -> None:
    from unmask.evaluation.page import MEASURES, show

    answered, kaggle, frames = measured.answered, measured.kaggle, measured.frames
    print(f"{answered.reals} real and {answered.fakes} fake clips of {answered.sources} sources")
    for name, measure in MEASURES.items():
        filled = f"   with 0.5 for no answer {show(kaggle.scores[name])}" if measured.missing.abstained else ""
        also = f"   frames {show(frames.scores[name])}" if frames else ""
        print(f"{measure.title:<22}{show(answered.scores[name])}{filled}{also}")
    for part in measured.slices:
        print(
            f"{part.trait} {printable(part.value)}: {part.level.reals} real, {part.level.fakes} fake, "
            f"AUC {show(part.level.scores['auc'], 3)}, log loss {show(part.level.scores['log_loss'], 3)}"
        )
    for cell in measured.quality:
        scores = cell.level.scores
        print(
            f"faces of {cell.side} px, compression {cell.compression}: {cell.level.reals} real, "
            f"{cell.level.fakes} fake, AUC {show(scores['auc'], 3)}, calibration error "
            f"{show(scores['calibration_error'], 3)}, wrong {show(scores['error'], 3)}, of the surer half "
            f"{cell.risk_at_half:.3f}"
        )
    if measured.drift is not None:
        from unmask.evaluation.drift import in_words

        for line in in_words(measured.drift):
            print(printable(line))
