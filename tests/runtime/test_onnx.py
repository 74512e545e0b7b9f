"""Weights outside of the file that the card vouches for, wherever ONNX lets them hide."""

import pytest

from unmask.errors import ModelError
from unmask.models import Network, model_folder
from unmask.runtime.onnx import check_onnx
from unmask.runtime.openvino import read_network


def field(number: int, value: bytes | int) -> bytes:
    """Encode a field of protobuf."""

    def varint(rest: int) -> bytes:
        out = bytearray()
        while rest > 127:
            out.append(rest & 127 | 128)
            rest >>= 7
        return bytes([*out, rest])

    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


LOCATION = field(13, field(1, b"location") + field(2, b"weights.bin"))
OUTSIDE = field(1, 2) + field(2, 1) + field(8, b"w") + LOCATION + field(14, 1)
INSIDE = field(1, 2) + field(2, 1) + field(8, b"w") + field(9, bytes(8)) + field(14, 0)
PLACES = {
    "an initializer": lambda tensor: field(7, field(5, tensor)),
    "a sparse one's values": lambda tensor: field(7, field(15, field(1, tensor))),
    "a sparse one's indices": lambda tensor: field(7, field(15, field(2, tensor))),
    "a constant": lambda tensor: field(7, field(1, field(5, field(5, tensor)))),
    "a list of constants": lambda tensor: field(7, field(1, field(5, field(10, tensor)))),
    "a branch": lambda tensor: field(7, field(1, field(5, field(6, field(5, tensor))))),
    "one of many branches": lambda tensor: field(7, field(1, field(5, field(11, field(5, tensor))))),
    "a sparse constant": lambda tensor: field(7, field(1, field(5, field(22, field(1, tensor))))),
    "a function": lambda tensor: field(7, b"") + field(25, field(7, field(5, field(5, tensor)))),
    "a function's default": lambda tensor: field(7, b"") + field(25, field(11, field(5, tensor))),
    "training": lambda tensor: field(7, b"") + field(20, field(1, field(5, tensor))),
    "a graph that is merged": lambda tensor: field(7, field(2, b"name")) + field(7, field(5, tensor)),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("tensor", [OUTSIDE, field(14, 1), LOCATION], ids=["both", "location only", "path only"])
def test_weights_in_other_files_are_refused_wherever_they_hide(place, tensor):
    check_onnx(PLACES[place](INSIDE))
    with pytest.raises(ModelError, match="other files"):
        check_onnx(PLACES[place](tensor))


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\x3a", b"\x3a\xff", b"\x3a" + b"\xff" * 12, b"<net></net>", b"\x3b\x00", b"\x38\x01", field(1, 8),
        field(7, b"\x00\x00"), field(7, field(1, field(5, field(6, b"\x0f")))),
    ],
)  # fmt: skip
def test_what_is_no_onnx_is_refused(content):
    with pytest.raises(ModelError, match="no ONNX"):
        check_onnx(content)


def test_graphs_in_graphs_have_an_end():
    graph = b""
    for _ in range(3000):
        graph = field(1, field(5, field(6, graph)))
    with pytest.raises(ModelError, match="no ONNX"):
        check_onnx(field(7, graph))


def test_no_network_is_built_of_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights.bin").write_bytes(bytes(64))
    content = (model_folder("bundled") / "model.onnx").read_bytes()
    read_network(content, "model.onnx")
    with pytest.raises(ModelError, match=r"model\.onnx is no network .* by itself: its weights lie in other files"):
        read_network(content + PLACES["an initializer"](OUTSIDE), "model.onnx")
    assert Network(model_folder("bundled"), "fp32").card.name
