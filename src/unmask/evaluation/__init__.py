"""How good a model, or any table of predictions, is on labelled clips: every measure with its interval, on one page.

predictions + labels -> `evaluate` -> `Report`; `fit_calibration` makes a model's numbers honest.
"""

from unmask.evaluation.calibrate import CalibrationFit, fit_calibration, write_calibration
from unmask.evaluation.evaluate import Report, evaluate
from unmask.evaluation.labels import Labels, Truth, join, match, read_truth, truth_of_index
from unmask.evaluation.page import write_evaluation_page
from unmask.evaluation.predictions import Prediction, read_predictions, scan_index

__all__ = [
    "CalibrationFit",
    "Labels",
    "Prediction",
    "Report",
    "Truth",
    "evaluate",
    "fit_calibration",
    "join",
    "match",
    "read_predictions",
    "read_truth",
    "scan_index",
    "truth_of_index",
    "write_calibration",
    "write_evaluation_page",
]
