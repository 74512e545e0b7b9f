"""Queue crops in front of a network: those of all videos that are being scanned go through one queue.

Each of a few slots takes as many crops as wait, up to a batch, and runs them. So batches fill across frames and videos,
and the CPU is busy. What a crop scores does not depend on its neighbours in the batch.
"""

from __future__ import annotations

import queue
import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Generic, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from unmask.errors import ModelError
from unmask.models.card import Card
from unmask.types import CropScore, ImageHW3

BATCH_CROPS = 8
"""Crops that run together on the CPU, at most; larger batches gain nothing there."""

Slot = TypeVar("Slot")
"""Buffers, or the inference request, that one batch is computed in."""


_Waiting: TypeAlias = "tuple[ImageHW3, Future[CropScore]]"

Outputs: TypeAlias = "tuple[NDArray[np.float32], NDArray[np.float32] | None]"
"""Logits (N,), not calibrated, and maps (N, h, w) in 0..1 where the network gives them."""


class QueuedNetwork(ABC, Generic[Slot]):
    """One model folder, loaded and ready. Safe to use from several threads."""

    def __init__(
        self,
        card: Card,
        slots: Sequence[Slot],
        *,
        precision: str,
        device: str,
        weights_file: str,
        batch_crops: int = BATCH_CROPS,
        cores: AbstractContextManager[object] | None = None,
    ) -> None:
        """Make the queue.

        Args:
            card: The model's card.
            slots: As many batches are computed at a time, each in a thread of its own.
            precision: Number format of the network.
            device: ``cpu`` or ``cuda:N``.
            weights_file: File of the folder that holds the weights it runs.
            batch_crops: Crops that run together, at most.
            cores: Held while a slot computes: networks that share a semaphore take turns; None where nothing is shared.
        """
        self.card, self.precision, self.device, self.weights_file = card, precision, device, weights_file
        self._batch_crops, self._streams = batch_crops, len(slots)
        self._cores = nullcontext() if cores is None else cores
        # Bounded, so that decoding waits for judging and memory stays flat however many faces there are.
        self._waiting: queue.Queue[_Waiting] = queue.Queue(4 * max(batch_crops, BATCH_CROPS) * len(slots))
        self._idle: queue.SimpleQueue[Slot] = queue.SimpleQueue()
        for slot in slots:
            self._idle.put(slot)
        self._pool = ThreadPoolExecutor(len(slots), thread_name_prefix="unmask-network")
        self._lock, self._turns = threading.Lock(), 0

    @abstractmethod
    def _compute(self, slot: Slot, crops: Sequence[ImageHW3]) -> Outputs:
        """Run one batch of 1 to ``batch_crops`` crops, (size_px, size_px, 3) uint8 RGB each."""

    def submit(self, crops_MSS3: Sequence[ImageHW3] | NDArray[np.uint8]) -> list[Future[CropScore]]:
        """Queue M crops, (size_px, size_px, 3) uint8 RGB each; blocks while the queue is full.

        The futures raise ModelError when the network gives something that is not a number.
        """
        futures: list[Future[CropScore]] = []
        for crop_SS3 in crops_MSS3:
            futures.append(Future())
            try:
                self._waiting.put_nowait((crop_SS3, futures[-1]))
            except queue.Full:
                self._start_turn()
                self._waiting.put((crop_SS3, futures[-1]))
            if len(futures) % self._batch_crops == 0:
                self._start_turn()
        self._start_turn()
        return futures

    def score(self, crops_MSS3: Sequence[ImageHW3] | NDArray[np.uint8]) -> list[CropScore]:
        """Score M crops, in order.

        Raises:
            ModelError: The network gave something that is not a number.
        """
        return [future.result() for future in self.submit(crops_MSS3)]

    def _start_turn(self) -> None:
        with self._lock:
            if self._turns < self._streams and not self._waiting.empty():
                self._turns += 1
                self._pool.submit(self._serve)

    def _rest(self) -> None:
        """Free what is not needed while no crop waits; called when the last slot is done, while it holds its core."""

    def _serve(self) -> None:
        """Score batch after batch in one slot until no crop waits."""
        slot = self._idle.get()
        with self._cores:
            self._serve_in(slot)
        self._idle.put(slot)

    def _serve_in(self, slot: Slot) -> None:
        while True:
            batch: list[_Waiting] = []
            with suppress(queue.Empty):
                while len(batch) < self._batch_crops:
                    batch.append(self._waiting.get_nowait())
            if not batch:
                with self._lock:  # a crop that came in the meantime saw this turn still running
                    if self._waiting.empty():
                        self._turns -= 1
                        is_last = not self._turns
                        break
                continue
            try:
                scores = self._scores(len(batch), *self._compute(slot, [crop for crop, _ in batch]))
            except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to those who wait for the scores
                for _, future in batch:
                    future.set_exception(error)
            else:
                for (_, future), score in zip(batch, scores, strict=True):
                    future.set_result(score)
        if is_last:
            self._rest()

    def _scores(
        self, count: int, logits_N: NDArray[np.float32], maps_Nhw: NDArray[np.float32] | None
    ) -> list[CropScore]:
        """Check and calibrate what a batch of ``count`` crops gave."""
        name = self.card.name
        if len(logits_N) != count:
            raise ModelError(f"model {name!r} gave {len(logits_N)} scores for {count} crops; it must give one each")
        if not (np.isfinite(logits_N).all() and (maps_Nhw is None or np.isfinite(maps_Nhw).all())):
            raise ModelError(f"model {name!r} gave a score that is no number; check it: unmask models verify")
        calibrated_N = self.card.calibration.apply(logits_N).tolist()
        maps = [None] * count if maps_Nhw is None else maps_Nhw
        return [CropScore(logit, map_hw) for logit, map_hw in zip(calibrated_N, maps, strict=True)]
