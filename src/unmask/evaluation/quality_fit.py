"""Fit a calibration that depends on how well faces can be seen, with thresholds and a floor, on copies of clips.

Offset, temperature and the terms of quality minimise the log loss of whole copies; authentic and fake weigh the same,
and so do the sources of each. ``fake_above`` is the lowest threshold at which at most a stated share of the authentic
copies is called fake in each kind of copy, and each size of the face in it, by itself; ``real_below`` the highest at
which at most `MISSED` of all fakes are called real. The floor of sharpness is where the AUC of fakes against authentic
faces sinks below 0.7: hardly anything is decided there.
The tail of authentic clips, by which a search is discounted, is the mean excess of their logits over the 90th
percentile. All rates are measured on sources that the fit did not see.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from unmask.augment.copies import COPIES
from unmask.errors import UsageError
from unmask.evaluation.excerpts import ScoredCopies
from unmask.metrics import roc_auc
from unmask.models.card import Calibration, QualityFloor, Thresholds
from unmask.models.fusion import logit, probability
from unmask.models.quality import QualityTerm
from unmask.types import FaceQuality

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

ANY_SIDE = 10_000
SIZES = ((40, 80), (80, 160), (160, ANY_SIDE))
"""Bounds of the side of the face in pixels, by which cells are told apart."""
FALSE_ALARMS, MISSED, FOLDS = 0.04, 0.05, 5
"""Shares that may be called wrongly, of authentic copies of a kind and size and of all fakes; parts held out."""
_REFERENCES = (("side", 160.0), ("sharpness", 0.11), ("quantiser", 0.5))
_STEPS, _RATE, _RIDGE = 600, 0.03, 0.002
_MIN_CELL = 40
_EPS = 1e-6
_MIN_TERM = 1e-3
"""Offsets and stretches below are left out of the card."""
_MARGIN = 1e-3
_MIN_AUC, _BINS = 0.7, 12


@dataclass(frozen=True, slots=True)
class LabelledCopies:
    """The scored copies of one clip, and what is true of it."""

    scored: ScoredCopies
    """Faces of all copies."""
    is_fake: bool
    """The label."""
    source: str
    """What the clip shares with others: the person, or the target of several manipulations."""
    method: str
    """How it was made."""


@dataclass(frozen=True, slots=True)
class Cell:
    """The copies of one kind with faces of one size, judged by fits to other sources."""

    copy: str
    """Name in `unmask.augment.copies.COPIES`."""
    size: str
    """Side of the face in pixels, e.g. ``80-160``."""
    authentic: int
    """Authentic copies."""
    called_fake: int
    """Those called fake."""
    called_fake_95: tuple[float, float]
    """95 % interval of their share (Wilson)."""
    decided: float
    """Share of the authentic copies that are called fake or real."""
    fakes: int
    """Fake copies."""
    fakes_called_fake: float | None
    """Their share; None without fakes."""


@dataclass(frozen=True, slots=True)
class QualityFit:
    """What goes into the card, and what it is worth on other sources."""

    calibration: Calibration
    """With the terms of quality."""
    thresholds: Thresholds
    """Fitted to all copies."""
    chosen_by: dict[str, str]
    """Which copies set each threshold, in words."""
    floor: QualityFloor
    """Below it, fakes cannot be told from authentic faces."""
    tail: float
    """For `unmask.models.passages.PassageRule`."""
    held_out: dict[str, float]
    """Shares of all copies by label, AUC and calibration error, by fits to other sources."""
    cells: tuple[Cell, ...]
    """By copy and size."""
    authentic_sources: int
    """Sources of authentic clips."""
    fake_sources: int
    """Sources of fake clips."""


class CopyTable:
    """All copies of all clips, laid out for the fit. C copies of k faces each.

    Attributes:
        raw_Ck: (C, k) logits of the network; copies with fewer faces repeat them.
        lack_Ckt: (C, k, t) what each face lacks, by term.
        fake_C: (C,) whether the clip is fake.
        copy_C: (C,) place among `COPIES`.
        side_C: (C,) median side of the face in pixels.
        sharpness_C: (C,) median sharpness.
        sources: Source of each copy.
    """

    def __init__(self, clips: Sequence[LabelledCopies], min_side_px: float) -> None:
        """Lay the copies out; those whose faces are below the model's least side are left out."""
        rows: list[tuple[Floats, list[FaceQuality], LabelledCopies, int]] = []
        for clip in clips:
            for place in range(len(COPIES)):
                chosen = np.flatnonzero(clip.scored.copy_N == place)
                qualities = [clip.scored.qualities[i] for i in chosen]
                if len(chosen) and float(np.median([q.side_px for q in qualities])) >= min_side_px:
                    rows.append((clip.scored.raw_N[chosen], qualities, clip, place))
        if not rows:
            raise UsageError("no copy has a face that is large enough; name larger clips")
        most = max(len(raw) for raw, *_ in rows)
        terms = [QualityTerm(name, reference) for name, reference in _REFERENCES]  # type: ignore[arg-type]
        self.raw_Ck = np.array([np.resize(raw, most) for raw, *_ in rows])
        self.lack_Ckt = np.array(
            [[np.resize(term.lack(qualities), most) for term in terms] for _, qualities, *_ in rows]
        ).transpose(0, 2, 1)
        self.fake_C = np.array([clip.is_fake for *_, clip, _ in rows])
        self.copy_C = np.array([place for *_, place in rows])
        self.side_C = np.array([np.median([q.side_px for q in qualities]) for _, qualities, *_ in rows])
        self.sharpness_C = np.array([np.median([q.sharpness for q in qualities]) for _, qualities, *_ in rows])
        self.sources = [clip.source for *_, clip, _ in rows]

    def logits(self, parameters: Floats) -> Floats:
        """Return the logit of each copy under parameters of the fit, (C,)."""
        return np.asarray(logit(probability(self._faces(parameters)[0]).mean(1)))

    def loss_gradient(self, parameters: Floats, weights_C: Floats) -> Floats:
        """Return the gradient of the weighted log loss by the parameters."""
        logits_Ck, plain_Ck, stretch_Ck = self._faces(parameters)
        faces_Ck = probability(logits_Ck)
        copies_C = np.clip(faces_Ck.mean(1), _EPS, 1 - _EPS)
        by_copy_C = weights_C * np.where(self.fake_C, -1 / copies_C, 1 / (1 - copies_C))
        by_face_Ck = by_copy_C[:, None] * faces_Ck * (1 - faces_Ck) / faces_Ck.shape[1] / stretch_Ck
        temperature = np.exp(parameters[0])
        terms = self.lack_Ckt.shape[2]
        gradient = np.zeros(2 + 2 * terms)
        gradient[0] = -(by_face_Ck * plain_Ck).sum()
        gradient[1] = -by_face_Ck.sum() / temperature
        gradient[2 : 2 + terms] = -np.einsum("ck,ckt->t", by_face_Ck, self.lack_Ckt)
        gradient[2 + terms :] = -np.einsum("ck,ckt->t", by_face_Ck * logits_Ck, self.lack_Ckt)
        return gradient

    def weights(self, chosen_C: Mask) -> Floats:
        """Return weights of the chosen copies: classes weigh the same, and so do the sources of each."""
        keys = list(zip(self.fake_C.tolist(), self.sources, strict=True))
        count: dict[tuple[bool, str], int] = {}
        for key, chosen in zip(keys, chosen_C.tolist(), strict=True):
            count[key] = count.get(key, 0) + chosen
        sources = {label: sum(1 for key, n in count.items() if key[0] == label and n) for label in (False, True)}
        return np.array([
            chosen / count[key] / sources[key[0]] / 2 if chosen else 0.0
            for key, chosen in zip(keys, chosen_C.tolist(), strict=True)
        ])  # fmt: skip

    def _faces(self, parameters: Floats) -> tuple[Floats, Floats, Floats]:
        terms = self.lack_Ckt.shape[2]
        plain_Ck = (self.raw_Ck - parameters[1]) / np.exp(parameters[0])
        stretch_Ck = 1 + self.lack_Ckt @ parameters[2 + terms :]
        return (plain_Ck - self.lack_Ckt @ parameters[2 : 2 + terms]) / stretch_Ck, plain_Ck, stretch_Ck


