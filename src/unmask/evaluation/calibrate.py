"""Fit a model's temperature, offset and thresholds on labelled clips, and measure the fit on clips of other sources."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unmask.errors import UsageError
from unmask.evaluation.labels import LabelledPrediction
from unmask.evaluation.scored_clips import AS_IT_IS, ScoredClips
from unmask.metrics import balanced_log_loss, bootstrap_interval, calibration_error, log_loss, roc_auc
from unmask.models import Card, load_card
from unmask.models.card import Calibration, Thresholds, write_card

FALSE_ALARMS = 0.05
"""Share of authentic clips that may be called fake, by default."""
MAX_FOLDS = 50
"""Up to so many sources, each one is held out by itself; more are dealt into so many folds."""

_COARSE_STEP, _COARSE_STEPS = 256, 3  # of the first lattice, in steps of the finest; on each side of its middle
_LIMIT = _COARSE_STEP * _COARSE_STEPS
_LOG_TEMPERATURE, _OFFSET = (np.log(0.1), np.log(20.0)), (-8.0, 8.0)
_MARGIN = 1e-3  # between a threshold and the nearest score beyond it
_EPS = 1e-6
_DIGITS = 4

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class CalibrationQuality:
    """How honest the fake probabilities of clips are."""

    calibration_error: float
    """Mean gap between probability and share of fakes, 0 to 1."""
    calibration_error_balanced: float
    """The same as if half of the clips were fake."""
    log_loss_balanced: float
    """Mean of the log losses on authentic and on fake clips, in nats."""


@dataclass(frozen=True, slots=True)
class LabelRates:
    """How often clips get each label, as shares of 0 to 1."""

    authentic_called_fake: float
    """Share of the authentic clips."""
    authentic_called_real: float
    """Share of the authentic clips."""
    fake_called_fake: float
    """Share of the fake clips."""
    fake_called_real: float
    """Share of the fake clips."""


@dataclass(frozen=True, slots=True)
class Separation:
    """How well the held-out fake probabilities of undegraded clips tell authentic from fake ones."""

    auc: float
    """Area under the ROC curve, 0 to 1."""
    auc_95: tuple[float, float]
    """95 % interval of it over resampled sources."""
    log_loss: float
    """Log loss in nats."""


@dataclass(frozen=True, slots=True)
class ClipCounts:
    """What the clips of a fit are."""

    authentic: int
    """Authentic clips as they are."""
    authentic_degraded: int
    """Degraded copies of authentic clips."""
    fake: int
    """Fake clips as they are."""
    fake_degraded: int
    """Degraded copies of fake clips."""
    sources: int
    """Source videos of all of them."""


@dataclass(frozen=True, slots=True)
class CalibrationFit:
    """Temperature, offset and thresholds for a model's card, and what they are worth on sources that no fit saw."""

    calibration: Calibration
    """Temperature and offset for the card: the fitted ones, or the card's own where the fit does not help."""
    thresholds: Thresholds
    """Thresholds for the card."""
    false_alarms: float
    """Share of the authentic clips of each degradation that may be called fake, 0 to 0.5."""
    before: CalibrationQuality
    """Quality of all clips with the card's present calibration."""
    after: CalibrationQuality
    """Quality of all clips, each scored by a fit to the other sources."""
    held_out: LabelRates
    """Labels of all clips, each labelled by a fit to the other sources."""
    false_alarms_by_degradation: dict[str, float]
    """Degradation -> share of its authentic clips that are called fake by a fit to the other sources."""
    separation: Separation | None
    """How well clips as they are can be told apart; None where a class is missing."""
    clips: ClipCounts
    """How many clips were fitted to."""
    degradations: tuple[str, ...]
    """Names of the degradations that copies of clips went through."""
    seed: int
    """Seed of folds and resamples."""

    @property
    def helps(self) -> bool:
        """Whether the balanced log loss of held-out clips falls; with few clips it may rise."""
        return self.after.log_loss_balanced < self.before.log_loss_balanced


