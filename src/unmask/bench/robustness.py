"""Measure what changes of the clips cost: AUC and labels, cell by cell, against the same clips as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unmask import metrics
from unmask.bench.cells import Cell
from unmask.bench.dataset import BenchDataset
from unmask.bench.outputs import Curve, Extra, Line
from unmask.bench.run import Entrant, Job
from unmask.bench.store import Predictions
from unmask.bench.tables import DASH, INTERVALS, LongRow, Table, cells_of, shown
from unmask.errors import UsageError
from unmask.evaluation import Prediction
from unmask.evaluation.levels import Score, word_of


@dataclass(frozen=True, slots=True)
class CellResult:
    """One model on one dataset in one cell."""

    model: str
    """Name of the model."""
    dataset: str
    """Name of the dataset."""
    cell: str
    """Family and level."""
    clips: int
    """Clips of the dataset."""
    answered: int
    """Clips with a number both as they are and here: those that are measured."""
    lost: int
    """Clips that have a number as they are, and none here."""
    auc: Score
    """AUC of the answered clips here."""
    drop: Score
    """AUC of the same clips as they are, less that, with its interval over sources; negative where it rises."""
    changed: int
    """Answered clips with another word here."""
    reversed: int
    """Of those, clips called fake instead of real, or real instead of fake."""
    goal: float | None
    """Greatest drop that is meant to be reached; None where no goal is set."""

    @property
    def met(self) -> bool | None:
        """Whether the drop stays within the goal; None where there is no goal or no drop."""
        return None if self.goal is None or self.drop.value is None else self.drop.value <= self.goal + 1e-9

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready values."""
        return asdict(self) | {"met": self.met}


def robustness(
    entrants: Sequence[Entrant],
    datasets: Sequence[BenchDataset],
    cells: Sequence[Cell],
    kept: Predictions,
    *,
    repeats: int = 1000,
    seed: int = 0,
) -> list[CellResult]:
    """Measure every model on every dataset in every cell, from kept answers."""
    results = []
    for entrant in entrants:
        for dataset in datasets:
            plain = [_said(entrant, Job(dataset.name, clip), kept) for clip in dataset.clips]
            for cell in cells:
                changed = [_said(entrant, Job(dataset.name, clip, cell.name), kept) for clip in dataset.clips]
                results.append(_compare(entrant.name, dataset, cell, plain, changed, repeats, seed))
    return results


def extra_of(results: Sequence[CellResult], cells: Sequence[Cell]) -> Extra:
    """Return tables, curves and numbers of a robustness run for the folder of the benchmark."""
    pairs = list(dict.fromkeys((result.model, result.dataset) for result in results))
    tables = [_table(model, dataset, results) for model, dataset in pairs]
    return Extra(
        tuple(tables),
        tuple(_curves(results, cells)),
        tuple(row for result in results for row in _long_rows(result)),
        {"robustness": [result.to_dict() for result in results]},
    )


def _said(entrant: Entrant, job: Job, kept: Predictions) -> Prediction:
    return kept.prediction(job.key(entrant), job.clip.truth.name)


def _compare(
    model: str,
    dataset: BenchDataset,
    cell: Cell,
    plain: Sequence[Prediction],
    changed: Sequence[Prediction],
    repeats: int,
    seed: int,
) -> CellResult:
    rows = [
        (clip.truth, before, after)
        for clip, before, after in zip(dataset.clips, plain, changed, strict=True)
        if before.fake_probability is not None
    ]
    both = [(truth, before, after) for truth, before, after in rows if after.fake_probability is not None]
    labels = np.array([truth.label == "fake" for truth, _, _ in both], np.int64)
    before_n = np.array([before.fake_probability for _, before, _ in both], np.float64)
    after_n = np.array([after.fake_probability for _, _, after in both], np.float64)
    auc, drop = _auc_and_drop(labels, before_n, after_n, [truth.source for truth, _, _ in both], repeats, seed)
    words = [(word_of(before), word_of(after)) for _, before, after in both]
    return CellResult(
        model,
        dataset.name,
        cell.name,
        clips=len(dataset.clips),
        answered=len(both),
        lost=len(rows) - len(both),
        auc=auc,
        drop=drop,
        changed=sum(before != after for before, after in words),
        reversed=sum({before, after} == {"real", "fake"} for before, after in words),
        goal=cell.goal,
    )


