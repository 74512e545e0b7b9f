"""Load a model folder where it runs best: on a GPU or on the CPU."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from unmask.errors import UsageError
from unmask.models.batching import QueuedNetwork
from unmask.models.card import WEIGHTS_FILE, load_card
from unmask.models.cpu import Network

_DRIVERS = ("/proc/driver/nvidia/version", "/dev/nvidiactl", "/dev/dxg")


def load_network(folder: Path, precision: str = "auto", device: str = "auto") -> QueuedNetwork[Any]:
    """Load a model, on the CPU with OpenVINO or on a GPU with torch.

    Args:
        folder: The model's folder.
        precision: ``auto``, ``fastest``, ``fp32``, ``bf16``; on the CPU also ``int8``, on a GPU ``fp16``.
        device: ``cpu``; ``cuda`` or ``cuda:N``; or ``auto``: the GPU, where torch sees one and the folder
            has what it needs, with any precision but int8.

    Raises:
        ModelError: The folder is damaged, or lacks what the device needs.
        UsageError: A device or a precision that is not there.
    """
    name = device.partition(":")[0]
    if name not in ("auto", "cpu", "cuda") or (name != "cuda" and name != device):
        raise UsageError(f"unknown device {device!r}; use auto, cpu, cuda or cuda:N")
    if name == "cpu" or (name == "auto" and not (precision != "int8" and _fits_cuda(folder) and _has_cuda())):
        return Network(folder, precision)
    from unmask.models.cuda import TorchNetwork  # not at the top: it needs torch

    return TorchNetwork(folder, precision, "cuda" if name == "auto" else device)


def _fits_cuda(folder: Path) -> bool:
    card = load_card(folder)
    return card.network is not None and WEIGHTS_FILE in card.files


def _has_cuda() -> bool:
    """Whether torch sees a GPU; torch is only imported, for seconds, where a driver is."""
    if find_spec("torch") is None or find_spec("timm") is None:
        return False
    if sys.platform != "win32" and not any(Path(path).exists() for path in _DRIVERS):
        return False
    from unmask.models.cuda import is_available

    return is_available()
