"""Run a model that sees whole clips on the CPU with OpenVINO: a tube of one face in, one score out.

Its folder is like any model's; ``model.onnx`` takes uint8 RGB clips (N, T, S, S, 3) of any length and gives ``logit``
(N,). Clips are large, so one runs at a time, on all cores.
"""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unmask.errors import ModelError
from unmask.models.card import ONNX_FILE, load_card, read_verified
from unmask.models.cpu import PRECISIONS, resolve_precision
from unmask.runtime.openvino import compile_network, ov, port_shapes, read_network
from unmask.runtime.parallel import cores
from unmask.types import CropScore


class ClipNetwork:
    """One model folder of a video model, loaded and ready. Safe to use from several threads."""

    def __init__(self, folder: Path, precision: str = "auto") -> None:
        """Check the folder's files against its card, then compile the network.

        Args:
            folder: Holds ``card.json`` and ``model.onnx``.
            precision: ``fp32``, ``bf16`` or ``auto``, which ``fastest`` means as well: there is nothing to choose from.

        Raises:
            ModelError: The folder is damaged, or its network does not fit its card.
            UsageError: An unknown precision, or bf16 on the CPU without it.
        """
        self.card = load_card(folder)
        self.precision = resolve_precision(self.card.precision if precision in ("auto", "fastest") else precision)
        model = read_network(read_verified(folder, self.card, ONNX_FILE), folder / ONNX_FILE)
        _check_ports(model, self.card.crop.size_px, folder)
        compiled = compile_network(model, PRECISIONS[self.precision], cores(), streams=None)
        self._request = compiled.create_infer_request()
        self._lock = threading.Lock()

    def score(self, clips_NTSS3: NDArray[np.uint8]) -> list[CropScore]:
        """Score N clips, one after the other, in order.

        Raises:
            ModelError: The network gave something that is not one number for each clip.
        """
        scores = []
        for clip_TSS3 in clips_NTSS3:
            with self._lock:
                self._request.infer({0: np.ascontiguousarray(clip_TSS3[None])}, share_inputs=True)
                logits = self._request.get_output_tensor(0).data.reshape(-1).astype(np.float64)
            if len(logits) != 1 or not np.isfinite(logits).all():
                raise ModelError(f"model {self.card.name!r} gave {logits} for a clip; it must give one number")
            scores.append(CropScore(float(self.card.calibration.apply(logits)[0]), None))
        return scores


def _check_ports(model: ov.Model, size_px: int, folder: Path) -> None:
    """Refuse a network whose input or output are not those of the convention, see above."""
    shapes = port_shapes(model)
    fits = (
        len(shapes) == 2
        and model.inputs[0].element_type == ov.Type.u8
        and shapes[0][2:] == [str(size_px), str(size_px), "3"]
        and len(shapes[0]) == 5
        and shapes[1][1:] in ([], ["1"])
    )
    if not fits:
        raise ModelError(
            f"{folder / ONNX_FILE} must take uint8 clips (N, T, {size_px}, {size_px}, 3) and give a logit (N,); it "
            f"has {shapes}"
        )
