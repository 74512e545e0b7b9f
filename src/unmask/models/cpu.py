"""Run a model on the CPU with OpenVINO: crops in, scores out."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from weakref import WeakValueDictionary

import numpy as np

from unmask.errors import ModelError, UsageError
from unmask.models.batching import BATCH_CROPS, Outputs, QueuedNetwork
from unmask.models.card import INT8_FILES, ONNX_FILE, Card, load_card, read_verified
from unmask.models.fastest import candidates, choose, keep_answer, known_answer, machine_key, measure
from unmask.models.mapped import MappedWeights, is_large, map_weights, return_memory
from unmask.runtime.openvino import compile_network, computes_in_bf16, ov, port_shapes, read_network
from unmask.runtime.parallel import cores
from unmask.storage.compiled import compiled_once
from unmask.types import ImageHW3

PRECISIONS = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}
"""Name -> what OpenVINO calls the format of all that is not int8; ``auto`` takes bf16 where the card allows it and the
CPU computes in it, and never int8."""

BATCH_PIXELS = 4 * 224 * 224
"""Pixels of the crops that run together: more leave the processor's cache, and take more memory."""


class Judge:
    """A compiled network that judges crops. Safe to use from several threads."""

    def __init__(self, compiled: ov.CompiledModel, weights: MappedWeights | None) -> None:
        """Keep a network and, where they lie in a file, the weights that it was compiled of."""
        self.compiled, self.weights = compiled, weights
        self._lock, self._busy = threading.Lock(), 0

    def make_requests(self, count: int, size_px: int) -> list[ov.InferRequest]:
        """Return requests that run side by side, ready: where weights lie in a file, each has repacked what it needs.

        Args:
            count: How many.
            size_px: Side of a crop.
        """
        requests = [self.compiled.create_infer_request() for _ in range(count)]
        if self.weights is not None:
            black_1SS3 = np.zeros((1, size_px, size_px, 3), np.uint8)
            for request in requests:  # inputs are shared as in all later calls: OpenVINO's heap is damaged by a mixture
                with self.computing():
                    request.infer({0: black_1SS3}, share_inputs=True)
            self.rest()
        return requests

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Hold while a request computes, until its outputs were read."""
        with self._lock:
            self._busy += 1
        try:
            yield
        finally:
            with self._lock:
                self._busy -= 1

    def rest(self) -> None:
        """Unless it computes, free the buffers of a large network and what it read of its weights."""
        if self.weights is None:
            return
        with self._lock:
            if not self._busy:
                self.compiled.release_memory()
                self.weights.let_go()
                return_memory()


_IN_USE: WeakValueDictionary[tuple[str, str, int], Judge] = WeakValueDictionary()
"""Hashes of a model's files, precision and streams -> its compiled network: to compile takes longer than a scan."""

_CORES = threading.Semaphore(cores())
"""Held while a slot computes: members of an ensemble take turns, each with all crops that wait for it, rather
than all at once, which takes the memory of all and loses the processor's cache."""


class Network(QueuedNetwork[ov.InferRequest]):
    """One model folder, loaded and ready. Safe to use from several threads."""

    def __init__(self, folder: Path, precision: str = "auto", streams: int | None = None) -> None:
        """Check the folder's files against its card, then compile the network.

        Args:
            folder: Holds ``card.json`` and ``model.onnx``.
            precision: ``fp32``, ``bf16``, ``int8`` where the folder has such a network, ``auto``, or ``fastest``,
                see `unmask.models.fastest`.
            streams: Batches computed at a time, one thread each; None for one per core.

        Raises:
            ModelError: The folder is damaged, or its network does not fit its card.
            UsageError: An unknown precision, bf16 on the CPU without it, or int8 of a model without it.
        """
        card, streams = load_card(folder), streams or cores()
        if precision == "fastest":
            precision = find_fastest(folder, card, streams)
        precision = resolve_precision(card.precision if precision == "auto" else precision)
        self._judge = compile_judge(folder, card, precision, streams)
        super().__init__(
            card,
            self._judge.make_requests(streams, card.crop.size_px),
            precision=precision,
            device="cpu",
            weights_file=weights_file(precision),
            batch_crops=batch_crops(card.crop.size_px),
            cores=_CORES,
        )

    def _rest(self) -> None:
        self._judge.rest()

    def _compute(self, slot: ov.InferRequest, crops: Sequence[ImageHW3]) -> Outputs:
        with self._judge.computing():
            slot.infer({0: np.stack(crops)}, share_inputs=True)
            # Copies: the next batch takes their place.
            logits_N, *maps = (
                slot.get_output_tensor(i).data.astype(np.float32) for i in range(len(slot.model_outputs))
            )
        return logits_N.reshape(-1), maps[0] if maps else None


