"""The page of an evaluation: one self-contained HTML file."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

from unmask.evaluation.drift import in_words
from unmask.evaluation.evaluate import Evaluation
from unmask.evaluation.levels import Score
from unmask.html import render
from unmask.metrics import WORDS
from unmask.storage.atomic import write_file


class Measure(NamedTuple):
    """How a measure is shown."""

    title: str
    better: str
    meaning: str


MEASURES = {
    "log_loss": Measure("Log loss", "lower", "score of the challenge; 0.6931 for 0.5 everywhere"),
    "log_loss_clipped_0.01": Measure("Log loss, clipped", "lower", "with probabilities clipped to 0.01..0.99"),
    "log_loss_reals": Measure("Log loss on reals", "lower", "on the authentic samples alone"),
    "log_loss_fakes": Measure("Log loss on fakes", "lower", "on the manipulated samples alone"),
    "log_loss_balanced": Measure("Log loss, balanced", "lower", "mean of the two above"),
    "auc": Measure("AUC", "higher", "chance that a fake scores above a real one; 0.5 by chance"),
    "eer": Measure("Equal error rate", "lower", "where as many reals are called fake as fakes real"),
    "average_precision": Measure("Average precision", "higher", "of recall, stepwise; the share of fakes by chance"),
    "tpr_at_fpr_0.01": Measure(
        "Caught at 1 % alarms", "higher", "share of fakes caught where at most 1 % of the reals are accused"
    ),
    "tpr_at_fpr_0.05": Measure("Caught at 5 % alarms", "higher", "the same where at most 5 % of the reals are accused"),
    "accuracy": Measure("Accuracy at 0.5", "higher", "share of right answers"),
    "balanced_accuracy": Measure("Accuracy, balanced", "higher", "mean over reals and fakes; 0.5 by chance"),
    "brier": Measure("Brier score", "lower", "mean squared error of the probability; 0.25 for 0.5 everywhere"),
    "calibration_error": Measure("Calibration error", "lower", "mean gap between probability and share of fakes"),
    "risk_coverage_area": Measure("Risk-coverage area", "lower", "mean error rate when only the surest are answered"),
}
"""How the measures of `unmask.evaluation.evaluate.METRICS` are shown, in order."""

QUALITIES = {
    "log_loss_balanced": "Log loss, balanced",
    "calibration_error": "Calibration error",
    "calibration_error_balanced": "Calibration error, balanced",
}
"""How the fields of `unmask.evaluation.calibrate.CalibrationQuality` are shown."""

HEADLINE = ("auc", "log_loss", "balanced_accuracy", "eer", "calibration_error")
NAMES_SHOWN = 500


def show(score: Score, digits: int = 4) -> str:
    """Return a measure with its interval, e.g. ``0.9312 (0.9011 to 0.9540)``."""
    if score.value is None:
        return "-"
    if score.low is None or score.high is None:
        return f"{score.value:.{digits}f}"
    return f"{score.value:.{digits}f} ({score.low:.{digits}f} to {score.high:.{digits}f})"


def write_evaluation_page(report: Evaluation, path: Path) -> None:
    """Write the page."""
    levels = {"Answered clips": report.answered}
    if report.missing.abstained:
        levels["All clips, 0.5 without an answer"] = report.kaggle
    if report.frames:
        levels["Faces of single frames"] = report.frames
    missing = {
        "predictions without a probability": report.missing.abstained,
        "predictions about no known clip": report.missing.unmatched_predictions,
        "labelled clips without a prediction": report.missing.unmatched_labels,
        "predictions about clips without a label": report.missing.unlabelled,
        "faults in the labels": report.faults,
    }
    highest_risk = max(risk for _, risk in report.risk_coverage)
    content = render(
        "unmask.evaluation",
        "evaluation.html.j2",
        report=report,
        show=show,
        measures=MEASURES,
        headline=HEADLINE,
        levels=levels,
        words=WORDS,
        missing={name: names for name, names in missing.items() if names},
        names_shown=NAMES_SHOWN,
        calibration_points=[(item.mean_probability, item.fake_share) for item in report.calibration_curve],
        qualities=QUALITIES,
        drift=in_words(report.drift) if report.drift else (),
        fullest_bin=max(item.count for item in report.calibration_curve),
        risk_top=max(math.ceil(highest_risk * 10) / 10, 0.1),
        highest_bar=max(max(counts) for counts in report.histogram),
    )
    write_file(path, content)
