"""Checkpoints: all that a run needs to go on as if nothing had happened.

last/model.safetensors      weights
last/average.safetensors    their moving average, where there is one
last/state.pt               optimizer, scaler, random numbers of each process
last/checkpoint.json        where the run is, and the sha256 of each file
"""

from __future__ import annotations

import hashlib
import io
import json
import math
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from unmask.errors import ModelError
from unmask.storage.atomic import atomic_folder

FACTS = "checkpoint.json"
Tensors = dict[str, Tensor]


def save_checkpoint(
    folder: Path, weights: Tensors, average: Tensors | None, state: dict[str, Any], facts: dict[str, Any]
) -> None:
    """Write a checkpoint, whole or not at all.

    Args:
        folder: Where to; an older one is replaced.
        weights: Of the network.
        average: Their moving average.
        state: Tensors and plain values.
        facts: JSON-ready values.

    Raises:
        ModelError: A weight is not a number.
    """
    broken = next((name for name, t in weights.items() if t.is_floating_point() and not bool(t.isfinite().all())), None)
    if broken is not None:
        raise ModelError(f"the weight {broken!r} is no longer a number; lower the learning rate, or train in fp32")
    buffer = io.BytesIO()
    torch.save(state, buffer)
    contents = {"model.safetensors": _pack(weights), "state.pt": buffer.getvalue()}
    if average is not None:
        contents["average.safetensors"] = _pack(average)
    facts = facts | {"files": {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}}
    contents[FACTS] = json.dumps(facts, indent=1).encode() + b"\n"
    with atomic_folder(folder) as temporary:
        for name, content in contents.items():
            (temporary / name).write_bytes(content)


def load_checkpoint(folder: Path) -> tuple[Tensors, Tensors | None, dict[str, Any], dict[str, Any]]:
    """Return weights, their average, state and facts of a checkpoint.

    Raises:
        ModelError: A file is missing, or is not the one that was written.
    """
    facts = read_facts(folder)
    contents = {}
    for name, digest in facts["files"].items():
        try:
            contents[name] = (folder / name).read_bytes()
        except OSError as error:
            raise ModelError(f"the checkpoint {folder} has no {name}; go on from another one") from error
        if hashlib.sha256(contents[name]).hexdigest() != digest:
            raise ModelError(f"{folder / name} is damaged; go on from another checkpoint")
    average = safetensors.torch.load(contents["average.safetensors"]) if "average.safetensors" in contents else None
    state = torch.load(io.BytesIO(contents["state.pt"]), map_location="cpu", weights_only=True)
    return safetensors.torch.load(contents["model.safetensors"]), average, state, facts


def read_facts(folder: Path) -> dict[str, Any]:
    """Return where a run is.

    Raises:
        ModelError: There is no checkpoint.
    """
    try:
        facts: dict[str, Any] = json.loads((folder / FACTS).read_bytes())
    except (OSError, ValueError) as error:
        raise ModelError(f"no checkpoint in {folder}: {error}") from error
    return facts


def newest_checkpoint(run: Path) -> Path | None:
    """Return the checkpoint that a run goes on from, None where it has none.

    It is ``last``. Where that is missing, as after a kill in the moment in which some systems replace a folder, it is
    the one of all others that has come furthest.
    """
    if (run / "last").exists():
        return run / "last"
    found = []
    for folder in (*run.glob("epoch_*"), *run.glob(".tmp-*")):
        try:
            load_checkpoint(folder)
            facts = read_facts(folder)
            found.append((facts["epoch"], facts["step"], folder))
        except (ModelError, KeyError, TypeError):
            continue  # half of one
    return max(found)[2] if found else None


def _pack(tensors: Tensors) -> bytes:
    return safetensors.torch.save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})


def is_better(loss: float, best: float | None) -> bool:
    """Whether a validation loss is the lowest so far."""
    return math.isfinite(loss) and (best is None or loss < best)
