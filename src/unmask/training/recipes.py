"""Find the recipes that come with unmask by name."""

from __future__ import annotations

from pathlib import Path

from unmask.errors import UsageError

_PACKAGE = Path(__file__).parents[1]
_FOLDERS = (_PACKAGE / "recipes", _PACKAGE.parents[1] / "recipes")
"""Where they lie in an installed package, and in a checkout of the repository."""


def recipe_names() -> list[str]:
    """Return the names of the recipes that come with unmask, e.g. ``b5`` and ``robustforensics/slowfast``."""
    folder = _folder()
    if folder is None:
        return []
    return sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.toml"))


def find_recipe(recipe: Path) -> Path:
    """Return the file of a recipe.

    Args:
        recipe: A file; or the name of a recipe that comes with unmask, with or without ``recipes/`` in front and the
            suffix ``.toml``. A file that is there comes first.

    Raises:
        UsageError: There is neither.
    """
    if recipe.is_file():
        return recipe
    folder, name = _folder(), recipe.as_posix().removeprefix("recipes/").removesuffix(".toml")
    if folder is not None and name in recipe_names():
        return folder / f"{name}.toml"
    raise UsageError(f"there is no recipe {recipe}; name a TOML file, or one of {', '.join(recipe_names())}")


def _folder() -> Path | None:
    return next((folder for folder in _FOLDERS if folder.is_dir()), None)
