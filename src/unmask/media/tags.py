"""Read the tags and telling attachments of an open container, as FFmpeg finds them in any format."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from av.container import InputContainer
from av.stream import AttachmentStream

MAX_TAGS, MAX_TAG_CHARACTERS = 256, 1 << 16
"""Further tags, and what stands behind so many characters of one, are left out."""
MAX_ATTACHMENTS, MAX_ATTACHMENT_BYTES = 4, 8 << 20
"""Further attachments, and what stands behind so many bytes of one, are left out."""
_TELLING = re.compile("c2pa|xmp|rdf", re.IGNORECASE)
"""Attachments that say something of the file, by name or type; all others are fonts and covers."""


@dataclass(frozen=True, slots=True)
class Tag:
    """One tag of a file."""

    place: str
    """``file``, or the kind of its stream: ``video``, ``audio``, ``data`` and so on."""
    name: str
    """Its name in small letters."""
    value: str
    """Its text, at most `MAX_TAG_CHARACTERS`."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file within the file."""

    name: str
    """Its name and type, as the file gives them."""
    content: bytes
    """Its bytes, at most `MAX_ATTACHMENT_BYTES`."""


@dataclass(frozen=True, slots=True)
class Sayings:
    """What a container says of itself in words."""

    tags: tuple[Tag, ...] = ()
    """Its tags, those of the file first."""
    attachments: tuple[Attachment, ...] = ()
    """Its attachments that may hold labels."""

    def named(self, *names: str) -> list[Tag]:
        """Return the tags of these names."""
        return [tag for tag in self.tags if tag.name in names]


def texts(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return the tags of a file or a stream, with a mark for each byte that is not UTF-8: they come in any encoding."""
    return {_text(name): _text(value) for name, value in metadata.items()}


def _text(tag: str) -> str:
    return tag.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def read_sayings(container: InputContainer) -> Sayings:
    """Return what an open container says of itself."""
    streams = [(stream.type, texts(stream.metadata)) for stream in container.streams]
    places = [("file", texts(container.metadata)), *streams]
    tags = [
        Tag(place, name.lower()[:MAX_TAG_CHARACTERS], value[:MAX_TAG_CHARACTERS])
        for place, metadata in places
        for name, value in metadata.items()
    ]
    found: list[Attachment] = []
    for stream in container.streams:
        if isinstance(stream, AttachmentStream) and len(found) < MAX_ATTACHMENTS:
            said = texts(stream.metadata)
            name = f"{said.get('filename', '')} {said.get('mimetype', '')}".strip()[:200]
            if _TELLING.search(name):
                found.append(Attachment(name, (stream.data or b"")[:MAX_ATTACHMENT_BYTES]))
    return Sayings(tuple(tags[:MAX_TAGS]), tuple(found))
