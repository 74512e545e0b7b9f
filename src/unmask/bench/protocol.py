"""State how a number came about, so that whoever repeats it can tell by a hash that nothing differs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from unmask._version import __version__
from unmask.bench.dataset import BenchDataset
from unmask.evaluation import Prediction
from unmask.scan.base import BaseScanner

FRAMES = 32
"""Frames of each clip, as the field's tables have it."""


def protocol_of(scanner: BaseScanner, dataset: BenchDataset, repeats: int, seed: int) -> dict[str, Any]:
    """Return all that a number depends on, JSON-ready: version, models, frames, crop, fusion, clips, resamples.

    Args:
        scanner: How the clips were scanned.
        dataset: The clips.
        repeats: Resamples of the intervals.
        seed: Seed of the resamples.
    """
    settings = {name: value for name, value in scanner.settings.items() if name not in ("limits", "signatures", "hash")}
    return {
        "unmask": __version__,
        "models": [dict(model) for model in scanner.models],
        "settings": settings,
        "split": {"name": dataset.split, "clips": len(dataset.clips), "sha256": dataset.sha256},
        "frame_level": "largest judged face of each frame",
        "intervals": {"resamples": repeats, "seed": seed, "unit": "source video"},
    }


def protocol_of_file(path: Path, sha256: str, repeats: int, seed: int) -> dict[str, Any]:
    """Return the protocol of predictions that somebody else made, given the hash of their file."""
    return {
        "unmask": __version__,
        "predictions": {"file": path.name, "sha256": sha256},
        "intervals": {"resamples": repeats, "seed": seed, "unit": "source video"},
    }


def protocol_hash(protocol: dict[str, Any]) -> str:
    """Return sixteen hex digits that stand for a protocol."""
    return _digest(json.dumps(protocol, sort_keys=True, default=list))


def predictions_hash(predictions: Sequence[Prediction]) -> str:
    """Return sixteen hex digits that stand for the answers: equal hashes mean equal numbers."""
    ordered = sorted(predictions, key=lambda item: item.name)
    return _digest(json.dumps([(item.name, item.fake_probability, item.label) for item in ordered]))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
