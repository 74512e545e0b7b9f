"""Run a model on the CPU with OpenVINO: crops in, scores out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from weakref import WeakValueDictionary

import numpy as np

from unmask.errors import ModelError, UsageError
from unmask.models.batching import BATCH_CROPS, Outputs, QueuedNetwork
from unmask.models.card import INT8_FILES, ONNX_FILE, Card, load_card, read_verified
from unmask.models.fastest import candidates, choose, keep_answer, known_answer, machine_key, measure
from unmask.runtime.openvino import compile_network, computes_in_bf16, ov, port_shapes, read_network
from unmask.runtime.parallel import cores
from unmask.types import ImageHW3

PRECISIONS = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}
"""Name -> what OpenVINO calls the format of all that is not int8; ``auto`` takes bf16 where the card allows it and the
CPU computes in it, and never int8."""

_IN_USE: WeakValueDictionary[tuple[str, str, int], ov.CompiledModel] = WeakValueDictionary()
"""Hashes of a model's files, precision and streams -> its compiled network: to compile takes longer than a scan."""


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
        self._compiled = compile_judge(folder, card, precision, streams)
        super().__init__(
            card,
            [self._compiled.create_infer_request() for _ in range(streams)],
            precision=precision,
            device="cpu",
            weights_file=INT8_FILES[1] if precision == "int8" else ONNX_FILE,
        )

    def _compute(self, slot: ov.InferRequest, crops: Sequence[ImageHW3]) -> Outputs:
        slot.infer({0: np.stack(crops)}, share_inputs=True)
        logits_N = slot.get_output_tensor(0).data.reshape(-1)
        if len(slot.model_outputs) == 1:
            return logits_N, None
        return logits_N, slot.get_output_tensor(1).data.astype(np.float32)  # a copy: the next batch takes its place


def compile_judge(folder: Path, card: Card, precision: str, streams: int) -> ov.CompiledModel:
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
    model = read_judge(folder, card, precision)  # looks at the files, which may be damaged by now
    key = "".join(sorted(facts.sha256 for facts in card.files.values())), precision, streams
    if (compiled := _IN_USE.get(key)) is None:
        compiled = _IN_USE[key] = compile_network(model, PRECISIONS[precision], streams, streams)
    return compiled


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
    compiled = {name: compile_judge(folder, card, name, streams) for name in names}
    requests = {name: [each.create_infer_request() for _ in range(streams)] for name, each in compiled.items()}
    side_px = card.crop.size_px
    batch_NSS3 = np.random.default_rng(0).integers(0, 256, (BATCH_CROPS, side_px, side_px, 3), np.uint8)
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
    files = INT8_FILES if precision == "int8" else (ONNX_FILE,)
    if files[0] not in card.files:
        raise UsageError(
            f"model {card.name!r} has no int8 network; make it with: unmask models quantise {folder} --data CROPS"
        )
    network, weights = [*(read_verified(folder, card, name) for name in files), b""][:2]
    model = read_network(network, folder / files[0], weights)
    check_ports(model, card.crop.size_px, folder / files[0])
    return model


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