def fit_calibration(
    labelled: Sequence[LabelledPrediction], card: Card, *, false_alarms: float = FALSE_ALARMS, seed: int = 0
) -> CalibrationFit:
    """Fit temperature, offset and thresholds of a model to labelled clips.

    Temperature and offset minimise the log loss of whole clips, recomputed from their faces as a scan would; authentic
    and fake weigh the same, and so do the sources of each. ``fake_above`` is the lowest threshold, of 0.5 or more, at
    which at most ``false_alarms`` of the authentic clips are called fake, in each degradation by itself; ``real_below``
    is the highest, of 0.5 or less, at which at most that share of the fakes of each degradation are called real.
    What the fit is worth is measured on held-out sources: each clip by a fit to the others. Where that makes the log
    loss worse, the card's temperature and offset are kept. Source of temperature scaling: Guo et al. 2017,
    arXiv 1706.04599.

    Args:
        labelled: Predictions of the card's model with scores of faces, and what is true of their clips.
        card: The model's card.
        false_alarms: Share of authentic clips that may be called fake, 0 to 0.5.
        seed: Seed of folds and resamples.

    Raises:
        UsageError: Scores of faces are missing, another model gave them, or there are not real and fake clips of two
            sources each.
    """
    if not 0 <= false_alarms <= 0.5:
        raise UsageError(f"the share of false alarms must be in 0..0.5, not {false_alarms:g}")
    clips = ScoredClips(labelled, card)
    folds = _folds(clips, seed)
    search = _CalibrationSearch(clips)
    fitted = [search.best(~fold) for fold in folds]
    after = quality(clips.fake_C, _held_out_scores(clips, folds, fitted))
    before = quality(clips.fake_C, clips.fake_probabilities(card.calibration))
    everything, calibration = np.ones(len(clips), bool), card.calibration
    if after.log_loss_balanced < before.log_loss_balanced:
        calibration = search.best(everything)
    else:
        fitted = [calibration] * len(folds)
    called_fake_C, called_real_C = _held_out_labels(clips, folds, fitted, false_alarms)
    return CalibrationFit(
        calibration=calibration,
        thresholds=fit_thresholds(clips, clips.fake_probabilities(calibration), everything, false_alarms),
        false_alarms=false_alarms,
        before=before,
        after=after,
        held_out=_rates(clips.fake_C, called_fake_C, called_real_C),
        false_alarms_by_degradation={
            name: round(float(called_fake_C[chosen].mean()), _DIGITS)
            for name, chosen in _by_degradation(clips, ~clips.fake_C).items()
        },
        separation=_separation(clips, _held_out_scores(clips, folds, fitted), seed),
        clips=_counts(clips),
        degradations=tuple(sorted(set(clips.degradations) - {AS_IT_IS})),
        seed=seed,
    )


def write_calibration(
    fit: CalibrationFit, folder: Path, data: str, script: str = "unmask evaluate --calibrate"
) -> None:
    """Write calibration, thresholds and held-out numbers of a fit into the card of a model; the rest of it stays.

    Args:
        fit: What to write.
        folder: The model's folder.
        data: What the clips are, in words.
        script: Program that made the fit.

    Raises:
        ModelError: The folder holds no card that can be read.
    """
    card, facts = load_card(folder), asdict(fit)
    del facts["calibration"], facts["thresholds"]
    evaluation = card.evaluation | {"calibration": {"script": script, "data": data} | facts}
    card = replace(card, calibration=fit.calibration, thresholds=fit.thresholds, evaluation=evaluation)
    write_card(folder, card)


def fit_thresholds(clips: ScoredClips, scores_C: Floats, chosen_C: Mask, false_alarms: float) -> Thresholds:
    """Fit both thresholds to the chosen clips, see `fit_calibration`; rounded to the safe side.

    Args:
        clips: The clips, real and fake ones chosen.
        scores_C: Fake probabilities of all C clips.
        chosen_C: (C,) which clips to fit to.
        false_alarms: Share of authentic clips that may be called fake, 0 to 0.5.
    """
    as_fake_C = np.where(clips.can_be_fake_C, scores_C, -np.inf)
    as_real_C = np.where(clips.can_be_real_C, 1 - scores_C, -np.inf)
    authentic = _by_degradation(clips, chosen_C & ~clips.fake_C).values()
    fake = _by_degradation(clips, chosen_C & clips.fake_C).values()
    fake_above = max(_lowest_threshold(as_fake_C[part], false_alarms) for part in authentic)
    real_below = 1 - max(_lowest_threshold(as_real_C[part], false_alarms) for part in fake)
    return Thresholds(round(real_below, 3), round(fake_above, 3))


