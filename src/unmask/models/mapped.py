"""Keep the weights of large networks on disk: of what a compiled network has repacked, only the copy takes memory."""

from __future__ import annotations

import ctypes
import logging
import mmap
from pathlib import Path

import numpy as np

from unmask.runtime.openvino import ov
from unmask.storage.atomic import scratch_folder
from unmask.storage.home import models_home

log = logging.getLogger(__name__)

MIN_BYTES = 64 << 20
"""Weights of less are not worth a file."""


class MappedWeights:
    """A file that is mapped into memory and has no name any more, as OpenVINO's own format stores weights."""

    def __init__(self, path: Path) -> None:
        """Map a file."""
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)  # OpenVINO takes nothing read-only
        self.tensor = ov.Tensor(np.frombuffer(self._map, np.uint8), shared_memory=True)

    def let_go(self) -> None:
        """Free the memory of all that was read; what is read again comes from the file."""
        self._map.madvise(mmap.MADV_DONTNEED)


def is_large(size_bytes: int) -> bool:
    """Return whether weights of so many bytes are worth a file, on a system that frees memory on request."""
    return size_bytes >= MIN_BYTES and hasattr(mmap, "MADV_DONTNEED")


def map_weights(model: ov.Model, size_bytes: int) -> tuple[ov.Model, MappedWeights | None]:
    """Return the same network with its weights in a mapped file of the cache folder.

    OpenVINO repacks weights as its kernels want them, and keeps the original as long as the network lives: half of what
    a large one takes in fp32, two thirds in bf16.

    Args:
        model: Any network.
        size_bytes: About how long its weights are.

    Returns:
        The network, and its weights, which must live as long; None where they stay in memory: small ones, those of
        systems that free nothing on request, and where the folder takes no file.
    """
    if not is_large(size_bytes):
        return model, None
    folder = models_home().parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with scratch_folder(folder) as scratch:
            layers, weights = scratch / "network.xml", scratch / "network.bin"
            ov.serialize(model, layers, weights)
            mapped = MappedWeights(weights)
            return ov.Core().read_model(layers.read_bytes(), mapped.tensor), mapped
    except (OSError, RuntimeError) as error:
        log.warning("a network takes more memory than it must: %s takes no file of its weights (%s)", folder, error)
        return model, None


def return_memory() -> None:
    """Give memory that was freed back to the system, where the C library keeps it (glibc)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
