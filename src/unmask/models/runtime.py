"""Running a model: crops in, scores out, on OpenVINO.

Crops of all videos that are being scanned go through one queue; each of a few streams takes as many as wait
there, up to a batch, and runs them. So batches fill across frames and videos, and all cores are busy. What a
crop scores does not depend on its neighbours in the batch.
"""

from __future__ import annotations

import math
import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from unmask._openvino import UNPINNED, ov
from unmask.engine import cores
from unmask.errors import ModelError, UsageError
from unmask.models.card import Card, load_card, read_verified
from unmask.types import ImageHW3

PRECISIONS = {"fp32": "f32", "bf16": "bf16"}
"""Name -> OpenVINO's name; ``auto`` takes bf16 where the card allows it and the processor computes in it."""

BATCH_CROPS = 8
"""Crops that run together; more gain nothing on a processor."""

_Waiting: TypeAlias = "tuple[ImageHW3, Future[CropScore]]"


@dataclass(frozen=True, slots=True)
class CropScore:
    """What a network says of one crop."""

    logit: float
    """Calibrated; its sigmoid is the fake probability."""
    map_hw: NDArray[np.float32] | None = field(repr=False)
    """(h, w) where it sees manipulation, 0 to 1; None when the network gives no map."""

    @property
    def fake_probability(self) -> float:
        """0 real to 1 fake."""
        return 0.5 + 0.5 * math.tanh(self.logit / 2)  # the sigmoid, without overflow


class Network:
    """One model folder, loaded and ready. Safe to use from several threads."""

    def __init__(self, folder: Path, precision: str = "auto", streams: int | None = None) -> None:
        """Check the folder's files against its card, then compile the network.

        Args:
            folder: Holds ``card.json`` and ``model.onnx``.
            precision: ``fp32``, ``bf16`` or ``auto``.
            streams: Batches computed at a time, one thread each; None for one per core.

        Raises:
            ModelError: The folder is damaged, or its network does not fit its card.
            UsageError: An unknown precision, or bf16 on a processor without it.
        """
        self.card = load_card(folder)
        self.precision = resolve_precision(self.card.precision if precision == "auto" else precision)
        core = ov.Core()
        content = read_verified(folder, self.card, "model.onnx")
        try:
            model = core.read_model(content, b"")
        except RuntimeError as error:
            raise ModelError(f"{folder / 'model.onnx'} is no network that OpenVINO reads") from error
        _check_ports(model, self.card.crop.size_px, folder)
        streams = streams or cores()
        config = {
            "INFERENCE_PRECISION_HINT": PRECISIONS[self.precision],
            "INFERENCE_NUM_THREADS": streams,
            "NUM_STREAMS": streams,
        } | UNPINNED
        compiled = core.compile_model(model, "CPU", config)
        # Bounded, so that decoding waits for judging and memory stays flat however many faces there are.
        self._waiting: queue.Queue[_Waiting] = queue.Queue(4 * BATCH_CROPS * streams)
        self._idle: queue.SimpleQueue[ov.InferRequest] = queue.SimpleQueue()
        for _ in range(streams):
            self._idle.put(compiled.create_infer_request())
        self._pool = ThreadPoolExecutor(streams, thread_name_prefix="unmask-network")
        self._lock, self._streams, self._turns = threading.Lock(), streams, 0

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
            if len(futures) % BATCH_CROPS == 0:
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

    def _serve(self) -> None:
        """One stream's turn: score batch after batch until no crop waits."""
        request = self._idle.get()
        while True:
            batch: list[_Waiting] = []
            with suppress(queue.Empty):
                while len(batch) < BATCH_CROPS:
                    batch.append(self._waiting.get_nowait())
            if not batch:
                with self._lock:  # a crop that came in the meantime saw this turn still running
                    if self._waiting.empty():
                        self._turns -= 1
                        break
                continue
            try:
                scores = _run(request, np.stack([crop for crop, _ in batch]), self.card)
            except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to those who wait for the scores
                for _, future in batch:
                    future.set_exception(error)
            else:
                for (_, future), score in zip(batch, scores, strict=True):
                    future.set_result(score)
        self._idle.put(request)


def _run(request: ov.InferRequest, crops_NSS3: NDArray[np.uint8], card: Card) -> list[CropScore]:
    request.infer({0: crops_NSS3}, share_inputs=True)
    logits = request.get_output_tensor(0).data.reshape(-1)
    if len(logits) != len(crops_NSS3):
        raise ModelError(
            f"model {card.name!r} gave {len(logits)} scores for {len(crops_NSS3)} crops; it must give one each"
        )
    if not np.isfinite(logits).all():
        raise ModelError(f"model {card.name!r} gave a score that is no number; check it: unmask models verify")
    calibrated = (logits.astype(np.float64) - card.calibration.offset) / card.calibration.temperature
    if len(request.model_outputs) == 1:
        return [CropScore(float(logit), None) for logit in calibrated]
    maps_Nhw = request.get_output_tensor(1).data.astype(np.float32)
    return [CropScore(float(logit), map_hw) for logit, map_hw in zip(calibrated, maps_Nhw, strict=True)]


def resolve_precision(precision: str) -> str:
    """Return ``fp32`` or ``bf16``.

    Raises:
        UsageError: An unknown name, or bf16 on a processor without it.
    """
    if precision not in ("auto", *PRECISIONS):
        raise UsageError(f"unknown precision {precision!r}; use auto, {' or '.join(PRECISIONS)}")
    has_bf16 = "BF16" in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if precision == "bf16" and not has_bf16:
        raise UsageError("this processor does not compute in bf16; use --precision fp32 or auto")
    return precision if precision != "auto" else "bf16" if has_bf16 else "fp32"


def _check_ports(model: ov.Model, size_px: int, folder: Path) -> None:
    """Refuse a network whose input or outputs are not those of the convention, see `unmask.models`."""
    wanted = f"uint8 crops (N, {size_px}, {size_px}, 3) in; logit (N,) or (N, 1) and, optionally, a map (N, h, w) out"
    shapes = [[str(side) for side in port.partial_shape] for port in (*model.inputs, *model.outputs)]
    fits = (
        len(model.inputs) == 1
        and model.inputs[0].element_type == ov.Type.u8
        and shapes[0][1:] == [str(size_px), str(size_px), "3"]
        and shapes[1][1:] in ([], ["1"])
        and [len(shape) for shape in shapes[2:]] in ([], [3])
    )
    if not fits:
        raise ModelError(f"{folder / 'model.onnx'} must have {wanted}; it has {shapes}")
