"""What makes a command start in less CPU time."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager


def keep_products_single() -> None:
    """Keep numpy's products of matrices on one thread each, unless the user says otherwise; before numpy is imported.

    Ours are small, and threads that wait for larger ones spin: that took a tenth of a start.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


@contextmanager
def loading() -> Iterator[None]:
    """Look for no garbage in the block: what is imported stays, and is not looked through again later."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
