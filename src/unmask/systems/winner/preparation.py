"""How the winner's scripts prepared the challenge's training set. Source: preprocess_data.sh and what it calls."""

from __future__ import annotations

from dataclasses import replace

from unmask.prepare.clip_steps import Settings
from unmask.systems.preparation import PublishedPreparation
from unmask.systems.winner.facts import CROP
from unmask.types import DetectorSpec

WINNER_PREPARATION = PublishedPreparation(
    steps=("boxes", "crops", "landmarks", "diffs", "folds"),
    settings=Settings(
        every=10,
        image_format="png",
        colours=CROP.colours,
        detection=replace(CROP.detection, thresholds=(0.85, 0.95, 0.95)),
        box_pixels="scaled",
        landmark_detection=DetectorSpec(scale=1.0, thresholds=(0.65, 0.75, 0.75)),
        landmark_search="all",
        max_frames=32,
        max_faces=2,
        unpaired_originals=False,
        unchanged="fake",
    ),
    folds=16,
    fold_rule="dfdc",
)
"""Frames are searched at half size; every tenth is kept; landmarks, masks and folds are of 32 frames and two faces."""
