from dataclasses import replace
from pathlib import Path

import pytest

from unmask.errors import UsageError
from unmask.systems.robustforensics.members import MEMBERS
from unmask.training.recipe import load_recipe, recipe_kind
from unmask.training.schedule import learning_rate

RECIPES = Path(__file__).parents[2] / "recipes"
ALL = sorted(path for path in RECIPES.rglob("*.toml") if recipe_kind(path) is None)


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_all_recipes_can_be_read(path):
    recipe = load_recipe(path)
    assert recipe.to_dict()["name"]
    # RobustForensics' networks that learn on 224 pixels are used at 256.
    larger = recipe.name.startswith("robustforensics") and recipe.data.size_px == 224
    assert recipe.crop.size_px == (256 if larger else recipe.data.size_px)


def test_the_published_ones_are_there():
    names = {path.relative_to(RECIPES).with_suffix("").as_posix() for path in ALL}
    assert {f"b7_seed{seed}" for seed in (111, 555, 777, 888, 999)} <= names
    assert {"b3", "b4", "b5", "b6", "sbi_b4", "tiny"} <= names
    assert {name for name in names if name.startswith("robustforensics/")} == {
        f"robustforensics/{member.name}" for member in MEMBERS
    }


@pytest.mark.parametrize("member", MEMBERS, ids=lambda member: member.name)
def test_robustforensics_recipes_make_what_its_table_asks_for(member):
    recipe = load_recipe(RECIPES / "robustforensics" / f"{member.name}.toml")
    assert (recipe.name, recipe.crop.size_px) == (member.model, member.side_px)
    assert recipe.data.mean == pytest.approx(member.mean, abs=1e-6)
    assert recipe.data.std == pytest.approx(member.std, abs=1e-6)
    assert (recipe.data.kind == "clips") == (member.group == "video")
    assert recipe.network.params.get("encoder", "").partition(".")[0] == member.encoder
    assert recipe.network.params.get("bgr", False) == member.bgr


def test_the_seeds_are_the_names():
    for seed in (111, 555, 777, 888, 999):
        assert load_recipe(RECIPES / f"b7_seed{seed}.toml").seed == seed


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"optimizer.learning_rte": 1}, "optimizer.learning_rte"),
        ({"colour": "red"}, "colour"),
        ({"data.fold": "first"}, "data.fold"),
        ({"data.label_smoothing": 0.7}, "label_smoothing"),
        ({"optimizer.name": "adam"}, "optimizer.name"),
        ({"epochs": 0}, "epochs 0 is below 1"),
    ],
)
def test_an_unknown_or_impossible_key_is_named(changes, words):
    with pytest.raises(UsageError, match=words):
        load_recipe(RECIPES / "tiny.toml", changes)


def test_a_file_that_is_no_recipe(tmp_path):
    (tmp_path / "x.toml").write_text("name = ")
    with pytest.raises(UsageError, match="cannot read the recipe"):
        load_recipe(tmp_path / "x.toml")
    with pytest.raises(UsageError, match="cannot read the recipe"):
        load_recipe(tmp_path / "missing.toml")


class TestLearningRates:
    """Check values of the published systems. ``after`` is the iteration that has just ended."""

    @pytest.mark.parametrize(
        ("after", "rate"), [(0, 0.0099999104), (2499, 0.0097758384), (50000, 0.0053827604), (99999, 8.4552e-05)]
    )
    def test_b7(self, after, rate):
        recipe = load_recipe(RECIPES / "b7_seed111.toml")
        assert learning_rate(recipe, after + 1, 100_000) == pytest.approx(rate, rel=1e-5)

    def test_b5(self):
        assert learning_rate(load_recipe(RECIPES / "b5.toml"), 75_000, 75_000) == pytest.approx(2.5817e-05, rel=1e-4)

    def test_robustforensics(self):
        recipe = load_recipe(RECIPES / "robustforensics" / "b0.toml")
        rates = {i: learning_rate(recipe, i, 60_000) for i in (0, 499, 999, 14_999, 15_000, 45_000)}
        assert rates[0] == pytest.approx(0.01, rel=0.01)
        assert rates[499] == pytest.approx(0.02)
        assert rates[999] == rates[14_999] == 0.03
        assert rates[15_000] == 0.015
        assert rates[45_000] == pytest.approx(0.03 / 16)

    def test_robustforensics_video(self):
        recipe = load_recipe(RECIPES / "robustforensics" / "slowfast_32x4_alldata.toml")
        rates = [learning_rate(recipe, i, 60_000) for i in (499, 999, 19_999, 20_000, 50_000)]
        assert rates == pytest.approx([0.026, 0.05, 0.05, 0.025, 0.05 / 16])

    def test_self_blending(self):
        recipe = load_recipe(RECIPES / "sbi_b4.toml")
        assert learning_rate(recipe, 74, 100) == learning_rate(recipe, 0, 100) == 0.001
        assert learning_rate(recipe, 99, 100) == pytest.approx(0.00004)

    def test_cosine_and_constant(self):
        recipe = load_recipe(RECIPES / "tiny.toml")
        assert learning_rate(recipe, 50, 100) == pytest.approx(0.001)
        constant = replace(recipe, schedule=replace(recipe.schedule, name="constant"))
        assert learning_rate(constant, 99, 100) == 0.002
