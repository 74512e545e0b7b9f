"""Describe published checkpoints: how their networks are built, what their cards say, where the files are.

A published system registers its own in ``unmask.systems``, by `register_checkpoint_kind` and `register_release`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from unmask.errors import UsageError
from unmask.models.card import Card
from unmask.models.published import enter_published_systems
from unmask.runtime.plug_ins import enter_plug_ins

Entry = TypeVar("Entry")
DETECTOR = "retinaface"
"""Name of the network that finds faces instead of judging them."""


@dataclass(frozen=True, slots=True)
class PublishedLayout:
    """Where a checkpoint of other code keeps the tensors of our network. Plain values, so that JSON can carry it."""

    modules: dict[str, str]
    """Start of our tensors' names -> start of theirs, such as ``encoder.`` -> ``backbone.``; covers all of ours."""
    encoder_library: Literal[
        "timm", "efficientnet_pytorch", "transformers_clip", "transformers_clip_svd", "transformers_dinov3"
    ] = "timm"
    """Whose code names the encoder's tensors after that start, see ``unmask.models.networks.published_tensors``."""
    head: str = "fc"
    """Our last linear layer, where theirs has a row of weights for each of two classes; empty where it has one row."""
    fake_class: Literal[0, 1] = 1
    """Which of their two classes is the fakes."""
    grid: int = 0
    """Side of the grid of position embeddings in the file, where ours is smaller; 0 where they are the same."""
    numbers: Literal["float32", "float64"] = "float32"
    """Type of the weights in the file."""
    unused: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """Name -> shape of tensors that are there for training only, and are left out."""
    perhaps: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """The same of tensors that some versions of the library write."""
    twins: dict[str, str] = field(default_factory=dict)
    """Start of names that are left out -> start of names whose tensors, used or not, have the same ends and shapes."""


@dataclass(frozen=True, slots=True)
class CheckpointKind:
    """Checkpoints that hold the same network and are used in the same way. Plain values, so that JSON can carry it."""

    network: str
    """Name in ``unmask.models.networks.NETWORKS``, or `DETECTOR`; its state dict is the layout of the tensors."""
    parameters: dict[str, Any]
    """Parameters of the network."""
    card: Card
    """Card of each model that is made; name, files and source are filled in."""
    only: bool = False
    """Whether only one file of this kind was published: the model is then named as the kind."""
    tensor_names: Literal["unmask", "encoder_library"] = "unmask"
    """Whose names the tensors have, without the prefix: those of our networks, or those of the libraries that encoders
    came from before timm, see ``unmask.models.networks.library_names``."""
    published: PublishedLayout | None = None
    """How the tensors lie in the file, where more than names differ; it stands in place of `tensor_names`."""
    prefix: str = "module."
    """Start of the tensors' names, left there by training on several GPUs; stripped where it is found."""
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    """Mean of RGB in 0..1, subtracted from the pixels; by default ImageNet's."""
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    """Standard deviation of RGB in 0..1, divided by after that; by default ImageNet's."""


@dataclass(frozen=True, slots=True)
class Release:
    """Checkpoints that can be fetched from a server."""

    base_url: str
    """Address of the files; ends with a slash."""
    page_url: str
    """Page that describes the release."""
    kind: str
    """Name in `CHECKPOINT_KINDS` of all files."""
    files: dict[str, str] = field(default_factory=dict)
    """Name that the model gets -> name of the file."""


CHECKPOINT_KINDS: dict[str, CheckpointKind] = {}
"""Name, as ``unmask models import --as`` takes it -> kind."""

RELEASES: dict[str, Release] = {}
"""Name, as ``unmask models pull`` takes it -> release."""


def register_checkpoint_kind(name: str, kind: CheckpointKind) -> None:
    """Enter a kind into `CHECKPOINT_KINDS`."""
    CHECKPOINT_KINDS[name] = kind


def register_release(name: str, release: Release) -> None:
    """Enter a release into `RELEASES`."""
    RELEASES[name] = release


def look_up(what: str, entries: dict[str, Entry], name: str) -> Entry:
    """Return an entry of a registry.

    Raises:
        UsageError: There is none of this name.
    """
    if name not in entries:
        enter_published_systems()
    if entries is CHECKPOINT_KINDS:
        enter_plug_ins("unmask.checkpoint_kinds", CHECKPOINT_KINDS, name)
    if name not in entries:
        raise UsageError(f"unknown {what} {name!r}; use one of {', '.join(entries)}")
    return entries[name]
