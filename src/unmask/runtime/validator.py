"""Check values against a type with pydantic, which is loaded when the first value comes: decoders never check any."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Value = TypeVar("Value")


def validator(kind: type[Value]) -> Callable[[Any], Value]:
    """Return a function that makes a value of a type of what `json.loads` returned.

    Args:
        kind: The type.

    Returns:
        A function that raises ValueError where its argument does not fit.
    """

    @cache
    def adapter() -> TypeAdapter[Value]:
        from pydantic import TypeAdapter

        return TypeAdapter(kind)

    return lambda values: adapter().validate_python(values)
