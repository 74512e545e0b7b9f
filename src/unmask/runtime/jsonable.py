"""Values as JSON holds them: plain dicts, lists, numbers and text."""

from __future__ import annotations

import base64
import os
import sys
from dataclasses import fields
from typing import Any


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


def portable(path: str) -> str:
    """Return a path as text that is the same in every locale: UTF-8, with other bytes as surrogate escapes."""
    if sys.getfilesystemencoding() == "utf-8":
        return path
    return os.fsencode(path).decode("utf-8", "surrogateescape")
