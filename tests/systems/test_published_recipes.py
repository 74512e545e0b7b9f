"""Recipes of published systems: what they train is taken by the preset of the system."""

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")

from tests.shallow import shallow_encoders
from unmask import UsageError, open_preset
from unmask.models.checkpoints.kinds import CHECKPOINT_KINDS
from unmask.models.networks import export
from unmask.systems.robustforensics.members import MEMBERS
from unmask.systems.winner.presets import WINNER
from unmask.training.export import export_run
from unmask.training.loop import Trainer
from unmask.training.recipe import load_recipe

RECIPES = Path(__file__).parents[2] / "recipes"
WINNERS = sorted(RECIPES.glob("b[0-9]*.toml"))
ROBUST = sorted((RECIPES / "robustforensics").glob("*.toml"))
TINY = {"epochs": 1, "batches_per_epoch": 1, "batch_size": 2, "precision": "fp32", "data.size_px": 32}
ON_SAMPLE = {"data.fold": 1, "data.holdout": "fold"}
NETWORKS = {
    "classifier": {"encoder": "test_efficientnet"},
    "two_class": {"encoder": "test_efficientnet"},
    "slowfast": {"depths": [1, 1, 1, 1], "width": 8, "shrink": 2},
}
SHORT_CLIPS = {"data.clip_frames": 4, "data.clip_step": 1}


@pytest.fixture(scope="module", autouse=True)
def shallow():
    with shallow_encoders():
        yield


WRITTEN = {}


@pytest.fixture
def written_once(monkeypatch):
    """Write the ONNX of a network and a size, and compare it with torch, once: what differs is in the cards."""
    honest = export.to_onnx

    def to_onnx(model, example, *rest):
        key = type(model.network), example.shape
        if key in WRITTEN:
            monkeypatch.setattr(export, "_check_agreement", lambda *_: None)
        else:
            WRITTEN[key] = honest(model, example, *rest)
        return WRITTEN[key]

    monkeypatch.setattr(export, "to_onnx", to_onnx)


def train(path, data, folder):
    """Train the recipe's smallest relative for a step and export it."""
    network = load_recipe(path).network.name
    clips = SHORT_CLIPS if network == "slowfast" else {}
    small = {"crop.size_px": 48} if path in WINNERS else {}  # RobustForensics' preset checks the size
    changes = TINY | ON_SAMPLE | clips | small | {"network.params": NETWORKS[network]}
    list(Trainer(load_recipe(path, changes), data, folder / "run").run())
    return export_run(folder / "run", folder / "model", checkpoint="last", licence="none")


@pytest.mark.usefixtures("written_once")
@pytest.mark.parametrize("path", WINNERS, ids=lambda path: path.stem)
def test_the_winners_presets_take_what_his_recipes_train(path, prepared_often, tmp_path):
    card = train(path, prepared_often, tmp_path)
    assert (replace(card.crop, size_px=380), card.fusion, card.precision) == (WINNER.crop, WINNER.fusion, "fp32")
    for preset in ("b5x15", "winner-exact") if path.stem == "b5" else ("winner",):
        scanner = open_preset(preset, tmp_path / "model")
        assert scanner.cards[0].name == card.name


@pytest.mark.usefixtures("written_once")
@pytest.mark.parametrize("path", ROBUST, ids=lambda path: path.stem)
def test_the_preset_robustforensics_takes_what_its_recipes_train(path, prepared_often, tmp_path, monkeypatch):
    monkeypatch.setattr("unmask.systems.robustforensics.scanner.load_detector", lambda _: None)
    card = train(path, prepared_often, tmp_path)
    published = CHECKPOINT_KINDS[card.name].card
    assert (card.crop, card.fusion, card.precision) == (published.crop, published.fusion, published.precision)
    scanner = open_preset("robustforensics", tmp_path / "model")
    assert [card.name for card in scanner.cards] == [f"robustforensics-{path.stem}"]


def test_image_recipes_read_the_squares_that_the_preset_shows():
    """Data and hold-out as in image_based/configs of Siyu-C/RobustForensics."""
    for member in MEMBERS:
        data = load_recipe(RECIPES / "robustforensics" / f"{member.name}.toml").data
        all_data = member.name.endswith("alldata")
        assert data.kind == ("aligned" if member.group == "image" else "clips")
        assert data.frame_step == 30
        assert (data.holdout, data.fold) == (("public", 0) if all_data else ("fold", 3))


def test_a_recipe_says_its_crop_rule_once(tmp_path):
    text = (RECIPES / "b5.toml").read_text()
    (tmp_path / "twice.toml").write_text(text + "\n[crop]\nsize_px = 380\n")
    with pytest.raises(UsageError, match="crop follows from published"):
        load_recipe(tmp_path / "twice.toml")
    (tmp_path / "unknown.toml").write_text(text.replace("winner-b5", "winner-b9"))
    with pytest.raises(UsageError, match="winner-b9"):
        load_recipe(tmp_path / "unknown.toml")
    assert load_recipe(RECIPES / "b5.toml", {"crop.size_px": 224}).crop.size_px == 224
