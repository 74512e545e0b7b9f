"""Make a model folder of a network that ``scripts/train_together.py`` trained.

    python scripts/export_together.py OUT/bundled --out models/bundled --licence "your terms"

OUT/bundled stands for ``bundled.safetensors`` and ``bundled.json``, its recipe.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import safetensors.torch
from pydantic import TypeAdapter

from unmask.training.export import export_weights
from unmask.training.recipe import Recipe


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("stem", type=Path)
    options.add_argument("--out", type=Path, required=True)
    options.add_argument("--licence", required=True)
    options.add_argument("--version", default="1")
    given = options.parse_args()
    recipe = TypeAdapter(Recipe).validate_json(given.stem.with_suffix(".json").read_text())
    weights = safetensors.torch.load_file(given.stem.with_suffix(".safetensors"))
    trained = {"recipe": json.loads(given.stem.with_suffix(".json").read_text())}
    print(export_weights(recipe, weights, given.out, trained, licence=given.licence, version=given.version).files)


if __name__ == "__main__":
    main()
