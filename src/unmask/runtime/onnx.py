"""Look through an ONNX file for tensors that lie outside of it, before anything builds a network of it."""

from __future__ import annotations

from collections.abc import Iterator

from unmask.errors import ModelError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_DEPTH = 32

# Field numbers of onnx.proto (onnx/onnx), as far as they lead to tensors.
_FIELDS: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse tensor", 23: "sparse tensor"},
    "sparse tensor": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
"""Fields of a tensor: where its numbers lie, as text; 1 where that is another file."""


def check_onnx(content: bytes) -> None:
    """Refuse ONNX whose tensors lie in other files: no hash covers those, and they are looked for in strange places.

    Args:
        content: The whole file.

    Raises:
        ModelError: It names other files, or is no ONNX.
    """
    try:
        graphs = _check(memoryview(content), "model", 0)
    except (IndexError, ValueError, RecursionError) as error:
        raise ModelError(f"it is no ONNX ({error})") from error
    if not graphs:
        raise ModelError("it is no ONNX (there is no graph in it)")


def _check(message: memoryview, kind: str, depth: int) -> int:
    """Look through a message and all within it; return how many of its fields led further."""
    if depth > _MAX_DEPTH:
        raise ValueError("graphs within graphs without end")
    led = 0
    for field, value in _fields(message):
        if kind == "tensor" and (field == _EXTERNAL_DATA or (field == _DATA_LOCATION and value)):
            raise ModelError("its weights lie in other files, which no card vouches for; export it as one file")
        if (inner := _FIELDS[kind].get(field)) is not None:
            if not isinstance(value, memoryview):
                raise ValueError(f"field {field} of a {kind} is no message")
            led += 1
            _check(value, inner, depth + 1)
    return led


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield number and value of each field of a message in protobuf's encoding."""
    at, end = 0, len(message)
    while at < end:
        tag, at = _varint(message, at)
        field, form = tag >> 3, tag & 7
        if not field:
            raise ValueError("a field without a number")
        if form == _VARINT:
            number, at = _varint(message, at)
            yield field, number
            continue
        if form == _BYTES:
            length, at = _varint(message, at)
        elif form in (_FIXED32, _FIXED64):
            length = 4 if form == _FIXED32 else 8
        else:
            raise ValueError(f"fields of form {form}")
        if length > end - at:
            raise ValueError("a field that goes on after its end")
        yield field, message[at : at + length]
        at += length


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """Read a number of seven bits a byte; return it and the place behind it."""
    number = 0
    for shift in range(0, 70, 7):
        byte = message[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, at
    raise ValueError("a number of more than 64 bits")
