"""Check a file of ``torch.save``, in either of its formats, or of safetensors, before any tensor is made.

A zip archive holds ``data.pkl`` and a file of numbers for each storage. The format before it (torch 1.5 and older) is
a row of pickles, then the numbers. `unmask.models.checkpoints.program` reads the pickles without running them.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from typing import Any

from unmask.errors import ModelError
from unmask.models.checkpoints.program import StoredTensor, read_program
from unmask.models.checkpoints.safetensors_file import is_safetensors, read_safetensors

MAX_FILE_BYTES = 2 << 30
"""Larger files are refused; the largest that is known has 0.3 gigabytes."""

_MAX_PICKLE_BYTES = 64 << 20
_MAX_MEMBERS = 100_000
_ZIP_START, _TAR_WORD = b"PK\x03\x04", slice(257, 262)
_LEGACY_START = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # a pickle of torch's magic number
_LEGACY_VERSION = 1001
_WRAPPERS = ("state_dict", "model")
_HEAD_BYTES = 1024
_OTHER_FILES = {
    b"\x89HDF": "an HDF5 file, of Keras",
    b"\x08\x03": "an ONNX file",
    b"\x08\x04": "an ONNX file",
    b"\x08\x07": "an ONNX file",
    b"\x08\x08": "an ONNX file",
    b"\x1f\x8b": "compressed with gzip; unpack it first",
    b"7z\xbc\xaf": "a 7-Zip archive; unpack it first",
    b"Rar!": "a RAR archive; unpack it first",
    b"\xfd7zXZ": "compressed with xz; unpack it first",
    b"\x80": "a pickle that torch.save did not write, which may hold anything and is not read",
    b"%PDF": "a PDF file",
}
"""How other files begin that are offered as checkpoints."""
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,200}")
_MAX_FACT, _MAX_FACTS, _SHORT = 1e15, 20, 200
_MEMBER = re.compile(
    r"data/[0-9]{1,9}|data\.pkl|version|byteorder|\.format_version|\.storage_alignment|\.data/serialization_id"
)


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers of one storage, still in the file."""

    size_bytes: int
    """Their length."""
    read: Callable[[], bytes | memoryview] = field(repr=False)
    """Reads them, little-endian; raises ModelError where they are damaged."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A state dict that is described but not made, and what stands beside it."""

    tensors: dict[str, StoredTensor]
    """By name, in the file's order."""
    facts: dict[str, int | float]
    """Plain numbers beside the weights, such as the epoch."""
    numbers: dict[str, Numbers]
    """By key of storage."""
    weights: str = ""
    """Key of the state dict in the file; empty where the file is one."""
    other_weights: tuple[str, ...] = ()
    """Keys of further state dicts, such as averages over the training."""


def read_checkpoint(content: bytes, weights: str | None = None) -> Checkpoint:
    """Read the description of a checkpoint.

    Args:
        content: The whole file.
        weights: Key of the state dict to take; None for the one of a usual name, or the only one.

    Returns:
        Its tensors, whose numbers are all in the file.

    Raises:
        ModelError: It is no checkpoint, damaged, cut short, compressed, or holds more than tensors and plain values.
    """
    if content.startswith(_ZIP_START):
        root, numbers = _read_zip(content)
    elif content.startswith(_LEGACY_START):
        root, numbers = _read_legacy(content)
    elif is_safetensors(content):
        root, found = read_safetensors(content)
        numbers = {name: Numbers(*facts) for name, facts in found.items()}
    else:
        raise ModelError(
            f"{_what_else(content)}; a .pth file of torch 0.4 or later or a safetensors file is needed, as published"
        )
    key, others = _choose(root, weights)
    tensors, facts = _state_dict(root, key)
    for name, tensor in tensors.items():
        stored = numbers.get(tensor.storage.key)
        if stored is None or stored.size_bytes != tensor.storage.size_bytes:
            has = f"{stored.size_bytes} bytes" if stored else "nothing"
            raise ModelError(f"it has {has} for {name}, which needs {tensor.storage.size_bytes} bytes")
    return Checkpoint(tensors, facts, numbers, key, others)


def _what_else(content: bytes) -> str:
    """Say what a file is that torch did not write."""
    head = content[:_HEAD_BYTES].lstrip()
    if content[_TAR_WORD] == b"ustar":
        return "it has torch's format of 2016, a tar archive"
    if head.lower().startswith((b"<!doctype html", b"<html")):
        return "it is a web page: the server showed it instead of giving the file; use the link of its download button"
    if head.startswith(b"version https://git-lfs"):
        return "it is a Git LFS pointer, a few lines in place of the file; run: git lfs pull"
    found = next((what for start, what in _OTHER_FILES.items() if content.startswith(start)), None)
    if found is None and head[:1] in (b"{", b"["):
        found = "JSON, such as a server's error message; look into it"
    return f"it is {found}" if found else "it is empty" if not head else "it is no file of torch.save"


def _choose(root: Any, wanted: str | None) -> tuple[str, tuple[str, ...]]:
    """Return the key of the state dict to take, empty for the file itself, and the keys of others."""
    outer = root if isinstance(root, dict) else {}
    there = [str(key)[:_SHORT] for key, value in outer.items() if _is_name(key) and _is_state_dict(value)]
    if wanted is not None:
        if wanted not in there:
            has = f"it has {', '.join(there)}" if there else "it has no keys of state dicts"
            raise ModelError(f"it holds no weights {wanted!r}: {has}")
        key = wanted
    else:
        usual = [name for name in _WRAPPERS if isinstance(outer.get(name), dict)]
        key = (usual or (there if len(there) == 1 else []) or [""])[0]
        if not key and len(there) > 1:
            raise ModelError(f"it holds several sets of weights, {', '.join(there)}; name one with --weights")
    return key, tuple(name for name in there if name != key)


