"""How the system schedules the threads of this process."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def kept_scheduling() -> Iterator[None]:
    """Give the calling thread back the scheduling policy that it had.

    SVT-AV1 makes the thread that opens its encoder a real-time one, where it may, as root may: what that thread does
    next, and every process that it starts, would then keep all others from the cores.
    """
    if sys.platform != "linux":
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, parameters)