def quality(fake_C: Mask, scores_C: Floats) -> CalibrationQuality:
    """Measure how honest the fake probabilities of C clips are."""
    return CalibrationQuality(
        calibration_error=round(calibration_error(fake_C, scores_C), _DIGITS),
        calibration_error_balanced=round(calibration_error(fake_C, scores_C, balanced=True), _DIGITS),
        log_loss_balanced=round(balanced_log_loss(fake_C, scores_C, eps=_EPS), _DIGITS),
    )


class _CalibrationSearch:
    """Search temperature (by its logarithm) and offset on a coarse lattice, then step by ever smaller steps.

    All folds search the same lattice, so that the clips are scored once at each of its points.
    """

    def __init__(self, clips: ScoredClips) -> None:
        self._clips = clips
        self._losses: dict[tuple[int, int], Floats] = {}

    def best(self, chosen_C: Mask) -> Calibration:
        """Return the calibration of least log loss of the chosen clips; classes weigh the same, and so do sources."""
        weights_C = self._weights(chosen_C)

        def loss(point: tuple[int, int]) -> float:
            return float(weights_C @ self._losses_at(point))

        best, step = min(_neighbours((0, 0), _COARSE_STEP, _COARSE_STEPS), key=loss), _COARSE_STEP // 2
        while step:
            better = min(_neighbours(best, step, 1), key=loss)
            if loss(better) < loss(best):
                best = better
            else:
                step //= 2
        return _lattice_point(best)

    def _losses_at(self, point: tuple[int, int]) -> Floats:
        if point not in self._losses:
            scores_C = np.clip(self._clips.fake_probabilities(_lattice_point(point)), _EPS, 1 - _EPS)
            self._losses[point] = -np.where(self._clips.fake_C, np.log(scores_C), np.log1p(-scores_C))
        return self._losses[point]

    def _weights(self, chosen_C: Mask) -> Floats:
        keys = list(zip(self._clips.fake_C.tolist(), self._clips.sources, strict=True))
        times = Counter(key for key, chosen in zip(keys, chosen_C.tolist(), strict=True) if chosen)
        sources = Counter(label for label, _ in times)
        return chosen_C / np.array([max(1, times[key]) * max(1, sources[key[0]]) * 2 for key in keys])


def _neighbours(middle: tuple[int, int], step: int, steps: int) -> list[tuple[int, int]]:
    """Return the points around one, itself included, that lie within the limits."""
    reach = range(-steps * step, steps * step + 1, step)
    points = [(middle[0] + i, middle[1] + j) for i in reach for j in reach]
    return [point for point in points if max(abs(point[0]), abs(point[1])) <= _LIMIT]


def _lattice_point(point: tuple[int, int]) -> Calibration:
    """Return the calibration of a point; its coordinates count steps of the finest lattice from the middle."""
    log_temperature, offset = (
        (low + high) / 2 + (high - low) / 2 * steps / _LIMIT
        for (low, high), steps in zip((_LOG_TEMPERATURE, _OFFSET), point, strict=True)
    )
    return Calibration(round(float(np.exp(log_temperature)), _DIGITS), round(offset, _DIGITS))


def _folds(clips: ScoredClips, seed: int) -> list[Mask]:
    """Return which clips are held out together: those of one source, and of several where there are many sources."""
    labels: dict[str, set[bool]] = {}
    for source, is_fake in zip(clips.sources, clips.fake_C.tolist(), strict=True):
        labels.setdefault(source, set()).add(is_fake)
    if any(sum(label in found for found in labels.values()) < 2 for label in (False, True)):
        raise UsageError("calibration needs real and fake clips of at least two sources each; name more clips")
    shuffled = [sorted(labels)[i] for i in np.random.default_rng(seed).permutation(len(labels))]
    dealt = sorted(shuffled, key=lambda source: sorted(labels[source]))  # each fold gets some of every kind
    fold_of = {source: i % MAX_FOLDS for i, source in enumerate(dealt)}
    fold_C = np.array([fold_of[source] for source in clips.sources])
    return [fold_C == fold for fold in np.unique(fold_C)]


