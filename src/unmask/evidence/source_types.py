"""Know IPTC's digital source types (https://cv.iptc.org/newscodes/digitalsourcetype/) and what each says of a film."""

from __future__ import annotations

from collections.abc import Iterable

from unmask.facts import Says

SOURCE_TYPES: dict[str, tuple[Says, str]] = {
    "trainedAlgorithmicMedia": ("generated", "made by a trained model"),
    "compositeWithTrainedAlgorithmicMedia": ("composite", "put together with parts made by a trained model"),
    "compositeSynthetic": ("composite", "put together with synthetic parts"),
    "algorithmicMedia": ("generated", "made by an algorithm without training data"),
    "trainedAlgorithmicData": ("generated", "data made by a trained model"),
    "virtualRecording": ("generated", "a recording of a virtual scene"),
    "dataDrivenMedia": ("generated", "drawn from data"),
    "digitalCreation": ("generated", "made by a person with software"),
    "digitalArt": ("generated", "made by a person with software"),
    "algorithmicallyEnhanced": ("edited", "changed by an algorithm"),
    "composite": ("edited", "put together from several sources"),
    "compositeCapture": ("edited", "put together from several recordings"),
    "humanEdits": ("edited", "changed by a person with software"),
    "minorHumanEdits": ("edited", "changed a little by a person with software"),
    "screenCapture": ("edited", "a recording of a screen"),
    "digitalCapture": ("captured", "recorded by a camera"),
    "computationalCapture": ("captured", "recorded by a camera that combines several pictures"),
    "negativeFilm": ("captured", "scanned from a film"),
    "positiveFilm": ("captured", "scanned from a film"),
    "print": ("captured", "scanned from a print"),
}
"""Term -> what it says, and in words."""
GRAVITY: tuple[Says, ...] = (
    "generated", "perhaps_generated", "composite", "edited", "captured", "unclear", "unreadable",
)  # fmt: skip
"""What a label can say, what matters most first."""

_PLACES = ("cv.iptc.org/newscodes/digitalsourcetype/", "c2pa.org/digitalsourcetype/")


def find_source_type(value: str) -> str | None:
    """Return the term that a value names, alone or as an address; None where it is none that is known."""
    term = value.strip()
    for place in _PLACES:
        if place in term:
            term = term.partition(place)[2]
    return term if term in SOURCE_TYPES else None


def strongest(terms: Iterable[str]) -> str | None:
    """Return the term that says most, None of none."""
    return min(terms, key=lambda term: GRAVITY.index(SOURCE_TYPES[term][0]), default=None)
