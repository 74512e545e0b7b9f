"""Run readers within the decoder's process: functions of higher floors that look at an open file for something else.

A reader takes an `unmask.media.frames.OpenFile` and returns JSON-ready values. It is named by module and function, so
that the server of decoders can load it before it forks: a confined process can load nothing. What it reads may be
hostile: it bounds its own work, and what it returns is checked by who asked for it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unmask.media.frames import OpenFile

Reader = Callable[..., Any]
"""Looks at an open file, an `OpenFile`; returns JSON-ready values."""

MAX_NOTE_BYTES = 1 << 18
"""Length of the longest answer of a reader, as JSON; a longer one is dropped."""


def reader_name(reader: Reader) -> str:
    """Return the name by which another process finds a reader, such as ``unmask.evidence.labels:read_labels``."""
    return f"{reader.__module__}:{reader.__qualname__}"


def find_reader(name: str) -> Reader:
    """Load the reader of a name."""
    module, _, function = name.partition(":")
    reader: Reader = getattr(import_module(module), function)
    return reader


def run_readers(names: Iterable[str], opened: OpenFile) -> dict[str, Any]:
    """Return what each reader says, by name; one that fails says nothing, and costs no row."""
    notes = {}
    for name in names:
        try:
            note = find_reader(name)(opened)
            if len(json.dumps(note)) <= MAX_NOTE_BYTES:
                notes[name] = note
        except Exception:  # noqa: BLE001, S112 - a file may break any reader, and is judged all the same
            continue
    return notes