def fit_quality(
    clips: Sequence[LabelledCopies], min_side_px: float, *, false_alarms: float = FALSE_ALARMS, seed: int = 0
) -> QualityFit:
    """Fit calibration, thresholds, floor and tail; see the module.

    Args:
        clips: Scored copies of authentic and fake clips.
        min_side_px: Least side of a face that the model judges.
        false_alarms: Share of the authentic copies of each kind that may be called fake, 0 to 0.5.
        seed: Seed of the folds.

    Raises:
        UsageError: There are too few sources of either class.
    """
    table = CopyTable(clips, min_side_px)
    names = sorted(set(table.sources))
    fold_of = {names[i]: n % FOLDS for n, i in enumerate(np.random.default_rng(seed).permutation(len(names)))}
    fold_C = np.array([fold_of[source] for source in table.sources])
    if any(len({s for s, f in zip(table.sources, table.fake_C, strict=True) if f == label}) < FOLDS
           for label in (False, True)):  # fmt: skip
        raise UsageError(f"the fit needs authentic and fake clips of at least {FOLDS} sources each; name more")
    everything = np.ones(len(fold_C), bool)
    parameters = _fit(table, everything)
    held_C, low_C, high_C = np.zeros(len(fold_C)), np.zeros(len(fold_C)), np.zeros(len(fold_C))
    judged_C = np.ones(len(fold_C), bool)
    for fold in range(FOLDS):
        rest_C, own_C = fold_C != fold, fold_C == fold
        fitted = _fit(table, rest_C)
        scores_C = probability(table.logits(fitted))
        floor = _fit_floor(table, scores_C, rest_C)
        above_C = table.sharpness_C >= floor
        thresholds, _ = _fit_thresholds(table, scores_C, rest_C & above_C, false_alarms)
        held_C[own_C], low_C[own_C], high_C[own_C] = scores_C[own_C], thresholds.real_below, thresholds.fake_above
        judged_C[own_C] = above_C[own_C]
    logits_C = table.logits(parameters)
    floor = _fit_floor(table, probability(logits_C), everything)
    above_C = table.sharpness_C >= floor
    authentic_C = logits_C[~table.fake_C & above_C]
    high = float(np.quantile(authentic_C, 0.9))
    thresholds, chosen_by = _fit_thresholds(table, probability(logits_C), above_C, false_alarms)
    called_fake_C, called_real_C = judged_C & (held_C >= high_C), judged_C & (held_C <= low_C)
    return QualityFit(
        calibration=_calibration(parameters),
        thresholds=thresholds,
        chosen_by=chosen_by,
        floor=QualityFloor(round(floor, 4)),
        tail=round(float((authentic_C[authentic_C > high] - high).mean()), 3),
        held_out=_rates(table, held_C, called_fake_C, called_real_C),
        cells=tuple(_cells(table, called_fake_C, called_real_C)),
        authentic_sources=len({s for s, f in zip(table.sources, table.fake_C, strict=True) if not f}),
        fake_sources=len({s for s, f in zip(table.sources, table.fake_C, strict=True) if f}),
    )


