"""Which contents have a line already, by their length: a file of the same content needs none of its own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unmask.scale.index import SealedIndex
from unmask.scale.rows import is_final, short

MOST_KNOWN = 64
"""Contents of one length that a file is compared with, at most."""


class Contents:
    """Contents that earlier runs gave a line, and those of this run that further files may have."""

    def __init__(self, index: SealedIndex, lengths: NDArray[np.int64], repeated: NDArray[np.int64]) -> None:
        """Begin with what earlier runs did.

        Args:
            index: That.
            lengths: (l,) lengths of the files of this run, rising; others are not looked up.
            repeated: (r,) lengths of several files of this run, rising.
        """
        self._contents = index.content
        at = np.searchsorted(lengths, index.size)
        is_wanted = lengths[np.minimum(at, len(lengths) - 1)] == index.size if len(lengths) else np.False_
        holds = np.flatnonzero(index.final & (index.length > 0) & is_wanted)
        self._by_size = holds[np.argsort(index.size[holds], kind="stable")]
        self._sizes = index.size[self._by_size]
        self._repeated = repeated
        self._new: dict[int, set[str]] = defaultdict(set)

    def add(self, commit: Mapping[str, Any]) -> None:
        """Take a commit of this run."""
        if not len(self._repeated):
            return
        rows = commit["rows"]
        sizes = np.array([size for _, _, _, size, _ in rows], np.int64)
        for place in np.flatnonzero(np.isin(sizes, self._repeated)).tolist():
            _, sha256, status, size, length = rows[place]
            if length and is_final(sha256, status):
                self._new[size].add(short(sha256))

    def known(self, size_bytes: int | None) -> frozenset[str]:
        """Return the contents of this length that have a line, as `short`, where they are few."""
        if size_bytes is None:
            return frozenset()
        first, end = np.searchsorted(self._sizes, [size_bytes, size_bytes + 1])
        new = self._new.get(size_bytes, set())
        if not 0 < end - first + len(new) <= MOST_KNOWN:
            return frozenset()
        return (
            frozenset(bytes(self._contents[entry]).ljust(16, b"\0").hex() for entry in self._by_size[first:end]) | new
        )
