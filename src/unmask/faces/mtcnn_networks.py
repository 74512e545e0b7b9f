"""MTCNN's three networks, compiled for the CPU, and their weights; see `unmask.faces.mtcnn`.

The weights are those of the ``mtcnn`` wheel (MIT), the same numbers as facenet-pytorch's; the networks run on OpenVINO,
in fp32 but for a first look of P-net, since a box must not depend on the machine.

Shape letters: N images or cells, H W image, R C cells, S side of a network's input.
"""

from __future__ import annotations

import hashlib
import queue
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, distribution
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unmask.errors import ModelError
from unmask.runtime.openvino import op, ov
from unmask.storage.compiled import compiled_once

Floats = NDArray[np.float32]

CELL_PX, STRIDE_PX = 12, 2
"""Pixels that P-net sees of a face, and from one of its cells to the next."""
_BATCH = {"pnet": (64, 16), "rnet": (16, 4), "onet": (4, 2)}
"""Images that run together, and the multiple that the last of them are filled up to: each new number would compile new
kernels. What a network says of an image does not depend on their number."""
_WIDTHS = {"pnet": (2, 4), "rnet": (2, 4), "onet": (2, 4, 10)}
"""Numbers that each network gives of an image: two classes, the shift of the box and, of O-net, five points."""
_SHA256 = {
    "pnet": "ea6b0c3e685ebee3165326ad6484acc95f2ef78f1c94fbf40a55704fa989f7b5",
    "rnet": "cb00e6460f3c98b0bfafaba3c0a0ded4bdf6e62cee7174d969e8670d7e757fee",
    "onet": "94f6ea2f4cf985275ee958cdd762d17b6009348a4fb9d8c6be39ba73ffd22ca3",
}


class Networks:
    """A set of compiled networks. It runs in the calling thread and serves one thread at a time."""

    def __init__(self) -> None:
        models = {name: _compile(name) for name in _BATCH}
        # The dense P-net takes images of any size; OpenVINO caches kernels by shape.
        models["pnet_dense"] = _compile("pnet", "bf16", is_dense=True)
        self._requests = {name: model.create_infer_request() for name, model in models.items()}

    def infer(self, network: str, x_NHW3: Floats) -> list[Floats]:
        """Run a network once; return its outputs, which are valid until it runs again."""
        request = self._requests[network]
        request.infer({0: np.ascontiguousarray(x_NHW3)}, share_inputs=True)
        return [request.get_output_tensor(i).data for i in range(len(request.model_outputs))]

    def run(self, network: str, x_NSS3: Floats) -> list[Floats]:
        """Run a network on any number of small images, in chunks."""
        batch, multiple = _BATCH[network]
        results = [[np.zeros((0, width), np.float32) for width in _WIDTHS[network]]]
        for start in range(0, len(x_NSS3), batch):
            chunk = x_NSS3[start : start + batch]
            if missing := -len(chunk) % multiple:
                chunk = np.concatenate([chunk, np.zeros((missing, *x_NSS3.shape[1:]), np.float32)])
            results.append([output.copy() for output in self.infer(network, chunk)])
        return [np.concatenate(outputs)[: len(x_NSS3)] for outputs in zip(*results, strict=True)]

    def exact_cells(self, levels: list[Floats], cells: list[NDArray[np.int64]]) -> list[Floats]:
        """Compute single P-net cells (row, column) of each level in fp32: (N, 6) two classes and box shift each."""
        results = [np.zeros((len(cells_N2), 6), np.float32) for cells_N2 in cells]
        patches: dict[tuple[int, ...], list[tuple[Floats, Floats, NDArray[np.bool_]]]] = {}
        for level_HW3, cells_N2, result_N6 in zip(levels, cells, results, strict=True):
            corner_N2 = cells_N2 * STRIDE_PX
            # The last row or column may see 11 pixels, where pooling rounds up.
            reach_N2 = np.minimum(CELL_PX, np.array(level_HW3.shape[:2]) - corner_N2)
            for reach in {tuple(reach) for reach in reach_N2.tolist()}:
                chosen = (reach_N2 == reach).all(1)
                windows = np.lib.stride_tricks.sliding_window_view(level_HW3, reach, axis=(0, 1))
                pixels = windows[corner_N2[chosen, 0], corner_N2[chosen, 1]].transpose(0, 2, 3, 1)
                patches.setdefault(reach, []).append((pixels, result_N6, chosen))
        for group in patches.values():
            answers = np.hstack(self.run("pnet", np.concatenate([pixels for pixels, _, _ in group])))
            for pixels, result_N6, chosen in group:
                result_N6[chosen], answers = answers[: len(pixels)], answers[len(pixels) :]
        return results


