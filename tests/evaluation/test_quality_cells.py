import numpy as np
import pytest

from unmask import metrics
from unmask.evaluation import LabelledPrediction, PredictedFace, Prediction, Truth
from unmask.evaluation.quality_cells import quality_cells
from unmask.types import FaceQuality


def pair(number, label, p, side, quantiser):
    faces = tuple(
        PredictedFace(1, frame, side, p, FaceQuality(side + frame, 0.1, 0.99, quantiser=quantiser))
        for frame in range(3)
    )
    return LabelledPrediction(Prediction(str(number), p, faces=faces), Truth(str(number), label, str(number)))


def test_cells_tell_small_and_coarse_faces_from_others():
    rng = np.random.default_rng(0)
    large = [
        pair(i, "fake" if i % 2 else "real", 0.6 * (i % 2) + float(rng.uniform(0, 0.4)), 200, 0.4) for i in range(20)
    ]
    small = [pair(100 + i, "fake" if i % 2 else "real", float(rng.uniform(0, 1)), 60, 0.75) for i in range(20)]
    silent = [pair(200, "real", 0.2, 30, None)]
    unmeasured = [LabelledPrediction(Prediction("300", 0.5), Truth("300", "real", "300"))]
    cells = list(quality_cells(large + small + silent + unmeasured, 20, 0))
    assert [(cell.side, cell.compression) for cell in cells] == [
        ("> 160", "fine"), ("40-80", "coarse"), ("0-40", "not known"),
    ]  # fmt: skip
    assert (cells[0].level.reals, cells[0].level.fakes) == (10, 10)
    assert cells[0].level.scores["auc"].value == 1.0
    assert cells[0].level.scores["error"].value == cells[0].risk_at_half == cells[0].reals_called_fake == 0
    labels = [truth.label == "fake" for _, truth in small]
    scores = [prediction.fake_probability for prediction, _ in small]
    risk = metrics.risk_coverage(labels, scores)
    assert cells[1].level.scores["risk_coverage_area"].value == risk.area
    assert cells[1].level.scores["calibration_error"].value == metrics.calibration_error(labels, scores)
    assert cells[1].risk_at_half == risk.risk[np.searchsorted(risk.coverage, 0.5)]
    assert cells[1].risk_coverage[-1] == (1.0, pytest.approx(cells[1].level.scores["error"].value))
    assert sum(item.count for item in cells[1].calibration_curve) == 20
    assert cells[2].level.scores["auc"].value is None
    assert cells[2].fakes_called_real is None