def wilson(hits: float, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a share, by Wilson's formula; (0, 1) of nothing."""
    if not count:
        return 0.0, 1.0
    z, share = 1.96, hits / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * np.sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / (1 + z * z / count)
    return round(float(max(0.0, middle - half)), 4), round(float(min(1.0, middle + half)), 4)


def _fit(table: CopyTable, chosen_C: Mask) -> Floats:
    """Minimise the log loss by projected gradient steps (Adam, arXiv 1412.6980)."""
    weights_C, terms = table.weights(chosen_C), table.lack_Ckt.shape[2]
    parameters = np.zeros(2 + 2 * terms)
    parameters[1] = float(np.average(table.raw_Ck.mean(1), weights=weights_C))
    first, second = np.zeros_like(parameters), np.zeros_like(parameters)
    for step in range(1, _STEPS + 1):
        gradient = table.loss_gradient(parameters, weights_C)
        gradient[2:] += _RIDGE * parameters[2:]
        first, second = 0.9 * first + 0.1 * gradient, 0.99 * second + 0.01 * gradient**2
        rate = _RATE * min(1.0, 2 * (1 - step / _STEPS) + 0.02)
        parameters -= rate * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.99**step)) + 1e-9)
        parameters[2:] = np.maximum(parameters[2:], 0.0)
    return parameters


def _calibration(parameters: Floats) -> Calibration:
    terms = len(_REFERENCES)
    quality = tuple(
        QualityTerm(name, reference, round(float(offset), 4), round(float(stretch), 4))  # type: ignore[arg-type]
        for (name, reference), offset, stretch in zip(
            _REFERENCES, parameters[2 : 2 + terms], parameters[2 + terms :], strict=True
        )
        if max(offset, stretch) >= _MIN_TERM
    )
    return Calibration(round(float(np.exp(parameters[0])), 4), round(float(parameters[1]), 4), quality)


