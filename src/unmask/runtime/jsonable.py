"""Values as JSON holds them: plain dicts, lists, numbers and text."""

from __future__ import annotations

import base64
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from unmask.errors import UsageError


def jsonable(value: Any) -> Any:
    """Return a value as JSON-ready ones: dataclasses by field, floats to six digits, bytes as base64."""
    if hasattr(value, "__dataclass_fields__"):
        return {item.name: jsonable(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, dict):
        return {key: jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, float):
        return round(value, 6)
    return value


def from_jsonable(kind: Any, value: Any) -> Any:
    """Return the value that `jsonable` turned into JSON-ready ones.

    Args:
        kind: Its type: a dataclass, or one that a field of it is annotated with.
        value: The JSON-ready values.

    Raises:
        KeyError: A field without a default is missing.
        TypeError: A field is unknown, or a value has another form.
        ValueError: The dataclass refuses a value.
    """
    if value is None or kind is Any:
        return value
    origin, arms = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return from_jsonable(next(arm for arm in arms if arm is not NoneType), value)
    if is_dataclass(kind) and isinstance(kind, type):
        hints = get_type_hints(kind)
        if unknown := sorted(value.keys() - hints.keys()):
            raise TypeError(f"{kind.__name__} has no {', '.join(unknown)}")
        return kind(**{name: from_jsonable(hints[name], item) for name, item in value.items()})
    if origin is tuple:
        return tuple(from_jsonable(arms[0], item) for item in value)
    if origin is dict:
        return {key: from_jsonable(arms[1], item) for key, item in value.items()}
    return base64.b64decode(value) if kind is bytes else value


@contextmanager
def reading(data: Mapping[str, Any], version: int, what: str, cure: str) -> Iterator[None]:
    """Check the schema of values that are read back, and say in one way when they are of another form.

    Args:
        data: The values.
        version: What ``schema_version`` must be.
        what: They should be, e.g. ``verdict``.
        cure: For those of another version.

    Raises:
        UsageError: They are of another version, or reading them failed.
    """
    if (found := data.get("schema_version")) != version:
        raise UsageError(f"this {what} has schema version {found}, not {version}; {cure}")
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"these values are no {what} of unmask ({type(error).__name__}: {error})") from error


def portable(path: str) -> str:
    """Return a path as text that is the same in every locale: UTF-8, with other bytes as surrogate escapes."""
    if sys.getfilesystemencoding() == "utf-8":
        return path
    return os.fsencode(path).decode("utf-8", "surrogateescape")
