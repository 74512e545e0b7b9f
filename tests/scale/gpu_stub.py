"""A worker with a graphics card, without one: its networks run on the CPU, behind the queue that fills batches."""

from __future__ import annotations

import os
import threading
import time
from functools import partial
from pathlib import Path

from unmask import Scanner
from unmask.scale.scanning import ScanWork

SECONDS = 20.0
"""How long the first batch waits for crops of a second clip, at most."""


class StubWork(ScanWork):
    """Scans several clips at a time, and notes of each batch from how many clips its crops came."""

    def __init__(self, notes: Path) -> None:
        super().__init__(partial(Scanner, "bundled", frames=6), on_gpu=True)
        (network,) = self._scanner.networks
        network._streams, network._batch_crops = 1, 4  # as a card has one queue; six crops of a clip fill no batch
        submit, compute, owners = network.submit, network._compute, {}

        def submit_noted(crops):
            owners.update((id(crop), threading.get_ident()) for crop in crops)
            return submit(crops)

        def compute_noted(slot, crops):
            until = time.monotonic() + SECONDS
            while not notes.exists() and network._waiting.qsize() < len(crops) and time.monotonic() < until:
                time.sleep(0.01)
            with notes.open("a") as file:
                file.write(f"{os.environ.get('CUDA_VISIBLE_DEVICES')} {len({owners[id(crop)] for crop in crops})}\n")
            return compute(slot, crops)

        network.submit, network._compute = submit_noted, compute_noted
