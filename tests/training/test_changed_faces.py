"""Training on clips of two people, of whom one was changed."""

import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")

from unmask.prepare.layout import read_folds, write_folds
from unmask.training.clips import rows_of_crops
from unmask.training.data import PreparedCrops, TrainingItems
from unmask.training.recipe import load_recipe

TINY = Path(__file__).parents[2] / "recipes" / "tiny.toml"


def test_a_face_of_a_fake_may_be_real(group_prepared):
    rows = rows_of_crops(group_prepared, read_folds(group_prepared / "folds.csv"))
    assert [(row.video, row.label) for row in rows] == [
        ("group", 0), ("group", 0),
        ("larger", 1), ("larger", 0),
        ("passage", 1), ("passage", 0),  # fake for a part of the time
        ("smaller", 0), ("smaller", 1),
    ]  # fmt: skip


def test_fakes_that_show_nothing_changed_do_not_count(group_prepared, tmp_path):
    out = Path(shutil.copytree(group_prepared, tmp_path / "out"))
    rows = [replace(row, fold=row.frame // 2 % 2) for row in read_folds(out / "folds.csv")]
    write_folds(rows, out / "folds.csv")
    recipe = load_recipe(TINY)
    assert recipe.loss.only_changed_frames
    crops = PreparedCrops(out, recipe)
    shown = crops.epoch(0)
    number = next(i for i, row in enumerate(shown) if row.label)
    mask = out / "diffs" / shown[number].video / shown[number].file.replace(".png", "_diff.png")

    def counts():
        return TrainingItems(crops, recipe, 0, [number])[0][0][3]

    assert counts()
    cv2.imwrite(str(mask), np.zeros_like(cv2.imread(str(mask), cv2.IMREAD_GRAYSCALE)))
    assert not counts()
    mask.unlink()  # nobody knows where it was changed
    assert counts()
