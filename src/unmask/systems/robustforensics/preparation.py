"""How RobustForensics prepared the challenge's training set: aligned faces of every frame.

Source: Siyu-C/RobustForensics, README.md and DFDC-Kaggle_list.
"""

from __future__ import annotations

from unmask.prepare.clip_steps import Settings
from unmask.systems.preparation import PublishedPreparation
from unmask.systems.robustforensics.members import COLOURS, DETECTION

ROBUSTFORENSICS_PREPARATION = PublishedPreparation(
    steps=("boxes", "crops", "tubes", "folds"),
    settings=Settings(every=1, image_format="png", colours=COLOURS, detection=DETECTION),
    folds=5,
    fold_rule="dfdc",
)
"""Five folds of ten parts each: fold 3 is the parts 30 to 39, which validate most of its models. The crops are not the
authors': folds.csv takes its lines from them."""
