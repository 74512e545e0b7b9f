"""Sentences of a verdict that keep what they say as a code with values, for programs and for other languages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Value = str | int | float | None


class Sentence(str):
    """A sentence in English that knows its code and the values that stand in it."""

    __slots__ = ("code", "values")

    code: str
    """What it says, e.g. ``no_trace``; empty where nobody named it."""
    values: dict[str, Value]
    """Name -> number or text."""

    def __new__(cls, text: str, code: str = "", values: dict[str, Value] | None = None) -> Sentence:
        """Return the text with its code and values."""
        made = super().__new__(cls, text)
        made.code, made.values = code, values or {}
        return made


def coded(code: str, text: str, **values: Value) -> Sentence:
    """Return a sentence with its code, and with the values by which other languages say the same.

    The page's tests look for the calls of this function: each code needs its text in every language of the page.
    """
    return Sentence(text, code, values)


def codes_of(sentences: tuple[str, ...], status: str) -> list[dict[str, Any]]:
    """Return code and values of each sentence, JSON-ready but for the digits of numbers.

    Args:
        sentences: Why a verdict is what it is.
        status: Of the verdict: the code of a sentence that has none of its own, such as the message of an error. The
            sentence is its value ``detail``.
    """
    return [
        {"code": each.code, "values": each.values}
        if isinstance(each, Sentence) and each.code
        else {"code": status, "values": {"detail": each}}
        for each in sentences
    ]


def with_codes(sentences: Iterable[str], codes: Iterable[Mapping[str, Any]]) -> tuple[Sentence, ...]:
    """Return sentences that know their codes again; see `codes_of`.

    Raises:
        ValueError: There are more of the ones than of the others.
    """
    return tuple(
        Sentence(text, known["code"], dict(known["values"])) for text, known in zip(sentences, codes, strict=True)
    )
