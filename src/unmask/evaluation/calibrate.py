"""Make a model's numbers honest: fit temperature and offset on one half of the sources, measure on the other."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unmask.errors import UsageError
from unmask.evaluation.labels import Pair
from unmask.metrics import balanced_log_loss, calibration_error
from unmask.models import Card, fuse, load_card
from unmask.models.card import CARD_FILE, Calibration
from unmask.models.fusion import PEOPLE_RULES, Fusion
from unmask.storage.atomic import atomic_file

_LEAST = 5e-7  # verdicts round to six digits: nothing nearer to 0 or 1 is known
_SIDE, _ROUNDS = 7, 9
_RANGES = (np.log(0.1), np.log(20.0)), (-8.0, 8.0)

Logits = tuple[NDArray[np.float64], ...]
"""Uncalibrated logits (n,) of each person's frames."""


@dataclass(frozen=True, slots=True)
class CalibrationFit:
    """A temperature and an offset, and what they are worth on clips that the fit did not see."""

    calibration: Calibration
    """For the card."""
    before: dict[str, float]
    """Of the held-out half as it was scanned: ``calibration_error`` as the classes are,
    ``calibration_error_balanced`` as if half were fake, ``log_loss_balanced``."""
    after: dict[str, float]
    """The same with the fitted one."""
    fitted_clips: int
    """Clips of the first half."""
    held_out_clips: int
    """Clips of the second half."""
    sources: int
    """Source videos of both halves; none is in both."""
    seed: int
    """Of the split."""

    @property
    def helps(self) -> bool:
        """Whether the balanced log loss of the held-out half falls; with few clips it may rise."""
        return self.after["log_loss_balanced"] < self.before["log_loss_balanced"]


def fit_calibration(pairs: Sequence[Pair], card: Card, seed: int = 0) -> CalibrationFit:
    """Fit temperature and offset by the least class-balanced log loss of whole clips.

    The frames' logits are calibrated anew and fused by the card's rule, as a scan would. Half of the sources fit, the
    other half measure. Source of temperature scaling: Guo et al. 2017, arXiv 1706.04599.

    Args:
        pairs: Predictions of the card's model with frame scores, and their labelled clips.
        card: The model's.
        seed: Of the split.

    Raises:
        UsageError: Frame scores are missing, another model made them, or a half lacks real or fake clips.
    """
    answered = _answered(pairs, card)
    clips = [_logits(prediction.people, prediction.calibration or Calibration()) for prediction, _ in answered]
    labels = np.array([clip.label == "fake" for _, clip in answered], np.int64)
    first = _first_half([clip.source for _, clip in answered], labels, seed)
    fitting, held_out = np.flatnonzero(first), np.flatnonzero(~first)
    if any(len(set(labels[half].tolist())) < 2 for half in (fitting, held_out)):
        raise UsageError("calibration needs real and fake clips of at least two sources each; name more clips")

    def scores(calibration: Calibration, chosen: NDArray[np.intp]) -> list[float]:
        return [clip_probability(clips[i], calibration, card.fusion) for i in chosen]

    def loss(calibration: Calibration) -> float:
        return balanced_log_loss(labels[fitting], scores(calibration, fitting), eps=1e-6)

    best = _least(loss)
    scanned = [answered[i][0].fake_probability or 0.0 for i in held_out]
    return CalibrationFit(
        calibration=best,
        before=_quality(labels[held_out], scanned),
        after=_quality(labels[held_out], scores(best, held_out)),
        fitted_clips=len(fitting),
        held_out_clips=len(held_out),
        sources=len({clip.source for _, clip in answered}),
        seed=seed,
    )


