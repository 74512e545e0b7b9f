"""Read what an XMP packet says of where a film is from: IPTC's digitalSourceType, programs, an AIGC key, a manifest."""

from __future__ import annotations

from collections import defaultdict
from xml.parsers import expat

MAX_BYTES, MAX_DEPTH, MAX_VALUES, MAX_CHARACTERS = 2 << 20, 64, 16, 1 << 16
"""A longer packet is read so far, a deeper one is damaged; further values, and what stands behind so many characters of
one, are left out."""

WANTED = frozenset({"DigitalSourceType", "CreatorTool", "softwareAgent", "AIGC", "provenance"})
"""Local names of the properties that are read, whatever their namespace."""


def read_xmp(content: bytes) -> tuple[dict[str, list[str]], bool]:
    """Return the values of the `WANTED` properties by name, and whether the packet could be read to its end."""
    properties = _Properties()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = properties.start, properties.end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = properties.text, _refuse
    try:
        parser.Parse(content[:MAX_BYTES].strip(b"\0 \r\n\t"), True)
    except (expat.ExpatError, ValueError, LookupError):
        return dict(properties.found), False
    return dict(properties.found), True


class _Properties:
    """Collects the values of properties: attributes, the text of elements, what ``rdf:resource`` names."""

    def __init__(self) -> None:
        self.found: dict[str, list[str]] = defaultdict(list)
        self._open: list[str] = []
        self._text = ""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._open) == MAX_DEPTH:
            raise ValueError("a packet that is too deep")
        self._open.append(_local(name))
        self._text = ""
        for key, value in attributes.items():
            self._add(self._open[-1] if _local(key) == "resource" else _local(key), value)

    def end(self, _: str) -> None:
        name = self._open.pop()
        if name in ("li", "value"):  # of a list, whose name stands above
            name = next((outer for outer in reversed(self._open) if outer in WANTED), name)
        self._add(name, self._text)
        self._text = ""

    def text(self, data: str) -> None:
        self._text = (self._text + data)[:MAX_CHARACTERS]

    def _add(self, name: str, value: str) -> None:
        if name in WANTED and value.strip() and len(self.found[name]) < MAX_VALUES:
            self.found[name].append(value.strip()[:MAX_CHARACTERS])


def _refuse(*_: object) -> None:
    """Refuse a document type: XMP has none, and its entities could ask for gigabytes."""
    raise ValueError("a document type")


def _local(name: str) -> str:
    return name.rpartition(" ")[2]
