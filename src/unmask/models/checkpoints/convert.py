"""From a published checkpoint to a model folder, in an isolated process.

Everything that can be wrong with the file is found before torch is imported or a tensor made, as far as it can be.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import TypeAdapter

from unmask.errors import ModelError, UnmaskError, UsageError
from unmask.isolation.process import memory_bounded, run_isolated
from unmask.models.card import Card, NetworkSpec, read_up_to
from unmask.models.checkpoints.checkpoint import MAX_FILE_BYTES, Checkpoint, read_checkpoint
from unmask.models.checkpoints.kinds import DETECTOR, CheckpointKind
from unmask.models.checkpoints.program import StoredTensor

if TYPE_CHECKING:
    import torch
    from torch import nn

FOLDER = "model"
"""Where the process writes, in its working folder."""

_WIDENED = ("float32", "float16", "bfloat16")
_READING_BYTES = 1 << 30
_MAX_MESSAGE = 2000
"""Letters of an error: names and shapes in it are the file's."""


@dataclass(frozen=True, slots=True)
class Job:
    """A checkpoint to convert."""

    file: str
    """Path of the checkpoint."""
    sha256: str
    """Hash of its bytes; the bytes that are read must have it."""
    origin: str
    """Where it came from: an address, or the file's name."""
    name: str
    """Name of the model that is made."""
    kind: CheckpointKind
    """Kind of checkpoint that the file must hold."""
    weights: str | None = None
    """Key of the state dict to take; None for the usual one."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Result of a conversion."""

    error: Literal["", "ModelError", "UsageError"] = ""
    """Empty when the model was written."""
    message: str = ""
    """Error in a sentence; empty when the model was written."""
    weights: str = ""
    """Key of the state dict that was taken."""
    other_weights: tuple[str, ...] = ()
    """Keys of those that were not."""


JOB: TypeAdapter[Job] = TypeAdapter(Job)
ANSWER: TypeAdapter[Answer] = TypeAdapter(Answer)


def run_converter(job: Job, folder: Path, timeout_seconds: float) -> Answer:
    """Convert in an isolated process, which writes ``model`` into the folder; return what it says.

    Raises:
        ModelError: The checkpoint is not what it should be, or the process took too long or too much.
        UsageError: The kind cannot be built here.
    """
    answer = ANSWER.validate_json(run_isolated(__name__, JOB.dump_json(job), folder, timeout_seconds))
    if answer.error:
        raise (UsageError if answer.error == "UsageError" else ModelError)(answer.message)
    return answer


def main(job: bytes) -> bytes:
    """Convert; takes a `Job` and returns an `Answer`, both as JSON."""
    try:
        checkpoint = convert(JOB.validate_json(job))
        answer = Answer(weights=checkpoint.weights, other_weights=checkpoint.other_weights)
    except (UnmaskError, MemoryError) as error:
        kind: Literal["ModelError", "UsageError"] = "UsageError" if isinstance(error, UsageError) else "ModelError"
        answer = Answer(kind, str(error)[:_MAX_MESSAGE] or "it asks for more memory than is allowed")
    return ANSWER.dump_json(answer)


def convert(job: Job) -> Checkpoint:
    """Read the checkpoint, compare it with its kind and write the model; return what was read.

    Raises:
        ModelError: It is not what it should be.
        UsageError: The kind cannot be built here, as torch is missing.
    """
    content = read_whole(Path(job.file))
    if hashlib.sha256(content).hexdigest() != job.sha256:
        raise ModelError("it was changed while it was read; start again")
    with memory_bounded(3 * len(content) + _READING_BYTES):
        checkpoint = read_checkpoint(content, job.weights)

    network, write = _network(job.kind)
    fill_network(network, checkpoint, job.kind)
    source: dict[str, Any] = {"from": job.origin, "sha256": job.sha256, "bytes": len(content)}
    if checkpoint.other_weights:
        source["weights"] = checkpoint.weights
    training = job.kind.card.training | {"checkpoint": source, "checkpoint_says": checkpoint.facts}
    spec = None if job.kind.network == DETECTOR else NetworkSpec(job.kind.network, job.kind.parameters)
    card = replace(job.kind.card, name=job.name, training=training, network=spec)
    write(network, Path(FOLDER), card)
    return checkpoint