def write_calibration(fit: CalibrationFit, folder: Path, data: str) -> None:
    """Write a fit into the card of a model; the rest of the card, thresholds included, stays as it is.

    Args:
        fit: What to write.
        folder: The model's folder.
        data: What the clips were, in words.

    Raises:
        ModelError: The folder holds no card that can be read.
    """
    load_card(folder)
    path = folder / CARD_FILE
    raw = json.loads(path.read_text(encoding="utf-8"))
    facts = asdict(fit)
    raw["calibration"] = facts.pop("calibration")
    raw.setdefault("evaluation", {})["calibration"] = {"script": "unmask evaluate --calibrate", "data": data} | facts
    with atomic_file(path) as file:
        file.write(json.dumps(raw, indent=1).encode() + b"\n")


def clip_probability(people: Logits, calibration: Calibration, fusion: Fusion) -> float:
    """Return the fake probability of a clip, 0 to 1, as `unmask.scan.decide.judge` computes it.

    The model is alone, so there is no rule over models; boxes are not known, so ``largest`` is ``pool``.
    """
    scores = [(1 + np.tanh((logits - calibration.offset) / calibration.temperature / 2)) / 2 for logits in people]
    steady = [person for person in scores if len(person) >= fusion.min_frames]
    if steady and not fusion.pooled:
        return PEOPLE_RULES[fusion.people](np.array([fuse(person, fusion.frames) for person in steady]))
    return fuse(np.concatenate(scores), fusion.frames)


def _answered(pairs: Sequence[Pair], card: Card) -> list[Pair]:
    """Return the pairs with a probability, each of which this model must have given frame by frame."""
    answered = [pair for pair in pairs if pair[0].fake_probability is not None]
    for prediction, _ in answered:
        if not prediction.people or prediction.calibration is None:
            raise UsageError(
                f"{prediction.name!r} has no frame scores of a single model; calibrate with the JSON of "
                "unmask scan --model MODEL --json, or with --model and --data"
            )
        if prediction.model_sha256 != card.files["model.onnx"].sha256:
            raise UsageError(f"{prediction.name!r} was not scored by the model {card.name!r}; scan with that one")
    return answered


def _logits(people: Sequence[Sequence[float]], calibration: Calibration) -> Logits:
    """Take a calibration out of frame scores again."""
    clipped = [np.clip(np.array(person, np.float64), _LEAST, 1 - _LEAST) for person in people]
    return tuple(np.log(p / (1 - p)) * calibration.temperature + calibration.offset for p in clipped)


def _first_half(sources: Sequence[str], labels: NDArray[np.int64], seed: int) -> NDArray[np.bool_]:
    """Say which clips are of the first half: half of the sources of each kind: real, fake, both."""
    kinds: dict[str, set[int]] = {}
    for source, label in zip(sources, labels.tolist(), strict=True):
        kinds.setdefault(source, set()).add(label)
    shuffled = [sorted(kinds)[i] for i in np.random.default_rng(seed).permutation(len(kinds))]
    first = set(sorted(shuffled, key=lambda source: sorted(kinds[source]))[::2])
    return np.array([source in first for source in sources])


def _least(loss: Callable[[Calibration], float]) -> Calibration:
    """Search a grid of temperatures (by their logarithm) and offsets, then finer ones around the best point."""
    centre = [float(np.mean(bounds)) for bounds in _RANGES]
    reach = [(high - low) / 2 for low, high in _RANGES]
    best = Calibration()
    for _ in range(_ROUNDS):
        temperatures, offsets = (np.linspace(c - r, c + r, _SIDE) for c, r in zip(centre, reach, strict=True))
        grid = [Calibration(float(np.exp(t)), float(o)) for t in temperatures for o in offsets]
        best = min(grid, key=loss)
        centre = [float(np.log(best.temperature)), best.offset]
        reach = [r / 2 for r in reach]
    return Calibration(round(best.temperature, 4), round(best.offset, 4))


def _quality(labels: NDArray[np.int64], scores: Sequence[float]) -> dict[str, float]:
    return {
        "calibration_error": round(calibration_error(labels, scores), 4),
        "calibration_error_balanced": round(calibration_error(labels, scores, balanced=True), 4),
        "log_loss_balanced": round(balanced_log_loss(labels, scores), 4),
    }
