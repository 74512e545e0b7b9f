"""Describe a safetensors file as a checkpoint: a length, a table of names in JSON, then the numbers.

Source: https://github.com/huggingface/safetensors, README, Format.
"""

from __future__ import annotations

import json
import math
from functools import partial
from typing import Any

from unmask.errors import ModelError
from unmask.models.checkpoints.program import ITEM_BYTES, Storage, StoredTensor

MAX_TABLE_BYTES = 64 << 20
"""Longer tables are refused."""

_DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16",
    "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8", "U8": "uint8", "BOOL": "bool",
}  # fmt: skip
_START, _MAX_AXES, _SHORT = 8, 16, 100


def is_safetensors(content: bytes) -> bool:
    """Whether a file begins as one of safetensors."""
    return content[_START : _START + 2] == b'{"' and _table_bytes(content) < len(content)


def read_safetensors(content: bytes) -> tuple[dict[str, StoredTensor], dict[str, tuple[int, partial[memoryview]]]]:
    """Read the table of a safetensors file.

    Args:
        content: The whole file.

    Returns:
        Its tensors, each with a storage of its own name; and for each the length in bytes and what reads them.

    Raises:
        ModelError: The table is damaged, or does not cover the numbers of the file without gaps and overlaps.
    """
    length = _table_bytes(content)
    if length > MAX_TABLE_BYTES:
        raise ModelError(f"its table has more than {MAX_TABLE_BYTES >> 20} MB; no network needs that")
    try:
        table = json.loads(content[_START : _START + length], object_pairs_hook=_without_repeats)
        entries = [(str(name), *_entry(value)) for name, value in table.items() if name != "__metadata__"]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ModelError(f"its table is damaged: {type(error).__name__}: {str(error)[:_SHORT]}") from error
    view, reached = memoryview(content)[_START + length :], 0
    tensors, numbers = {}, {}
    for name, dtype, shape, (start, end) in sorted(entries, key=lambda entry: entry[3]):
        items = math.prod(shape)
        if start != reached or end - start != items * ITEM_BYTES[dtype]:
            raise ModelError(f"its table says that {name[:_SHORT]!r} lies at {start} to {end}, which does not fit")
        strides = tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
        tensors[name] = StoredTensor(Storage(name, dtype, items), 0, shape, strides)
        numbers[name] = (end - start, partial(_bytes, view, start, end))
        reached = end
    if reached != len(view):
        raise ModelError(f"its table describes {reached} bytes of numbers and the file has {len(view)}; it is damaged")
    return tensors, numbers


def _table_bytes(content: bytes) -> int:
    return int.from_bytes(content[:_START], "little")


def _bytes(view: memoryview, start: int, end: int) -> memoryview:
    return view[start:end]


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) < len(pairs):
        raise ValueError("a name occurs twice")
    return entries


def _entry(value: dict[str, Any]) -> tuple[str, tuple[int, ...], tuple[int, int]]:
    shape, (start, end) = value["shape"], value["data_offsets"]
    if len(shape) > _MAX_AXES or any(type(number) is not int or number < 0 for number in (*shape, start, end)):
        raise ValueError("shapes and offsets must be whole numbers")
    return _DTYPES[value["dtype"]], tuple(shape), (start, end)
