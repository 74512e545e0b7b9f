"""Let installed packages add detectors, readers, rules, checkpoint kinds and networks.

A package names what it brings as entry points of one of these groups, name and object:

    unmask.detectors         a function from a `DetectorSpec` to a detector
    unmask.readers           a function from a dataset's folder to an `Index`, or None where the layout is another
    unmask.rules             a function from the scores of a person's frames to one
    unmask.checkpoint_kinds  a `CheckpointKind`
    unmask.networks          a class of torch

They are looked for when a name is asked for that unmask itself does not have; readers whenever a dataset is read.
"""

from __future__ import annotations

import sys
from collections.abc import MutableMapping
from functools import lru_cache
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from typing import Any

from unmask.errors import UsageError


def enter_plug_ins(group: str, entries: MutableMapping[str, Any], name: str | None = None) -> None:
    """Enter the plug-ins of a group into a registry; what unmask itself has keeps its name.

    Args:
        group: E.g. ``unmask.readers``.
        entries: The registry: name -> object.
        name: Load this one alone, if there is one; None for all.

    Raises:
        UsageError: One cannot be loaded.
    """
    for plug_in in _installed(group, tuple(sys.path)):
        if plug_in.name not in entries and name in (None, plug_in.name):
            entries[plug_in.name] = _load(plug_in)


@lru_cache(maxsize=8)
def _installed(group: str, _path: tuple[str, ...]) -> EntryPoints:
    """Return what the packages of a search path bring; to look through hundreds of them takes 10 ms."""
    return entry_points(group=group)


def _load(plug_in: EntryPoint) -> Any:
    try:
        return plug_in.load()
    except Exception as error:
        package = plug_in.dist.name if plug_in.dist is not None else plug_in.value
        raise UsageError(
            f"the plug-in {plug_in.name!r} of {package} cannot be loaded ({type(error).__name__}: {error}); "
            f"update it, or take it away: pip uninstall {package}"
        ) from error