_IDLE: queue.LifoQueue[Networks] = queue.LifoQueue()


@contextmanager
def lend_networks() -> Iterator[Networks]:
    """Lend a set of compiled networks; there are as many as threads that ever detected at the same time."""
    try:
        networks = _IDLE.get_nowait()
    except queue.Empty:
        networks = Networks()
    try:
        yield networks
    finally:
        _IDLE.put(networks)


def load_weights(name: str) -> list[Floats]:
    """Read the arrays of ``pnet``, ``rnet`` or ``onet`` from the ``mtcnn`` wheel, in the order of the layers.

    Raises:
        ModelError: The wheel is missing, or its file is not the one unmask knows.
    """
    try:
        path = Path(str(distribution("mtcnn").locate_file(f"mtcnn/assets/weights/{name}.lz4")))
        packed = path.read_bytes()
    except (PackageNotFoundError, OSError) as error:
        raise ModelError("the face detector's weights are missing; run: pip install mtcnn==1.0.0") from error
    if (
        hashlib.sha256(packed).hexdigest() != _SHA256[name]
    ):  # joblib files can run code: read only the one that was reviewed
        raise ModelError(f"{path} is not the file of mtcnn 1.0.0; run: pip install --force-reinstall mtcnn==1.0.0")
    import joblib  # not at the top, as lz4: a network that was compiled before needs no weights
    import lz4.frame

    return [np.asarray(array, np.float32) for array in joblib.load(BytesIO(lz4.frame.decompress(packed)))]


def _compile(name: str, precision: str = "f32", *, is_dense: bool = False) -> ov.CompiledModel:
    code = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    return compiled_once([name, str(is_dense), _SHA256[name], code], lambda: _build(name, is_dense=is_dense), precision)


def _build(name: str, *, is_dense: bool = False) -> ov.Model:
    """Assemble a network from its weights.

    It takes (N, S, S, 3), of P-net 12 or 11 pixels a side; probability (N, 2), shift (N, 4) and, of O-net, points
    (N, 10) out. The dense P-net takes (1, H, W, 3); face probability (1, R, C) of each cell out.
    """
    weights = iter(load_weights(name))

    def convolve(x: ov.Node) -> ov.Node:
        kernel = np.ascontiguousarray(next(weights).transpose(3, 2, 0, 1))
        y = op.convolution(x, op.constant(kernel), [1, 1], [0, 0], [0, 0], [1, 1])
        return op.add(y, op.constant(next(weights).reshape(1, -1, 1, 1)))

    def dense(x: ov.Node) -> ov.Node:
        y = op.matmul(x, op.constant(next(weights)), False, False)
        return op.add(y, op.constant(next(weights).reshape(1, -1)))

    def prelu(x: ov.Node) -> ov.Node:
        return op.prelu(x, op.constant(next(weights).reshape(-1)))

    def pool(x: ov.Node, side: int) -> ov.Output:
        return op.max_pool(x, [2, 2], [1, 1], [0, 0], [0, 0], [side, side], rounding_type="ceil").output(0)

    pools = {"pnet": [2, 0, 0], "rnet": [3, 3, 0], "onet": [3, 3, 2, 0]}[name]
    side = {"pnet": -1, "rnet": 24, "onet": 48}[name]
    image = op.parameter([1 if is_dense else -1, side, side, 3], np.float32)
    x = op.transpose(image, op.constant([0, 3, 1, 2]))
    for pool_side in pools:
        x = prelu(convolve(x))
        x = pool(x, pool_side) if pool_side else x
    head = convolve
    if name != "pnet":
        # Column-major order, as in the original Matlab code.
        x = op.reshape(op.transpose(x, op.constant([0, 3, 2, 1])), op.constant([0, -1]), special_zero=True)
        x, head = prelu(dense(x)), dense
    heads = [head(x) for _ in range(3 if name == "onet" else 2)]  # shift, (points,) two classes
    probability = op.softmax(heads.pop(), 1)
    if is_dense:
        return ov.Model([op.gather(probability, op.constant(1), op.constant(1))], [image], name)
    outputs = [op.reshape(y, op.constant([0, -1]), special_zero=True) for y in (probability, *heads)]
    return ov.Model(outputs, [image], name)
