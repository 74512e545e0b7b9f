"""Names that clients give to files: shown as text, and never used as names of files."""

from __future__ import annotations

MAX_NAME_LETTERS = 200


def clean_name(name: str) -> str:
    """Return the last part of a name that a client chose, as one line of printable text, never empty."""
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    text = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in last).strip()
    return text[:MAX_NAME_LETTERS] or "unnamed"
