"""Read the limits on what one file may cost from options."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from unmask.media import Limits

DEFAULTS = {
    "seconds": "60",
    "memory": "2G",
    "frame-pixels": "16M",
    "total-pixels": "1000G",
    "download": "2G",
    "file": "64G",
    "isolate": "yes",
}
"""Name of each limit, see `unmask.media.Limits` -> its default. Written again here, since the help answers without
loading libraries; a test compares them."""

_FIELDS = {
    "memory": "memory_bytes",
    "frame-pixels": "frame_pixels",
    "total-pixels": "total_pixels",
    "download": "download_bytes",
    "file": "file_bytes",
}
_BINARY = (1 << 20, 1 << 30)
_UNITS = {
    "memory": _BINARY,
    "frame-pixels": _BINARY,
    "total-pixels": (10**6, 10**9),
    "download": _BINARY,
    "file": _BINARY,
}
"""What M and G mean."""


def shown_limits() -> Iterator[str]:
    """Yield each limit with its default, as it is given."""
    return (f"{name}={value}" for name, value in DEFAULTS.items())


LIMITS_OPTION: Any = typer.Option(
    metavar="NAME=VALUE",
    show_default=False,
    help="What one file may cost; repeat. Default: " + " ".join(shown_limits()) + ".",
)
"""``--limits`` of a command that opens files; `parse_limits` reads what it was given."""


def parse_limits(given: Iterable[str]) -> Limits:
    """Read limits such as ``seconds=120`` and ``memory=4G``.

    Raises:
        UsageError: An unknown name, or a value that makes no sense.
    """
    from unmask.errors import UsageError
    from unmask.media import Limits

    values: dict[str, Any] = {}
    for text in given:
        name, _, value = text.partition("=")
        try:
            values[_FIELDS.get(name, name)] = _value(name, value)
        except (KeyError, ValueError, OverflowError) as error:
            raise UsageError(f"--limits {text!r} makes no sense; use some of: {' '.join(shown_limits())}") from error
    return Limits(**values)


def _value(name: str, value: str) -> float | int | bool:
    if name == "isolate":
        return {"yes": True, "no": False}[value]
    if name == "seconds":
        return float(value)
    mega, giga = _UNITS[name]
    unit = {"M": mega, "G": giga}.get(value[-1:], 1)
    return int(float(value.rstrip("MG")) * unit)