def _network(kind: CheckpointKind) -> tuple[nn.Module, Callable[[Any, Path, Card], Card]]:
    """Return the network of a kind, and what writes its model folder."""
    if kind.network == DETECTOR:
        from unmask.models.networks.retinaface import RetinaFaceNetwork, export_retinaface

        return RetinaFaceNetwork(), export_retinaface
    from unmask.models.networks import build_network
    from unmask.models.networks.export import export_model

    return build_network(kind.network, **kind.parameters), partial(export_model, mean=kind.mean, std=kind.std)


def fill_network(network: nn.Module, checkpoint: Checkpoint, kind: CheckpointKind) -> None:
    """Give a network the weights of a checkpoint, if they are exactly those of its kind.

    Raises:
        ModelError: Names, shapes or types differ, numbers are damaged, or a weight is not finite.
    """
    if kind.published is None:
        stored = _with_our_names(checkpoint, kind, network)
        network.load_state_dict(tensors_for(network.state_dict(), stored, kind.prefix))
        return
    from unmask.models.networks.published_tensors import our_tensors, published_layout

    layout = published_layout(network, kind.published)
    names = {name.removeprefix(kind.prefix) for name in checkpoint.tensors}
    wanted = {name: tensor for name, tensor in layout.tensors.items() if name in names or name not in layout.perhaps}
    unused = frozenset(wanted) - layout.used
    network.load_state_dict(our_tensors(layout, tensors_for(wanted, checkpoint, kind.prefix, unused)))


def _with_our_names(checkpoint: Checkpoint, kind: CheckpointKind, network: nn.Module) -> Checkpoint:
    if kind.tensor_names == "unmask":
        return checkpoint
    from unmask.models.networks.library_names import rename_library_tensors

    bare = {name.removeprefix(kind.prefix): tensor for name, tensor in checkpoint.tensors.items()}
    if len(bare) < len(checkpoint.tensors):
        raise ModelError(f"it holds another network's weights: names occur with and without {kind.prefix!r}")
    names = rename_library_tensors(bare, network)
    return replace(checkpoint, tensors={names[name]: tensor for name, tensor in bare.items()})


def read_whole(path: Path) -> bytes:
    """Return a file's bytes.

    Raises:
        ModelError: It is too large, or cannot be read.
    """
    content = read_up_to(path, MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise ModelError(f"it is larger than {MAX_FILE_BYTES >> 30} gigabytes, which no published checkpoint is")
    return content


def tensors_for(
    layout: dict[str, torch.Tensor], checkpoint: Checkpoint, prefix: str, unused: frozenset[str] = frozenset()
) -> dict[str, torch.Tensor]:
    """Make the tensors of a checkpoint, if they are those of the layout: all names, all shapes, nothing more.

    Args:
        layout: State dict of the network.
        checkpoint: As read.
        prefix: In front of its names.
        unused: Names of the layout whose tensors must be there, too, but are not made.

    Returns:
        By name of the layout; half precision is widened.

    Raises:
        ModelError: Names, shapes or types differ, numbers are damaged, or a weight is not finite.
    """
    from unmask.models.networks.export import layout_differences, shapes_of

    found = {name.removeprefix(prefix): tensor for name, tensor in checkpoint.tensors.items()}
    differences = layout_differences(shapes_of(layout), {name: tensor.shape for name, tensor in found.items()})
    if differences or len(found) < len(checkpoint.tensors):
        why = "; ".join(differences) or f"names occur with and without {prefix!r}"
        raise ModelError(f"it holds another network's weights: {why}")
    return {
        name: _tensor(name, found[name], checkpoint, wanted) for name, wanted in layout.items() if name not in unused
    }


def _tensor(name: str, stored: StoredTensor, checkpoint: Checkpoint, wanted: torch.Tensor) -> torch.Tensor:
    import torch

    dtype = stored.storage.dtype
    if getattr(torch, dtype) != wanted.dtype and not (wanted.dtype == torch.float32 and dtype in _WIDENED):
        raise ModelError(f"{name} has numbers of type {dtype}; {str(wanted.dtype).removeprefix('torch.')} is needed")
    if math.prod(stored.shape) > stored.storage.items:
        raise ModelError(f"{name} repeats its numbers, which no published checkpoint does")
    numbers = bytearray(checkpoint.numbers[stored.storage.key].read())
    flat = torch.frombuffer(numbers, dtype=getattr(torch, dtype)) if numbers else torch.empty(0)
    tensor = flat.as_strided(stored.shape, stored.stride, stored.offset).to(wanted.dtype)
    if not bool(tensor.isfinite().all()):
        raise ModelError(f"{name} has weights that are no finite numbers; the file is damaged")
    return tensor