def compile_judge(folder: Path, card: Card, precision: str, streams: int) -> Judge:
    """Read and compile the network of a folder that judges crops; while it is in use in this process, it is shared.

    Args:
        folder: The model's.
        card: Its card.
        precision: Name in `PRECISIONS`.
        streams: Batches computed at a time, one thread each.

    Raises:
        ModelError: It is missing, damaged, or of another form.
        UsageError: int8 of a model without it.
    """
    read_network_files(folder, card, precision)  # they may be damaged by now
    key = "".join(sorted(facts.sha256 for facts in card.files.values())), precision, streams
    if (judge := _IN_USE.get(key)) is None:
        judge = _IN_USE[key] = _compile(folder, card, precision, streams)
    return judge


def _compile(folder: Path, card: Card, precision: str, streams: int) -> Judge:
    """Compile a network, or take it as it was compiled before; of a large one the weights are kept instead."""
    read, settings = partial(read_judge, folder, card, precision), (PRECISIONS[precision], streams, streams)
    size_bytes = card.files[weights_file(precision)].bytes
    if is_large(size_bytes):
        model, weights = map_weights(read(), size_bytes)
        return Judge(compile_network(model, *settings), weights)
    hashes = [card.files[name].sha256 for name in network_files(precision)]
    return Judge(compiled_once([*hashes, str(card.crop.size_px)], read, *settings), None)


def batch_crops(size_px: int) -> int:
    """Return how many crops with sides of so many pixels run together."""
    return max(1, min(BATCH_CROPS, BATCH_PIXELS // size_px**2))


def weights_file(precision: str) -> str:
    """Return the file of a model's folder that holds the weights it runs in a format."""
    return network_files(precision)[-1]


def find_fastest(folder: Path, card: Card, streams: int) -> str:
    """Return the number format that computes a model the fastest on this machine, of those that its scores allow.

    It is measured when a network of this kind is loaded for the first time on this machine.

    Raises:
        ModelError: The folder is damaged.
    """
    names = candidates(card)
    if len(names) == 1:
        return names[0]
    key = machine_key(card, names)
    if (known := known_answer(key)) in names:
        return str(known)
    side_px = card.crop.size_px
    judges = {name: compile_judge(folder, card, name, streams) for name in names}
    requests = {name: judge.make_requests(streams, side_px) for name, judge in judges.items()}
    batch_NSS3 = np.random.default_rng(0).integers(0, 256, (batch_crops(side_px), side_px, side_px, 3), np.uint8)
    return keep_answer(key, choose(measure(requests, batch_NSS3)))


def resolve_precision(precision: str) -> str:
    """Return ``fp32``, ``bf16`` or ``int8``.

    Raises:
        UsageError: An unknown name, or bf16 on the CPU without it.
    """
    if precision not in ("auto", *PRECISIONS):
        known = ", ".join(("auto", "fastest", *PRECISIONS))
        raise UsageError(f"unknown precision {precision!r}; on the CPU use one of {known}")
    has_bf16 = computes_in_bf16()
    if precision == "bf16" and not has_bf16:
        raise UsageError("this CPU does not compute in bf16; use --precision fp32 or auto")
    return precision if precision != "auto" else "bf16" if has_bf16 else "fp32"


def read_judge(folder: Path, card: Card, precision: str) -> ov.Model:
    """Read the network of a folder that judges crops, checked against the card and the convention.

    Raises:
        ModelError: It is missing, damaged, or of another form.
        UsageError: int8 of a model without it.
    """
    network, weights = [*read_network_files(folder, card, precision), b""][:2]
    path = folder / network_files(precision)[0]
    model = read_network(network, path, weights)
    check_ports(model, card.crop.size_px, path)
    return model


def network_files(precision: str) -> tuple[str, ...]:
    """Return the files of a model's folder that hold the network it runs in a format."""
    return INT8_FILES if precision == "int8" else (ONNX_FILE,)


def read_network_files(folder: Path, card: Card, precision: str) -> list[bytes]:
    """Return what `network_files` hold, checked against the card.

    Raises:
        ModelError: One is missing or damaged.
        UsageError: int8 of a model without it.
    """
    files = network_files(precision)
    if files[0] not in card.files:
        raise UsageError(
            f"model {card.name!r} has no int8 network; make it with: unmask models quantise {folder} --data CROPS"
        )
    return [read_verified(folder, card, name) for name in files]


def check_ports(model: ov.Model, size_px: int, path: Path) -> None:
    """Refuse a network whose input or outputs are not those of the convention, see `unmask.models`.

    Raises:
        ModelError: It has others.
    """
    wanted = f"uint8 crops (N, {size_px}, {size_px}, 3) in; logit (N,) or (N, 1) and, optionally, a map (N, h, w) out"
    shapes = port_shapes(model)
    fits = (
        len(model.inputs) == 1
        and model.inputs[0].element_type == ov.Type.u8
        and shapes[0][1:] == [str(size_px), str(size_px), "3"]
        and shapes[1][1:] in ([], ["1"])
        and [len(shape) for shape in shapes[2:]] in ([], [3])
    )
    if not fits:
        raise ModelError(f"{path} must have {wanted}; it has {shapes}")
