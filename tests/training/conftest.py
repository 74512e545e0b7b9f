"""Shallow networks, and a recipe of the smallest, for training that takes seconds."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from unmask.training.recipe import Recipe, load_recipe

TINY = Path(__file__).parents[2] / "recipes" / "tiny.toml"


@pytest.fixture(scope="session", autouse=True)
def shallow() -> Iterator[None]:
    """To train a network of full depth proves no more."""
    if find_spec("timm") is None:
        yield
        return
    from tests.shallow import shallow_encoders

    with shallow_encoders():
        yield


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
