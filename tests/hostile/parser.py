"""What the fuzzers need to know of a parser."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Raises = type[Exception] | tuple[type[Exception], ...]


@dataclass(frozen=True)
class Parser:
    """How to feed one of ours."""

    read: Callable[[bytes, Path], object]
    """Takes the input, and an empty folder."""
    may_raise: Raises
    """What its documentation says that it raises."""
    seeds: Callable[[Path], list[bytes]]
    """Makes good input; takes an empty folder."""

    def __call__(self, data: bytes, folder: Path) -> None:
        refused = self.may_raise if isinstance(self.may_raise, tuple) else (self.may_raise,)
        with contextlib.suppress(*refused):
            self.read(data, folder)


def written(data: bytes, path: Path) -> Path:
    path.write_bytes(data)
    return path
