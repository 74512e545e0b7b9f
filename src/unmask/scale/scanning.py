"""Scans as a work: a row in, the line of its verdict out, the same as `unmask scan` writes."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from unmask.media.server import SERVER
from unmask.runtime.parallel import cores
from unmask.scale.rows import SAME, Answer, Row, short
from unmask.scan.base import BaseScanner
from unmask.scan.inputs import Input, hash_input
from unmask.storage.rowlog import json_line
from unmask.types import Verdict


class ScanWork:
    """Scans rows with one scanner, which is loaded once."""

    def __init__(self, open_scanner: Callable[[], BaseScanner], on_gpu: bool = False) -> None:
        """Load the scanner.

        Args:
            open_scanner: Loads it.
            on_gpu: Whether several rows are under way at a time, one a core, so that one graphics card gets batches.

        Raises:
            UnmaskError: It cannot be loaded.
        """
        self._scanner = open_scanner()
        self._width = cores() if on_gpu else 1

    @property
    def settings_hash(self) -> str:
        """That of the scanner."""
        return self._scanner.settings_hash

    @property
    def width(self) -> int:
        """Rows that are scanned at a time."""
        return self._width

    def __call__(self, row: Row, known: Collection[str]) -> Answer:
        """Scan a row; see `unmask.scale.rows.Work`."""
        item = _input_of(row)
        sha256 = hash_input(item, self._scanner.limits.download_bytes) if known else None
        if sha256 is not None and short(sha256) in known:
            return Answer(sha256, SAME, b"")
        return _answer(self._scanner.scan_input(item))

    def crashed(self, row: Row, reason: str) -> Answer:
        """Return the line of a row that brought workers down."""
        return _answer(self._scanner.unscanned(_input_of(row), reason, "crashed"))

    def cpu_seconds(self) -> float:
        """Return the CPU time of this process and its decoders."""
        return time.process_time() + SERVER.cpu_seconds()


def _input_of(row: Row) -> Input:
    return Input(row.uri, row.name, below=row.below)


def _answer(verdict: Verdict) -> Answer:
    return Answer(verdict.sha256 or "", verdict.status, json_line(verdict.to_dict()).encode())
