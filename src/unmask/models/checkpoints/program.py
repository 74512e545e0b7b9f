"""Reading a pickle as data: tensors and plain containers, and nothing that is called.

A pickle is a program for a small stack machine, two of whose instructions call what the program names. Here the
program is decoded, and only the instructions that ``torch.save`` writes are followed, by hand: a name stands for
one of a few words of `_MEANINGS`, a call builds one of the values below, and everything else is refused.
"""

from __future__ import annotations

import pickletools
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from warnings import catch_warnings

from unmask.errors import ModelError

MAX_INSTRUCTIONS = 500_000
_SHORT, _MAX_AXES = 200, 16
"""A network of a thousand tensors takes forty thousand."""

ITEM_BYTES = {
    "float64": 8, "float32": 4, "float16": 2, "bfloat16": 2,
    "int64": 8, "int32": 4, "int16": 2, "int8": 1, "uint8": 1, "bool": 1,
}  # fmt: skip
"""Type of numbers -> bytes of one."""

_STORAGES = {
    "DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16", "BFloat16Storage": "bfloat16",
    "LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8",
    "ByteStorage": "uint8", "BoolStorage": "bool",
}  # fmt: skip

_MEANINGS = {
    "collections OrderedDict": "mapping",
    "torch._utils _rebuild_tensor_v2": "tensor",
    "torch._utils _rebuild_parameter": "parameter",
    # Beside the weights are often the options of the training, and a loss that is one of numpy's numbers. They are not
    # needed.
    "argparse Namespace": "ignored",
    "numpy.core.multiarray scalar": "ignored",
    "numpy._core.multiarray scalar": "ignored",
    "numpy dtype": "ignored",
    "_codecs encode": "ignored",
} | {f"torch {name}": "storage" for name in _STORAGES}

_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_NUMBERS_AND_TEXT = ("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE")
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


@dataclass(frozen=True, slots=True)
class Ignored:
    """A value of the pickle that is not needed."""


@dataclass(frozen=True, slots=True)
class Named:
    """One of `_MEANINGS`."""

    name: str
    """Module and name, as the pickle has them, with a space between."""

    @property
    def meaning(self) -> str:
        """Meaning of the name."""
        return _MEANINGS[self.name]


@dataclass(frozen=True, slots=True)
class Storage:
    """A run of numbers, kept elsewhere in the file."""

    key: str
    """Its name there."""
    dtype: str
    """One of `ITEM_BYTES`."""
    items: int
    """How many numbers."""

    def __post_init__(self) -> None:
        if type(self.key) is not str or type(self.items) is not int or self.items < 0:
            raise ValueError("a storage without a name or length")

    @property
    def size_bytes(self) -> int:
        """Its length."""
        return self.items * ITEM_BYTES[self.dtype]


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor that the file describes; nothing is allocated for it yet."""

    storage: Storage
    """Where its numbers are."""
    offset: int
    """Number of the storage's item that comes first."""
    shape: tuple[int, ...]
    """Length along each axis."""
    stride: tuple[int, ...]
    """Items from one to the next along each axis."""

    def __post_init__(self) -> None:
        parts = (self.offset, *self.shape, *self.stride)
        fits = isinstance(self.storage, Storage) and len(self.shape) == len(self.stride)
        if not fits or any(type(part) is not int or part < 0 for part in parts):
            raise ValueError("a tensor without storage, shape or strides")
        last = self.offset + sum((n - 1) * step for n, step in zip(self.shape, self.stride, strict=True))
        if 0 not in self.shape and last >= self.storage.items:
            shape = list(self.shape[:_MAX_AXES])
            raise ModelError(f"a tensor of shape {shape} reaches past the numbers that the file has for it")


def read_program(file: BytesIO) -> tuple[Any, dict[str, Storage]]:
    """Return what the pickle at the file's position describes; the file is left behind its end.

    Args:
        file: The whole checkpoint, or its part that is a pickle.

    Returns:
        Dicts, lists, tuples, numbers, text, None, `Ignored`, and `StoredTensor` where a tensor was saved; and all
        storages by key.

    Raises:
        ModelError: It is damaged, or names or does anything else.
    """
    machine = _Machine()
    try:
        with catch_warnings(action="ignore"):  # of pickletools, about text that is not followed anyway
            _run(machine, file)
        (value,) = machine.stack
    except (ValueError, TypeError, IndexError, KeyError) as error:
        what = str(error)[:_SHORT] if isinstance(error, ValueError) else type(error).__name__
        raise ModelError(f"its pickle is damaged: {what}") from error
    return value, machine.storages


