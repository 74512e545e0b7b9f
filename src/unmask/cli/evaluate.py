"""Measure predictions, or a model, against labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unmask.cli.console import ExitCode, printable, progress, say, wrong_use
from unmask.cli.outputs import EVALUATION, NUMBERS, check_output

if TYPE_CHECKING:
    from unmask.evaluation import Labels, Prediction, Report

EPILOG = (
    "Exit codes: 0 every row has a partner and a probability; 3 some have not, or a calibration that makes the model "
    "worse was not written; 2 wrong use. For a large dataset, "
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
        typer.Option(help="CSV filename,label, an index.parquet, or a dataset's folder.", show_default=False),
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
    seed: Annotated[int, typer.Option(min=0, help="Of the resamples and the split for calibration.")] = 0,
    calibrate: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL", help="Fit this model's temperature and offset, and write them into its card.",
            show_default=False,
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no remarks.")] = False,
) -> None:  # fmt: skip
    """Measure predictions, or a model, against labels: log loss, AUC and more, with intervals over source videos."""
    with wrong_use():
        import unmask.evaluation as evaluation
        from unmask.report import write_json

        _check_outputs(out, json, [path for path in (predictions, labels, data) if path is not None])
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
        given, truth, about = _inputs(predictions, labels, model, data, quiet)
        report = evaluation.evaluate(given, truth, repeats=bootstrap, seed=seed, about=about)
        if calibrate is not None:
            report = _calibrated(report, given, truth, calibrate, quiet)
        if out is not None:
            evaluation.write_evaluation_page(report, out / "index.html")
            write_json(report.to_dict(), out / "evaluation.json")
        if json is not None and str(json) != "-":
            write_json(report.to_dict(), json)
    _tell(report, json is not None and str(json) == "-", quiet)
    refused = report.calibration is not None and not report.calibration.helps
    raise SystemExit(ExitCode.SOME_NOT_OK if report.missing or refused else ExitCode.ALL_OK)


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
    raise UsageError("name PREDICTIONS and --labels, or --model and --data")


def _scan(model: list[str], data: Path, quiet: bool) -> tuple[list[Prediction], Labels, dict[str, str]]:
    from unmask.datasets import read_index
    from unmask.evaluation import scan_index, truth_of_index
    from unmask.scan.scanner import Scanner

    index = read_index(data, follow_links=True)
    scanner = Scanner(model)
    count = sum(clip.label is not None for clip in index.clips)
    given = list(progress(scan_index(scanner, index), count, "scanning", quiet))
    names = ", ".join(f"{facts['name']} {facts['version']}" for facts in scanner.models)
    return given, truth_of_index(index), {"predictions": f"model {names}", "labels": printable(str(data))}


def _calibrated(report: Report, given: list[Prediction], truth: Labels, model: str, quiet: bool) -> Report:
    """Fit, write the card unless that makes it worse, and return the report with the fit."""
    from unmask.evaluation import fit_calibration, join, write_calibration
    from unmask.models import load_card, model_folder

    folder = model_folder(model)
    fit = fit_calibration(join(given, truth)[0], load_card(folder), report.seed)
    fitted = f"temperature {fit.calibration.temperature:g} and offset {fit.calibration.offset:g}"
    losses = f"{fit.before['log_loss_balanced']} to {fit.after['log_loss_balanced']}"
    if not fit.helps:
        say(
            f"unmask: the card of {folder} stays as it is: {fitted}, fitted on {fit.fitted_clips} clips, take the "
            f"balanced log loss of the held-out half from {losses}; calibrate on more clips"
        )
        return replace(report, calibration=fit)
    write_calibration(fit, folder, ", ".join(f"{name}: {value}" for name, value in report.about.items()))
    if not quiet:
        say(
            f"unmask: wrote {fitted} into the card of {folder}; the balanced log loss of the held-out half goes from "
            f"{losses}. The thresholds are as before: check what they mean now (scripts/calibrate.py fits them)."
        )
    return replace(report, calibration=fit)


def _tell(report: Report, as_json: bool, quiet: bool) -> None:
    """Print the numbers, and say what they are not about."""
    from unmask.evaluation.page import MEASURES, show
    from unmask.storage.rowlog import json_line

    if as_json:
        print(json_line(report.to_dict()))
    else:
        print(
            f"{report.answered.reals} real and {report.answered.fakes} fake clips of {report.answered.sources} sources"
        )
        for name, measure in MEASURES.items():
            also = f"   frames {show(report.frames.scores[name])}" if report.frames else ""
            filled = f"   with 0.5 for no answer {show(report.kaggle.scores[name])}" if report.missing.abstained else ""
            print(f"{measure.title:<22}{show(report.answered.scores[name])}{filled}{also}")
        for part in report.slices:
            print(
                f"{part.trait} {printable(part.value)}: {part.level.reals} real, {part.level.fakes} fake, "
                f"AUC {show(part.level.scores['auc'], 3)}, log loss {show(part.level.scores['log_loss'], 3)}"
            )
    missing = {
        "predictions have no probability": report.missing.abstained,
        "predictions match no labelled clip": report.missing.unmatched_predictions + report.missing.unlabelled,
        "labelled clips have no prediction": report.missing.unmatched_labels,
    }
    for what, names in missing.items():
        if names:
            say(f"unmask: {len(names)} {what}, e.g. {printable(names[0])}")
    if not quiet:
        for text in (*report.faults[:5], *report.notes):
            say(f"unmask: {text}")
