"""Measure predictions, or a model, on labelled clips: every measure with its interval, on one page.

predictions + labels -> `evaluate` -> `Evaluation`; `fit_calibration` fits a model's calibration and thresholds,
`conformal_thresholds` thresholds for a stated error, and `check_drift` tells whether a card's thresholds hold.
"""

from unmask.evaluation.calibrate import CalibrationFit, fit_calibration, write_calibration
from unmask.evaluation.conformal import ConformalThresholds, conformal_thresholds
from unmask.evaluation.drift import DriftCheck, check_drift
from unmask.evaluation.evaluate import Evaluation, evaluate
from unmask.evaluation.labels import (
    LabelledPrediction,
    Labels,
    Truth,
    label_predictions,
    match,
    read_truth,
    truth_of_index,
)
from unmask.evaluation.page import write_evaluation_page
from unmask.evaluation.predictions import PredictedFace, Prediction, read_predictions, scan_index

__all__ = [
    "CalibrationFit",
    "ConformalThresholds",
    "DriftCheck",
    "Evaluation",
    "LabelledPrediction",
    "Labels",
    "PredictedFace",
    "Prediction",
    "Truth",
    "check_drift",
    "conformal_thresholds",
    "evaluate",
    "fit_calibration",
    "label_predictions",
    "match",
    "read_predictions",
    "read_truth",
    "scan_index",
    "truth_of_index",
    "write_calibration",
    "write_evaluation_page",
]
