"""Run a model on a GPU with torch, from ``model.safetensors`` and the card's description of the network.

The same queue as on the CPU, with larger batches of a few fixed sizes, so that each is recorded once as a CUDA
graph and replayed; two slots take turns, so that the next crops are gathered while the GPU computes.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from unmask.errors import ModelError, UsageError
from unmask.models.batching import Outputs, QueuedNetwork
from unmask.models.card import WEIGHTS_FILE, Card, load_card
from unmask.models.networks import build_network
from unmask.models.networks.export import FromPixels, load_weights
from unmask.models.networks.fold import fold_batchnorm
from unmask.types import ImageHW3

import torch  # isort: skip - after unmask.models.networks, which says what to install where it is missing

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
"""Name -> torch's; ``auto`` takes bf16 (fp16 on cards without it) where the model's card allows it."""

BATCH_SIZES = (4, 8, 16, 32, 64)
"""Crops that run together: as many as wait, filled up to one of these."""

_SLOTS = 2
_CAPTURING = threading.Lock()
"""One network at a time is recorded."""


@dataclass(slots=True)
class _Slot:
    """Where the crops of one batch are gathered, and its outputs arrive."""

    crops_NSS3: torch.Tensor
    """(largest batch, S, S, 3) uint8 in memory that the GPU reads by itself."""
    outputs: list[torch.Tensor] = field(default_factory=list)
    """Logits and maps, in such memory too."""


@dataclass(frozen=True, slots=True)
class _Graph:
    """One recorded batch size."""

    graph: torch.cuda.CUDAGraph
    crops_NSS3: torch.Tensor
    """Crops that the graph reads."""
    outputs: tuple[torch.Tensor, ...]
    """Logits and maps that the graph writes."""


class TorchNetwork(QueuedNetwork[_Slot]):
    """One model folder, loaded and ready on a GPU. Safe to use from several threads."""

    def __init__(
        self,
        folder: Path,
        precision: str = "auto",
        device: str = "cuda",
        batch_sizes: Sequence[int] = BATCH_SIZES,
    ) -> None:
        """Check the weights against the card, then build the network.

        Args:
            folder: Holds ``card.json``, which names the network, and ``model.safetensors``.
            precision: ``fp32``, ``bf16``, ``fp16``, or ``auto``, which is ``fastest`` as well.
            device: ``cuda``, ``cuda:N``, or ``cpu``, which tests compare with OpenVINO.
            batch_sizes: Crops that run together, rising.

        Raises:
            ModelError: The folder is damaged, or has no weights for torch.
            UsageError: An unknown precision, or a device that is not there.
        """
        card = load_card(folder)
        self._device = resolve_device(device)
        self._on_cuda, self._sizes = self._device.type == "cuda", tuple(batch_sizes)
        precision = _resolve_precision(_wanted(card) if precision in ("auto", "fastest") else precision, self._device)
        self._type = PRECISIONS[precision]
        self._model = _build(folder, card).to(self._device).to(memory_format=torch.channels_last)
        side_px = card.crop.size_px
        with torch.inference_mode():
            example = torch.zeros(1, side_px, side_px, 3, dtype=torch.uint8, device=self._device)
            fold_batchnorm(self._model, example)
        self._graphs: dict[int, _Graph] = {}
        self._stream = torch.cuda.Stream(self._device) if self._on_cuda else None  # type: ignore[no-untyped-call]
        # One memory for all sizes: they run one after the other, and their inputs and outputs are kept apart.
        self._memory = torch.cuda.graph_pool_handle() if self._on_cuda else None
        self._launching = threading.Lock()
        shape = (self._sizes[-1], side_px, side_px, 3)
        slots = [_Slot(torch.empty(shape, dtype=torch.uint8, pin_memory=self._on_cuda)) for _ in range(_SLOTS)]
        super().__init__(
            card,
            slots,
            precision=precision,
            device=str(self._device),
            weights_file=WEIGHTS_FILE,
            batch_crops=self._sizes[-1],
        )

    def _compute(self, slot: _Slot, crops: Sequence[ImageHW3]) -> Outputs:
        np.stack(crops, out=slot.crops_NSS3[: len(crops)].numpy())
        size = next(size for size in self._sizes if size >= len(crops))
        with torch.inference_mode():
            if self._on_cuda:
                self._launch(slot, size).synchronize()
                outputs = slot.outputs
            else:
                outputs = list(self._forward(slot.crops_NSS3[: len(crops)]))
        logits_N, *maps = (output[: len(crops)].numpy().copy() for output in outputs)
        return logits_N, (maps[0] if maps else None)

    def _forward(self, crops_NSS3: torch.Tensor) -> tuple[torch.Tensor, ...]:
        with self._autocast():
            outputs: tuple[torch.Tensor, ...] = self._model(crops_NSS3)
        return tuple(output.float() for output in outputs)

    def _autocast(self) -> AbstractContextManager[object]:
        if self._type == torch.float32:
            return nullcontext()
        # A recorded graph must not lean on weights that were converted, and kept, outside of it.
        return torch.autocast(self._device.type, dtype=self._type, cache_enabled=False)

    def _launch(self, slot: _Slot, size: int) -> torch.cuda.Event:
        """Send a batch on its way: crops up, graph, outputs down, in the order of this network's stream."""
        with self._launching, torch.cuda.device(self._device), torch.cuda.stream(self._stream):
            recorded = self._graphs.get(size) or self._record(size)
            recorded.crops_NSS3.copy_(slot.crops_NSS3[:size], non_blocking=True)
            recorded.graph.replay()
            if not slot.outputs:
                slot.outputs = [
                    torch.empty((self._sizes[-1], *output.shape[1:]), pin_memory=True) for output in recorded.outputs
                ]
            for arrived, output in zip(slot.outputs, recorded.outputs, strict=True):
                arrived[:size].copy_(output, non_blocking=True)
            done = torch.cuda.Event()  # type: ignore[no-untyped-call]
            done.record(self._stream)
        return done

    def _record(self, size: int) -> _Graph:
        """Record the network for a batch size, after runs that let the libraries choose their kernels."""
        side_px, largest = self.card.crop.size_px, size == self._sizes[-1]
        # Full fp32 where fp32 is asked for: by default convolutions on GPUs round to 10 bits. Searching for
        # the fastest kernels takes seconds, which pay where many crops come.
        with _CAPTURING, torch.backends.cudnn.flags(enabled=True, benchmark=largest, allow_tf32=False):
            crops_NSS3 = torch.zeros(size, side_px, side_px, 3, dtype=torch.uint8, device=self._device)
            for _ in range(3):
                self._forward(crops_NSS3)
            torch.cuda.synchronize(self._device)
            graph = torch.cuda.CUDAGraph()
            # Other networks may be at work on the card meanwhile: only what this thread does must be recordable.
            with torch.cuda.graph(graph, pool=self._memory, stream=self._stream, capture_error_mode="thread_local"):
                outputs = self._forward(crops_NSS3)
            self._graphs[size] = _Graph(graph, crops_NSS3, outputs)
        return self._graphs[size]