def _is_state_dict(value: object) -> bool:
    return (
        isinstance(value, dict)
        and bool(value)
        and all(_is_name(key) and isinstance(item, StoredTensor) for key, item in value.items())
    )


def _state_dict(root: Any, key: str) -> tuple[dict[str, StoredTensor], dict[str, int | float]]:
    """Return the mapping of names to tensors under a key, or the file itself, and the numbers beside it."""
    outer = root if isinstance(root, dict) else {}
    found = outer[key] if key else outer
    others = [key for key, value in found.items() if not (_is_name(key) and isinstance(value, StoredTensor))]
    if others or not found:
        what = f"{_shown(others[0])} is no tensor with a proper name" if others else "it has none"
        raise ModelError(
            f"it holds no state dict, which maps names to tensors, by itself or as {' or '.join(_WRAPPERS)}: {what}"
        )
    facts = {k: v for k, v in outer.items() if _is_name(k) and type(v) in (int, float) and abs(v) < _MAX_FACT}
    return found, dict(list(facts.items())[:_MAX_FACTS])


def _shown(key: object) -> str:
    """Return a key for a message; what is no text may hold itself a million times, and would say so."""
    return repr(key[:_SHORT]) if isinstance(key, str) else f"a key of type {type(key).__name__}"


def _is_name(key: object) -> bool:
    return isinstance(key, str) and _NAME.fullmatch(key) is not None


# --- the zip archive


def _read_zip(content: bytes) -> tuple[Any, dict[str, Numbers]]:
    try:
        archive = zipfile.ZipFile(BytesIO(content))
        members = _members(archive, len(content))
        pickle = BytesIO(_read_small(archive, members["data.pkl"]))
        order = _read_small(archive, members["byteorder"]) if "byteorder" in members else b"little"
    except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError) as error:
        raise ModelError(f"it is damaged or cut short: {error}") from error
    except KeyError as error:
        raise ModelError(
            "it is a zip archive without data.pkl; torch.save did not write it: unpack it, if the file is in it"
        ) from error
    if order.strip() != b"little":
        raise ModelError("its numbers are big-endian; save it again on a common machine")
    root, _ = read_program(pickle)
    if pickle.read(1):
        raise ModelError("its data.pkl goes on after its end")
    return root, {
        name.removeprefix("data/"): Numbers(info.file_size, partial(_read_member, archive, info))
        for name, info in members.items()
        if name.startswith("data/")
    }


def _members(archive: zipfile.ZipFile, size_bytes: int) -> dict[str, zipfile.ZipInfo]:
    """Return the members by name below the one root, if the archive's directory is one that torch writes."""
    infos = archive.infolist()
    root = infos[0].filename.partition("/")[0] if infos else ""
    if len(infos) > _MAX_MEMBERS or sum(info.file_size for info in infos) > size_bytes:
        raise ModelError(f"its {len(infos)} members are too many, or larger than itself; torch.save did not write it")
    members: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        name = info.filename.removeprefix(f"{root}/")
        if not _MEMBER.fullmatch(name) or info.filename == name or name in members:
            raise ModelError(f"it holds {info.filename[:_SHORT]!r}, which torch.save does not write for a state dict")
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size or info.flag_bits & 1:
            raise ModelError(f"its {info.filename!r} is compressed or encrypted, which torch.save never does")
        members[name] = info
    return members


def _read_small(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    if info.file_size > _MAX_PICKLE_BYTES:
        raise ModelError(f"its {info.filename} has more than {_MAX_PICKLE_BYTES >> 20} MB; no network needs that")
    return archive.read(info)


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    try:
        return archive.read(info)  # which compares the checksum
    except (zipfile.BadZipFile, EOFError, ValueError) as error:
        raise ModelError(f"it is damaged: {error}") from error


# --- the format before it


def _bytes(view: memoryview, start: int, end: int) -> memoryview:
    return view[start:end]


def _read_legacy(content: bytes) -> tuple[Any, dict[str, Numbers]]:
    file = BytesIO(content)
    read_program(file)  # the magic number, which was looked at
    version, system = read_program(file)[0], read_program(file)[0]
    if version != _LEGACY_VERSION or not isinstance(system, dict) or system.get("little_endian") is not True:
        raise ModelError("its numbers are big-endian, or it has an unknown version; save it again on a common machine")
    root, storages = read_program(file)
    keys, _ = read_program(file)
    numbers: dict[str, Numbers] = {}
    view, start = memoryview(content), file.tell()
    for key in keys if isinstance(keys, list) else ():
        storage = storages.get(key) if isinstance(key, str) else None
        items = int.from_bytes(view[start : start + 8], "little")
        if storage is None or storage.items != items or key in numbers:
            raise ModelError(f"it is damaged: the numbers of storage {len(numbers)} are not those that it describes")
        start, end = start + 8, start + 8 + storage.size_bytes
        if end > len(view):
            raise ModelError(f"it is cut short: {end - len(view)} bytes or more are missing")
        numbers[key] = Numbers(storage.size_bytes, partial(_bytes, view, start, end))
        start = end
    if start != len(view):
        raise ModelError(f"it goes on for {len(view) - start} bytes after its end; it is not what was published")
    return root, numbers
