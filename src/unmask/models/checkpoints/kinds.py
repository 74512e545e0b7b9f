"""Which published checkpoints are known: how their networks are built, what their cards say, where the files are.

A further kind is a file beside this one that calls `register_kind` and, where files were released, `register_release`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from unmask.errors import UsageError
from unmask.models.card import Card
from unmask.models.published import enter_published_systems

Entry = TypeVar("Entry")
DETECTOR = "retinaface"
"""The network that finds faces rather than judging them."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Checkpoints that hold the same network and are used in the same way. Plain values, so that JSON can carry it."""

    network: str
    """Name in ``unmask.models.networks.NETWORKS``, or `DETECTOR`. Its state dict is the
    layout, name for name, shape for shape."""
    parameters: dict[str, Any]
    """For the network."""
    card: Card
    """Of each model that is made; name, files and source are filled in."""
    only: bool = False
    """Whether one file of this kind was ever published: the model is then called by the kind."""
    names: Literal["ours", "published"] = "ours"
    """Whose names the tensors have, once the prefix is gone: our networks', or those that
    `unmask.models.networks.published_names` translates."""
    prefix: str = "module."
    """In front of the tensors' names, left there by training on several cards; stripped where it is found."""
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    """Of RGB in 0..1, subtracted from the pixels; ImageNet's."""
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    """Of RGB in 0..1, divided by; ImageNet's."""


@dataclass(frozen=True, slots=True)
class Release:
    """Checkpoints that lie on a server."""

    base_url: str
    """Of the files; ends with a slash."""
    page_url: str
    """For people."""
    kind: str
    """Name in `KINDS` of all of them."""
    files: dict[str, str] = field(default_factory=dict)
    """Name that the model gets -> name of the file."""


KINDS: dict[str, Kind] = {}
"""Name, as ``unmask models import --as`` takes it -> kind."""

RELEASES: dict[str, Release] = {}
"""Name, as ``unmask models pull`` takes it -> release."""


def register_kind(name: str, kind: Kind) -> None:
    """Enter a kind into `KINDS`."""
    KINDS[name] = kind


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
    if name not in entries:
        raise UsageError(f"unknown {what} {name!r}; use one of {', '.join(entries)}")
    return entries[name]