def resolve_device(device: str) -> torch.device:
    """Return ``cpu``, ``cuda`` or ``cuda:N`` as torch's, with a number.

    Raises:
        UsageError: It is none of these, or not there.
    """
    name, _, number = device.partition(":")
    if name == "cpu" and not number:
        return torch.device("cpu")
    if name != "cuda" or (number and not number.isdecimal()):
        raise UsageError(f"unknown device {device!r}; use auto, cpu, cuda or cuda:N")
    if not torch.cuda.is_available():
        raise UsageError("torch finds no GPU; use --device cpu, or install torch with CUDA and NVIDIA's driver")
    count, wanted = torch.cuda.device_count(), int(number or torch.cuda.current_device())
    if wanted >= count:
        raise UsageError(f"there is no cuda:{wanted}; this machine has cuda:0{f' to cuda:{count - 1}' * (count > 1)}")
    return torch.device("cuda", wanted)


def count_devices() -> int:
    """Return how many graphics cards there are.

    Raises:
        UsageError: None.
    """
    if not is_available():
        raise UsageError("torch sees no graphics card here; use --device cpu")
    return torch.cuda.device_count()


def is_available() -> bool:
    """Whether torch sees a GPU."""
    return torch.cuda.is_available()


def _wanted(card: Card) -> str:
    """Return what a card asks for; a GPU has no int8, and fp32 is nearest to it."""
    return "fp32" if card.precision == "int8" else card.precision


def _resolve_precision(precision: str, device: torch.device) -> str:
    if precision == "auto":
        if device.type == "cpu":
            return "fp32"
        with torch.cuda.device(device):
            return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    if precision not in PRECISIONS:
        raise UsageError(f"precision {precision!r} is none of torch's; on a GPU use auto, fastest, fp32, bf16 or fp16")
    return precision


def _build(folder: Path, card: Card) -> FromPixels:
    if card.network is None or WEIGHTS_FILE not in card.files:
        raise ModelError(
            f"model {card.name!r} has no {WEIGHTS_FILE}, or its card does not say of which network; GPUs "
            "need both: export or import it again, or use --device cpu"
        )
    network = build_network(card.network.name, **card.network.parameters)
    load_weights(network, folder)
    return FromPixels(network, card.network.mean, card.network.std).eval().requires_grad_(False)