def _held_out_scores(clips: ScoredClips, folds: Sequence[Mask], fitted: Sequence[Calibration]) -> Floats:
    """Return the fake probability of each clip under the calibration that was fitted without its source."""
    scores_C = np.zeros(len(clips))
    for fold, calibration in zip(folds, fitted, strict=True):
        scores_C[fold] = clips.fake_probabilities(calibration)[fold]
    return scores_C


def _held_out_labels(
    clips: ScoredClips, folds: Sequence[Mask], fitted: Sequence[Calibration], false_alarms: float
) -> tuple[Mask, Mask]:
    """Return which clips are called fake and real, by calibration and thresholds fitted without their source."""
    called_fake_C, called_real_C = np.zeros(len(clips), bool), np.zeros(len(clips), bool)
    for fold, calibration in zip(folds, fitted, strict=True):
        scores_C = clips.fake_probabilities(calibration)
        thresholds = fit_thresholds(clips, scores_C, ~fold, false_alarms)
        called_fake_C |= fold & clips.can_be_fake_C & (scores_C >= thresholds.fake_above)
        called_real_C |= fold & clips.can_be_real_C & (scores_C <= thresholds.real_below)
    return called_fake_C, called_real_C


def _by_degradation(clips: ScoredClips, chosen_C: Mask) -> dict[str, Mask]:
    """Return the chosen clips of each degradation that has any, clips as they are first."""
    degradation_C = np.array(clips.degradations)
    names = sorted(set(degradation_C[chosen_C].tolist()), key=lambda name: (name != AS_IT_IS, name))
    return {name: chosen_C & (degradation_C == name) for name in names}


def _lowest_threshold(scores_n: Floats, share: float) -> float:
    """Return the lowest threshold in 0.5..1 that at most a share of the scores reach, rounded up to three digits."""
    allowed = int(share * len(scores_n) + 1e-9)
    threshold = float(np.sort(scores_n)[::-1][allowed]) + _MARGIN
    return 0.5 if threshold <= 0.5 else min(1.0, float(np.ceil(threshold * 1000) / 1000))


def _rates(fake_C: Mask, called_fake_C: Mask, called_real_C: Mask) -> LabelRates:
    shares = [
        round(float(called_C[of_class].mean()), _DIGITS)
        for of_class in (~fake_C, fake_C)
        for called_C in (called_fake_C, called_real_C)
    ]
    return LabelRates(*shares)


def _separation(clips: ScoredClips, scores_C: Floats, seed: int) -> Separation | None:
    plain = np.array([name == AS_IT_IS for name in clips.degradations])
    labels, scores = clips.fake_C[plain], scores_C[plain]
    sources = [source for source, is_plain in zip(clips.sources, plain, strict=True) if is_plain]
    if labels.all() or not labels.any() or len(set(sources)) < 2:
        return None
    interval = bootstrap_interval(roc_auc, labels, scores, sources, seed=seed)
    return Separation(
        auc=round(roc_auc(labels, scores), 3),
        auc_95=(round(interval.low, 3), round(interval.high, 3)),
        log_loss=round(log_loss(labels, scores), _DIGITS),
    )


def _counts(clips: ScoredClips) -> ClipCounts:
    plain_C = np.array([name == AS_IT_IS for name in clips.degradations], bool)
    return ClipCounts(
        authentic=int((~clips.fake_C & plain_C).sum()),
        authentic_degraded=int((~clips.fake_C & ~plain_C).sum()),
        fake=int((clips.fake_C & plain_C).sum()),
        fake_degraded=int((clips.fake_C & ~plain_C).sum()),
        sources=len(set(clips.sources)),
    )