def _fit_thresholds(
    table: CopyTable, scores_C: Floats, chosen_C: Mask, share: float
) -> tuple[Thresholds, dict[str, str]]:
    """Return the thresholds, and in words which copies set each."""
    authentic_C, fake_C = chosen_C & ~table.fake_C, chosen_C & table.fake_C
    found = [(0.5, "no kind of copy has enough authentic ones")]
    for place, name in enumerate(COPIES):
        for low, high in ((0, ANY_SIDE), *SIZES):
            own_C = authentic_C & (table.copy_C == place) & (table.side_C >= low) & (table.side_C < high)
            if own_C.sum() >= _MIN_CELL:
                said = f"{share:.1%} of {own_C.sum()} authentic copies: {name}, side {_size(low, high)} px"
                found.append((_reached_by(scores_C[own_C], share), said))
    highest, cell = max(found)
    fake_above = min(1.0, max(0.5, float(np.ceil(1000 * (highest + _MARGIN)) / 1000)))
    real_below = max(0.0, min(0.5, 1 - _reached_by(1 - scores_C[fake_C], MISSED) - _MARGIN))
    chosen_by = {"fake_above": cell, "real_below": f"{MISSED:.1%} of {fake_C.sum()} fake copies of all kinds"}
    return Thresholds(float(np.floor(1000 * real_below) / 1000), fake_above), chosen_by


def _size(low: int, high: int) -> str:
    if high < ANY_SIDE:
        return f"{low}-{high}"
    return f"> {low}" if low else "any"


def _reached_by(scores_n: Floats, share: float) -> float:
    """Return the highest score that more than a share of the scores reach."""
    return float(np.sort(scores_n)[::-1][int(share * len(scores_n))])


def _fit_floor(table: CopyTable, scores_C: Floats, chosen_C: Mask) -> float:
    """Return the sharpness up to which fakes are hardly told from authentic faces; 0 where they always are."""
    edges = np.quantile(table.sharpness_C[chosen_C], np.linspace(0, 1, _BINS + 1))
    for low, high in pairwise(edges.tolist()):
        own_C = chosen_C & (table.sharpness_C >= low) & (table.sharpness_C < high)
        labels, scores = table.fake_C[own_C], scores_C[own_C]
        if min(labels.sum(), (~labels).sum()) < _MIN_CELL:
            return 0.0
        if roc_auc(labels, scores) >= _MIN_AUC:
            return low if low > edges[0] else 0.0
    return float(edges[-1])


def _rates(table: CopyTable, scores_C: Floats, called_fake_C: Mask, called_real_C: Mask) -> dict[str, float]:
    fake_C = table.fake_C
    decided_C = called_fake_C | called_real_C
    wrong_C = (called_fake_C & ~fake_C) | (called_real_C & fake_C)
    return {
        "authentic_called_fake": round(float(called_fake_C[~fake_C].mean()), 4),
        "authentic_called_real": round(float(called_real_C[~fake_C].mean()), 4),
        "fake_called_fake": round(float(called_fake_C[fake_C].mean()), 4),
        "fake_called_real": round(float(called_real_C[fake_C].mean()), 4),
        "decided": round(float(decided_C.mean()), 4),
        "wrong_of_decided": round(float(wrong_C[decided_C].mean()) if decided_C.any() else 0.0, 4),
        "auc": round(roc_auc(fake_C, scores_C), 4),
    }


def _cells(table: CopyTable, called_fake_C: Mask, called_real_C: Mask) -> list[Cell]:
    found = []
    for place, name in enumerate(COPIES):
        for low, high in SIZES:
            own_C = (table.copy_C == place) & (table.side_C >= low) & (table.side_C < high)
            authentic_C, fakes_C = own_C & ~table.fake_C, own_C & table.fake_C
            count, hits = int(authentic_C.sum()), int(called_fake_C[authentic_C].sum())
            if not count:
                continue
            decided = float((called_fake_C | called_real_C)[authentic_C].mean())
            fakes = int(fakes_C.sum())
            share = round(float(called_fake_C[fakes_C].mean()), 4) if fakes else None
            found.append(
                Cell(name, _size(low, high), count, hits, wilson(hits, count), round(decided, 4), fakes, share)
            )
    return found
