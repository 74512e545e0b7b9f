"""Files of safetensors: described as they are, and refused where the table and the numbers do not fit."""

# ruff: noqa: E402 - torch is not in every environment

import json
import struct

import pytest

torch = pytest.importorskip("torch")

import safetensors.torch

from tests.models.checkpoints.files import TINY, network
from unmask.errors import ModelError
from unmask.models.checkpoints.checkpoint import read_checkpoint
from unmask.models.checkpoints.convert import fill_network, tensors_for


def file(table, numbers=b""):
    text = table if isinstance(table, bytes) else json.dumps(table).encode()
    return struct.pack("<Q", len(text)) + text + numbers


def entry(shape, start, end, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def test_the_numbers_are_those_that_the_library_wrote():
    torch.manual_seed(0)
    state = {
        "a.weight": torch.randn(3, 4, 2),
        "b": torch.tensor(7),
        "c": torch.randn(5).half(),
        "d": torch.randn(2, 2).bfloat16(),
        "empty": torch.zeros(0, 3),
    }
    content = safetensors.torch.save(state, metadata={"format": "pt"})
    wanted = {name: value.float() if value.is_floating_point() else value for name, value in state.items()}
    found = tensors_for(wanted, read_checkpoint(content), "")
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_a_network_is_filled_from_it():
    source, target = network(seed=1), network(seed=2)
    fill_network(target, read_checkpoint(safetensors.torch.save(source.state_dict())), TINY)
    assert all(torch.equal(value, target.state_dict()[name]) for name, value in source.state_dict().items())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (file({"a": entry([2], 0, 8)}, bytes(7)), "describes 8 bytes of numbers and the file has 7"),
        (file({"a": entry([2], 0, 8)}, bytes(9)), "describes 8 bytes of numbers and the file has 9"),
        (file({"a": entry([3], 0, 8)}, bytes(8)), "does not fit"),
        (file({"a": entry([2], 4, 12)}, bytes(12)), "does not fit"),
        (file({"a": entry([2], 0, 8), "b": entry([2], 4, 12)}, bytes(12)), "does not fit"),
        (file({"a": entry([-2], 0, 8)}, bytes(8)), "whole numbers"),
        (file({"a": entry([1 << 62, 1 << 62], 0, 8)}, bytes(8)), "does not fit"),
        (file({"a": entry([1] * 17, 0, 4)}, bytes(4)), "whole numbers"),
        (file({"a": entry([2], 0, 8, "F8_E4M3")}, bytes(8)), "KeyError"),
        (file({"a": {"dtype": "F32"}}, bytes(8)), "damaged"),
        (file({"a": "b"}, bytes(8)), "damaged"),
        (file(b'{"a":1,"a":2}', bytes(8)), "a name occurs twice"),
        (file(b'{"a', bytes(8)), "damaged"),
        (file(b'{"a":' + b"[" * 100_000, bytes(8)), "damaged"),
        (file(b'{"__metadata__":{}}', bytes(8)), "describes 0 bytes"),
        (file(b'{"__metadata__":{}}  ', b""), "it has none"),
        (struct.pack("<Q", 1 << 40) + b'{"a": 1}', "JSON|no file of torch.save"),
        (file({"a/b": entry([2], 0, 8)}, bytes(8)), "proper name"),
    ],
)
def test_damaged_files_are_refused(content, message):
    with pytest.raises(ModelError, match=message):
        read_checkpoint(content)


def test_a_table_that_is_too_long_is_not_parsed(monkeypatch):
    monkeypatch.setattr("unmask.models.checkpoints.safetensors_file.MAX_TABLE_BYTES", 16)
    with pytest.raises(ModelError, match="no network needs that"):
        read_checkpoint(file({"a": entry([2], 0, 8)}, bytes(8)))