def _auc_and_drop(
    labels: NDArray[np.int64],
    before_n: NDArray[np.float64],
    after_n: NDArray[np.float64],
    sources: Sequence[str],
    repeats: int,
    seed: int,
) -> tuple[Score, Score]:
    """Return AUC and drop with intervals from the same resamples: both numbers of a clip are drawn together."""

    def auc(drawn_labels: ArrayLike, drawn: ArrayLike) -> float:
        return metrics.roc_auc(drawn_labels, after_n[np.asarray(drawn, int)])

    def drop(drawn_labels: ArrayLike, drawn: ArrayLike) -> float:
        return metrics.roc_auc(drawn_labels, before_n[np.asarray(drawn, int)]) - auc(drawn_labels, drawn)

    places, found = np.arange(len(labels), dtype=np.float64), {"auc": auc, "drop": drop}
    if len(set(labels.tolist())) < 2:
        return Score(None), Score(None)
    values = {name: measure(labels, places) for name, measure in found.items()}
    try:
        intervals = metrics.bootstrap_intervals(found, labels, places, sources, repeats, seed)
    except UsageError:  # one source, or no resample held both classes
        return Score(values["auc"]), Score(values["drop"])
    scores = [Score(values[name], intervals[name].low, intervals[name].high) for name in ("auc", "drop")]
    return scores[0], scores[1]


def _table(model: str, dataset: str, results: Sequence[CellResult]) -> Table:
    rows = []
    for result in results:
        if (result.model, result.dataset) == (model, dataset):
            goal = DASH if result.goal is None else f"{result.goal:.2f}"
            met = {None: "", True: " met", False: " missed"}[result.met]
            counts = (f"{result.changed} of {result.answered}", str(result.reversed), str(result.lost))
            rows.append((result.cell, shown(result.auc), _signed(result.drop), goal + met, *counts))
    header = ("Cell", "AUC", "Drop", "Goal", "Other word", "Real and fake swapped", "No number any more")
    notes = (
        "Each cell against the same clips as they are.",
        INTERVALS,
        "The first seven families and their goals are those of DeeperForensics-1.0, written with x264 at crf 23.",
    )
    return Table(f"Robustness of {model} on {dataset}", header, tuple(rows), notes)


def _signed(score: Score) -> str:
    if score.value is None:
        return DASH
    ends = "" if score.low is None or score.high is None else f" [{score.low:+.3f}, {score.high:+.3f}]"
    return f"{score.value:+.3f}{ends}"


def _curves(results: Sequence[CellResult], cells: Sequence[Cell]) -> list[Curve]:
    models = list(dict.fromkeys(result.model for result in results))
    found = {(result.model, result.dataset, result.cell): result for result in results}
    curves = []
    for dataset in dict.fromkeys(result.dataset for result in results):
        for family in dict.fromkeys(cell.family for cell in cells):
            own = [cell for cell in cells if cell.family == family]
            lines = []
            for place, model in enumerate(models):
                points = [(i, found[model, dataset, cell.name]) for i, cell in enumerate(own, 1)]
                known = [(i, result.auc.value) for i, result in points if result.auc.value is not None]
                first = points[0][1]
                if known and first.auc.value is not None and first.drop.value is not None:
                    known.insert(0, (0, first.auc.value + first.drop.value))
                lines.append(Line(model, place, tuple(known)))
            curves.append(Curve(f"{family}, {dataset}", ("0", *(str(cell.level) for cell in own)), tuple(lines)))
    return curves


def _long_rows(result: CellResult) -> list[LongRow]:
    about = (result.model, result.dataset, result.cell, "", "video")
    rows: list[LongRow] = [
        (*about, name, *cells_of(score), "", "", "", "") for name, score in (("auc", result.auc), ("drop", result.drop))
    ]
    counts = {"answered": result.answered, "changed": result.changed, "reversed": result.reversed, "lost": result.lost}
    return rows + [(*about, name, count, "", "", "", "", "", "") for name, count in counts.items()]
