"""Read the small text files that describe a dataset; what is wrong with one is said in one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

BYTE_ORDER_MARK = "\ufeff"
MAX_TEXT_BYTES = 64 * 2**20
"""Max length of a text file; the largest real one, metadata.json of a DFDC part, has 0.3 MB."""


def read_text(path: Path) -> str:
    """Return the content of a text file; a byte order mark is left in front.

    Raises:
        ValueError: It cannot be read; the message says why in words.
    """
    try:
        if path.stat().st_size > MAX_TEXT_BYTES:
            raise ValueError(f"larger than {MAX_TEXT_BYTES} bytes")
        return path.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start}") from error
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror})") from error


def parse_json(text: str, of_pairs: Callable[[list[tuple[str, Any]]], Any] | None = None) -> Any:
    """Return the value of a JSON text.

    Args:
        text: The text, with or without a byte order mark.
        of_pairs: Makes the value of an object out of its pairs, duplicate keys and all; a dictionary if not given.

    Raises:
        ValueError: It is no JSON; the message says why in words.
    """
    try:
        return json.loads(text.removeprefix(BYTE_ORDER_MARK), object_pairs_hook=of_pairs)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    except ValueError as error:
        raise ValueError(f"no JSON: {error}") from error


def shown(value: object) -> str:
    """Return a value out of a file as a message can quote it: short, whatever it holds."""
    try:
        text = repr(value)
    except RecursionError:
        return "a deeply nested value"
    return text if len(text) <= 60 else text[:57] + "..."
