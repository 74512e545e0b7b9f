"""A prepared dataset, and a recipe of the smallest network, for training that takes seconds."""

from pathlib import Path

import pytest

from unmask.datasets import read_index
from unmask.prepare.clip_steps import Settings
from unmask.prepare.preparation import Preparation
from unmask.training.recipe import Recipe, load_recipe

TINY = Path(__file__).parents[2] / "recipes" / "tiny.toml"


@pytest.fixture(scope="session")
def prepared_often(sample, tmp_path_factory) -> Path:
    """Every fifth frame of the sample, folds by part."""
    out = tmp_path_factory.mktemp("training") / "prepared"
    with Preparation(read_index(sample), out, settings=Settings(every=5)) as preparation:
        list(preparation.run())
        preparation.finish()
    return out


SMALLEST = {
    "network": {"name": "classifier", "params": {"encoder": "test_efficientnet", "dropout": 0.3}},
    "crop.size_px": 48,
    "data.size_px": 48,
    "epochs": 2,
    "batches_per_epoch": 3,
    "batch_size": 4,
    "schedule.name": "constant",
}


@pytest.fixture
def smallest() -> Recipe:
    return load_recipe(TINY, SMALLEST)