def _run(machine: _Machine, file: BytesIO) -> None:
    for count, (instruction, argument, _) in enumerate(pickletools.genops(file)):
        if count > MAX_INSTRUCTIONS:
            raise ModelError(f"its pickle has more than {MAX_INSTRUCTIONS} instructions; no network needs so many")
        machine.follow(instruction.name, argument)


class _Machine:
    """The stack machine, as far as `torch.save` needs it."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.storages: dict[str, Storage] = {}

    def follow(self, name: str, argument: Any) -> None:
        """Do one instruction."""
        if name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _NUMBERS_AND_TEXT:
            self.stack.append(argument)
        elif name in _TUPLES:
            self.stack.append(self._last(_TUPLES[name]))
        elif hasattr(self, f"do_{name.lower()}"):
            getattr(self, f"do_{name.lower()}")(argument)
        else:
            raise ModelError(f"its pickle has the instruction {name}, which tensors and plain containers do not need")

    def _last(self, count: int) -> tuple[Any, ...]:
        """Take the last values off the stack."""
        start = len(self.stack) - count
        if start < (self.marks[-1] if self.marks else 0):
            raise ValueError("a value is missing")
        values = tuple(self.stack[start:])
        del self.stack[start:]
        return values

    def _since_mark(self) -> tuple[Any, ...]:
        return self._last(len(self.stack) - self.marks.pop())

    def do_proto(self, version: int) -> None:
        if version > 2:
            raise ModelError(f"its pickle has protocol {version}; torch.save writes 2, save it again with that")

    def do_stop(self, _: None) -> None:
        """The value is the only one on the stack."""

    def do_mark(self, _: None) -> None:
        self.marks.append(len(self.stack))

    def do_empty_dict(self, _: None) -> None:
        self.stack.append({})

    def do_empty_list(self, _: None) -> None:
        self.stack.append([])

    def do_tuple(self, _: None) -> None:
        self.stack.append(self._since_mark())

    def do_binput(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def do_binget(self, index: int) -> None:
        self.stack.append(self.memo[index])

    do_long_binput, do_long_binget = do_binput, do_binget

    def do_append(self, _: None) -> None:
        self._extend(self._last(1))

    def do_appends(self, _: None) -> None:
        self._extend(self._since_mark())

    def _extend(self, values: tuple[Any, ...]) -> None:
        if type(self.stack[-1]) is not list:
            raise ValueError("items for something that is no list")
        self.stack[-1].extend(values)

    def do_setitem(self, _: None) -> None:
        self._update(self._last(2))

    def do_setitems(self, _: None) -> None:
        self._update(self._since_mark())

    def _update(self, values: tuple[Any, ...]) -> None:
        if type(self.stack[-1]) is not dict or any(type(key) not in (str, int) for key in values[::2]):
            raise ValueError("entries for something that is no mapping of text or numbers")
        self.stack[-1].update(zip(values[::2], values[1::2], strict=True))

    def do_global(self, name: str) -> None:
        if name not in _MEANINGS:
            raise ModelError(
                f"it asks for {name.replace(' ', '.')[:100]!r}; only tensors and plain containers are read, and "
                "nothing that a file names is ever run"
            )
        self.stack.append(Named(name))

    def do_binpersid(self, _: None) -> None:
        (parts,) = self._last(1)
        word, kind, key, _location, items, *view = parts
        if word != "storage" or type(kind) is not Named or kind.meaning != "storage" or view not in ([], [None]):
            raise ModelError("it keeps more than tensors beside its pickle; only a state dict is read")
        storage = Storage(key, _STORAGES[kind.name.removeprefix("torch ")], items)
        if self.storages.setdefault(key, storage) != storage:
            raise ValueError(f"two storages have the key {key!r}")
        self.stack.append(storage)

    def do_build(self, _: None) -> None:
        self._last(1)  # attributes, such as the metadata of a state dict, are left behind

    def do_newobj(self, _: None) -> None:
        kind, arguments = self._last(2)
        if type(kind) is not Named or kind.meaning != "ignored" or arguments != ():
            raise ValueError("an object that is no tensor and no options of a training")
        self.stack.append(Ignored())

    def do_reduce(self, _: None) -> None:
        function, arguments = self._last(2)
        meaning = function.meaning if type(function) is Named else ""
        if meaning == "mapping" and arguments == ():
            self.stack.append({})
        elif meaning == "tensor":
            self.stack.append(StoredTensor(*arguments[:4]))
        elif meaning == "parameter":
            self.stack.append(arguments[0])
        elif meaning == "ignored":
            self.stack.append(Ignored())
        else:
            raise ValueError("a call of something that cannot be called")
