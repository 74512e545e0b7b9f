# ruff: noqa: E402 - torch is not in every environment

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tests.training.conftest import TINY
from tests.training.test_clips import CHANGES
from unmask.augment.transforms import load_augmentation
from unmask.errors import UsageError
from unmask.prepare.layout import read_folds
from unmask.training.blended_clips import blend_clip
from unmask.training.load import load_data
from unmask.training.loop import Trainer
from unmask.training.recipe import load_recipe

BLENDED = CHANGES | {
    "data.kind": "blended_clips",
    "data.clip_frames": 4,
    "data.clip_step": 1,
    "data.augmentation": "robustforensics_clip_val",
    "loss": {"classes": "together"},
}


@pytest.fixture
def recipe():
    return load_recipe(TINY, BLENDED)


@pytest.fixture
def data(prepared_often, recipe):
    return load_data(prepared_often, recipe)


def test_authentic_faces_alone_are_read(data, prepared_often):
    authentic = {row.video for row in read_folds(prepared_often / "folds.csv") if not row.label}
    assert {row.video for row in data.training + data.validation} <= authentic
    assert {row.fold for row in data.validation} == {0}
    assert 0 not in {row.fold for row in data.training}


def test_a_pair_is_a_clip_and_one_blend_of_all_its_frames(data, recipe):
    augment = load_augmentation(recipe.data.validation_augmentation, size_px=56)
    row = next(row for row in data.training if len(row.files) >= 4)
    still = type(row)(row.video, row.label, row.fold, (row.files[0],) * 4)  # a face that does not move
    real, fake = blend_clip(still, recipe, 0, augment, np.random.default_rng(1))
    assert real.shape == fake.shape
    assert real.shape[:2] == (3, 4)
    for clip in (real, fake):
        assert all(torch.equal(clip[:, 0], clip[:, frame]) for frame in range(1, 4)), "the same draws for all frames"
    differs = (real.int() - fake.int()).abs().amax(0)[0]
    assert differs.max() > 20
    assert (differs <= 2).float().mean() > 0.2, "around the face both are the same"


def test_items_follow_from_their_numbers(data):
    first = data.training_items(0, [3])[0]
    again = data.training_items(0, [0, 3])[1]
    assert [label for _, _, label, _ in first] == [0.0, 1.0]
    assert all(torch.equal(a[0], b[0]) for a, b in zip(first, again, strict=True))
    other = data.training_items(1, [3])[0]
    assert not torch.equal(first[1][0], other[1][0])
    validation = data.validation_items()
    assert len(validation) == 2 * len(data.validation)
    assert sorted({float(validation.labels[validation[i][1]]) for i in range(2)}) == [0.0, 1.0]
    assert torch.equal(validation[1][0], data.validation_items()[1][0])


def test_a_network_of_clips_is_trained_on_them(prepared_often, recipe, tmp_path):
    events = list(Trainer(recipe, prepared_often, tmp_path / "run").run())
    assert events[-1]["event"] == "epoch"
    assert events[-1]["auc"] is not None
    assert all(np.isfinite(event["class_loss"]) for event in events if event["event"] == "step")


def test_without_landmarks_there_is_nothing_to_blend(prepared_often, recipe, tmp_path):
    (tmp_path / "prepared").mkdir()
    for name in ("folds.csv", "crops"):
        (tmp_path / "prepared" / name).symlink_to(prepared_often / name)
    with pytest.raises(UsageError, match="no real crop is left"):
        load_data(tmp_path / "prepared", recipe)
