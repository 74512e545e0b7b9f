"""Scan what is new, and use again what an earlier run said of the same content."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence

from unmask.media import Limits
from unmask.net.address import is_address
from unmask.runtime.jsonable import portable
from unmask.runtime.parallel import Failure, cores, map_items
from unmask.scan.base import BaseScanner
from unmask.scan.inputs import Input, hash_input
from unmask.scan.journal import Journal
from unmask.storage.rowlog import Row


def scan_rows(scanner: BaseScanner, items: Sequence[Input], journal: Journal | None, limits: Limits) -> Iterator[Row]:
    """Yield one row for each input, in order, with time and pictures; with a journal each is kept once it is there."""
    known = find_known(items, journal, limits) if journal is not None else set()
    keep = (
        (lambda verdict: journal.append(verdict.to_dict(timing=True, pictures=True))) if journal is not None else None
    )
    fresh = scanner.scan_many((item for item in items if item.path not in known), on_verdict=keep)
    for item in items:
        if journal is not None and item.path in known:
            yield from journal.rows([item.path])
        else:
            yield next(fresh).to_dict(timing=True, pictures=True)


def find_known(items: Sequence[Input], journal: Journal, limits: Limits) -> set[str]:
    """Return the paths of the inputs whose content an earlier run left a row of, under whatever name.

    Files of another length than any in the journal are not read, and addresses that are not in it not fetched.
    """
    stopping = threading.Event()

    def content(item: Input) -> str | None:
        if is_address(item.path):
            known = portable(item.path) in journal.addresses
        else:
            known = _size_bytes(item) in journal.sizes_bytes
        return hash_input(item, limits.download_bytes, stopping.is_set) if known else None

    found = set()
    for item, answer in map_items(content, items, cores(), stopping) if journal.sizes_bytes else ():
        if isinstance(answer, Failure):
            raise answer.error
        if answer is not None and journal.reuse(item.path, answer):
            found.add(item.path)
    return found


def _size_bytes(item: Input) -> int | None:
    try:
        return os.stat(item.path).st_size  # noqa: PTH116 - a name of any kind, which need not be a path
    except (OSError, ValueError):
        return None
