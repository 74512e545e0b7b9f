"""From a run to a model that `unmask scan` takes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from unmask.errors import ModelError
from unmask.models.card import Card, NetworkSpec
from unmask.models.checkpoints.kinds import CHECKPOINT_KINDS, look_up
from unmask.models.networks import build_network
from unmask.models.networks.export import export_model
from unmask.training.checkpoint import Tensors, load_checkpoint
from unmask.training.recipe import Recipe


def export_run(run: Path, out: Path, *, checkpoint: str, licence: str, version: str = "1") -> Card:
    """Write a model folder from a checkpoint: the moving average of its weights, where there is one.

    The card says what it was trained with; it is not calibrated, and its thresholds are the defaults.

    Args:
        run: Folder of the run.
        out: The model folder.
        checkpoint: Name of the checkpoint within the run.
        licence: Terms of the weights.
        version: Of the weights.

    Raises:
        ModelError: The checkpoint is missing or damaged, or ONNX and torch disagree.
        UsageError: ``out`` holds other files than a model's.
    """
    weights, average, _, facts = load_checkpoint(run / checkpoint)  # checks every file's sha256
    try:
        recipe = TypeAdapter(Recipe).validate_json(json.dumps(facts["recipe"]))
    except (KeyError, ValidationError) as error:
        raise ModelError(f"{run / checkpoint} was written by another version: {error}") from error
    trained = {"recipe": recipe.to_dict(), "epoch": facts["epoch"], "step": facts["step"]}
    return export_weights(
        recipe, weights if average is None else average, out, trained, licence=licence, version=version
    )


def export_weights(
    recipe: Recipe, weights: Tensors, out: Path, trained: dict[str, Any], *, licence: str, version: str = "1"
) -> Card:
    """Write a model folder from weights, those of a moving average for instance.

    Args:
        recipe: That they were trained by.
        weights: Of its network; half precision is widened.
        out: The model folder.
        trained: What the card says about the training.
        licence: Terms of the weights.
        version: Of the weights.

    Raises:
        ModelError: ONNX and torch disagree.
        UsageError: ``out`` holds other files than a model's.
    """
    parameters = recipe.network.params | ({"pretrained": False} if "pretrained" in recipe.network.params else {})
    network = build_network(recipe.network.name, **parameters)
    network.load_state_dict(weights)
    card = Card(
        name=recipe.name,
        version=version,
        purpose=recipe.purpose,
        architecture=f"{recipe.network.name} with {recipe.network.params}",
        licence=licence,
        crop=recipe.crop,
        files={},
        network=NetworkSpec(recipe.network.name, parameters),
        training=trained,
        limitations=("not calibrated: fit temperature and thresholds before its labels are shown to anybody",),
    )
    if recipe.published is not None:
        card = _as_published(card, recipe.published)
    return export_model(network, out, card, mean=recipe.data.mean, std=recipe.data.std)


def _as_published(card: Card, kind: str) -> Card:
    """Return a card that says how a model is used in the words of the published checkpoints of its kind."""
    published = look_up("kind of checkpoint", CHECKPOINT_KINDS, kind).card
    return replace(
        card,
        fusion=published.fusion,
        precision=published.precision,
        limitations=(*card.limitations, *published.limitations),
    )
