from pathlib import Path

import pytest

from unmask.errors import UsageError
from unmask.training.recipe import load_recipe
from unmask.training.recipes import find_recipe, recipe_names


@pytest.mark.parametrize("name", ["b5", "b5.toml", "recipes/b5.toml", "robustforensics/b0"])
def test_recipes_are_found_by_name(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_recipe(Path(name)).stem == Path(name).stem
    assert load_recipe(find_recipe(Path(name))).name


def test_every_recipe_has_a_name():
    assert {"tiny", "b7_seed111", "robustforensics/b0"} <= set(recipe_names())


def test_a_file_comes_first_and_what_is_neither_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "b5").write_text("")
    assert find_recipe(Path("b5")) == Path("b5")
    for name in ("b9", "b9.toml", "../b3", "."):
        with pytest.raises(UsageError, match=r"there is no recipe .*; name a TOML file, or one of .*b3, b4"):
            find_recipe(Path(name))
