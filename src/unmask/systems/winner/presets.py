"""The winner's two submissions as presets."""

from __future__ import annotations

from dataclasses import replace

from unmask.systems.preset import ScannerPreset
from unmask.systems.winner.facts import B5_MODELS, CROP, FILES, FRAMES, FUSION, SAMPLING
from unmask.systems.winner.released import ReleasedScanner

WINNER = ScannerPreset(
    purpose="The challenge's winner: 32 frames, seven EfficientNet-B7, sure scores decide; its faults mended.",
    models=tuple(FILES),
    cure="get the published weights: unmask models pull winner",
    crop=CROP,
    fusion=FUSION,
    frames=FRAMES,
    sampling=SAMPLING,
)
WINNER_EXACT = replace(
    WINNER, purpose="The same with the released code's faults, to the last digit.", scanner=ReleasedScanner
)
B5X15 = replace(
    WINNER,
    purpose="The winner's other submission: fifteen EfficientNet-B5.",
    models=B5_MODELS,
    cure="their weights were never published: train fifteen with recipes/b5.toml, a seed and a fold for each, and "
    f"export them under these names: unmask models export RUN --out ~/.cache/unmask/models/{B5_MODELS[0]}",
)
