"""Tell what a file declares of itself: C2PA, IPTC's digital source type, China's AIGC key, known programs.

    with open_video("clip.mp4", readers=[read_labels]) as video:
        labels_of(video)                        # DeclaredLabel, ...

A label is what somebody wrote into the file: it can be missing, or wrong. It never enters the score.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from unmask.evidence.aigc import LABELS, read_aigc
from unmask.evidence.c2pa import Claims, Store, read_store
from unmask.evidence.pieces import MAX_PIECE_BYTES, Piece, find_pieces
from unmask.evidence.programs import PROGRAM_TAGS, WORKFLOW_TAGS, find_program, holds_workflow
from unmask.evidence.source_types import GRAVITY, SOURCE_TYPES, find_source_type, strongest
from unmask.evidence.xmp import read_xmp
from unmask.facts import MAX_LABEL_TEXT, DeclaredLabel
from unmask.media import Video
from unmask.media.frames import OpenFile
from unmask.media.readers import reader_name
from unmask.media.tags import MAX_TAG_CHARACTERS, Sayings, Tag
from unmask.runtime.jsonable import jsonable
from unmask.runtime.validator import validator

MAX_LABELS = 16
"""Labels that are told of one file, at most."""
NOT_CHECKED = "Its signature was not checked."
"""Ends the sentence about a manifest until `unmask.evidence.signature` knows more."""
_VALUE_CHARACTERS = 120
_labels = validator(tuple[DeclaredLabel, ...])


def read_labels(opened: OpenFile) -> list[dict[str, Any]]:
    """Return the labels of an open file as JSON-ready values; runs in the confined decoder, see `labels_of`."""
    return [jsonable(label) for label in find_labels(opened.sayings, find_pieces(opened.file))]


def labels_of(video: Video) -> tuple[DeclaredLabel, ...]:
    """Return what `read_labels` found, checked: the decoder reads files that may be hostile."""
    try:
        return _labels(video.notes.get(reader_name(read_labels), ()))[:MAX_LABELS]
    except ValueError:
        return ()


def find_labels(sayings: Sayings, pieces: Sequence[Piece]) -> tuple[DeclaredLabel, ...]:
    """Return the labels among the tags, attachments and pieces of a container, what matters most first.

    What is said in several places is told once.
    """
    found: dict[tuple[object, ...], DeclaredLabel] = {}
    for label in (*_of_pieces([*pieces, *_attached(sayings)]), *_of_tags(sayings.tags)):
        found.setdefault((label.scheme, label.says, *label.values.items()), label)
    return tuple(sorted(found.values(), key=lambda label: GRAVITY.index(label.says)))[:MAX_LABELS]


def _attached(sayings: Sayings) -> Iterator[Piece]:
    for attachment in sayings.attachments:
        is_c2pa = "c2pa" in attachment.name.lower()
        yield Piece("c2pa" if is_c2pa else "xmp", "attachment", attachment.content[:MAX_PIECE_BYTES])


def _of_pieces(pieces: Sequence[Piece]) -> Iterator[DeclaredLabel]:
    for piece in pieces:
        if piece.kind == "c2pa":
            yield c2pa_label(read_store(piece.content), piece.where)
        elif piece.kind == "aigc":
            yield _aigc(piece.content[:MAX_TAG_CHARACTERS].decode("utf-8", "replace"), piece.where)
        else:
            yield from _xmp(piece)


def _of_tags(tags: Sequence[Tag]) -> Iterator[DeclaredLabel]:
    for tag in tags:
        where = f"tag {plain(tag.name, 40)}" + ("" if tag.place == "file" else f" of the {tag.place} track")
        if tag.name.rpartition(":")[2].rpartition(".")[2] == "aigc" or _wraps_aigc(tag.value):
            yield _aigc(tag.value, where)
        elif tag.name.rpartition(":")[2] == "digitalsourcetype":
            yield from _source_type([tag.value], where)
        elif tag.name == "xmp":
            yield from _xmp(Piece("xmp", where, tag.value.encode("utf-8", "replace")))
        elif tag.name in PROGRAM_TAGS:
            yield from _program(tag.value, where)
        elif tag.name in WORKFLOW_TAGS and holds_workflow(tag.value):
            values = {"program": "ComfyUI"}
            reason = f"The {where} holds a workflow of ComfyUI, a program that generates pictures and films."
            yield DeclaredLabel("program", "perhaps_generated", where, reason, values)


def _wraps_aigc(text: str) -> bool:
    return text.lstrip()[:1] == "{" and '"AIGC"' in text


def c2pa_label(store: Store, where: str) -> DeclaredLabel:
    """Return the label of a manifest store that lies ``where``; its signature counts as not checked."""
    if store.active is None:
        reason = (
            f"The file carries a C2PA manifest ({where}) that is damaged: what it says cannot be read. {NOT_CHECKED}"
        )
        return DeclaredLabel("c2pa", "unreadable", where, reason, {}, "not_checked")
    active, terms = store.active, _terms(store.active)
    earlier = [term for claims in store.earlier for term in _terms(claims)]
    says, words = "unclear", "it does not say how the film was made"
    if term := strongest(terms):
        says, words = SOURCE_TYPES[term][0], f"it declares the film {SOURCE_TYPES[term][1]} ({term})"
    elif term := strongest(earlier):
        says, words = SOURCE_TYPES[term][0], f"what the film was made of is declared {SOURCE_TYPES[term][1]} ({term})"
        says = "composite" if says == "generated" else says
    values = {
        "claim_generator": plain(active.generator),
        "actions": plain(", ".join(active.actions)),
        "digital_source_type": plain(", ".join(terms or earlier)),
    }
    by = f' by "{values["claim_generator"]}"' if active.generator else ""
    damage = "" if store.is_whole else " Parts of it are damaged."
    reason = f"The file carries a C2PA manifest ({where}){by}: {words}.{damage} {NOT_CHECKED}"
    return DeclaredLabel("c2pa", says, where, reason, _kept(values), "not_checked")  # type: ignore[arg-type]


def _terms(claims: Claims) -> list[str]:
    return [term for value in claims.source_types if (term := find_source_type(value))]


def _aigc(text: str, where: str) -> DeclaredLabel:
    fields = read_aigc(text)
    if fields is None:
        reason = f"The file carries an AIGC key of GB 45438-2025 ({where}), but its value cannot be read."
        return DeclaredLabel("aigc", "unreadable", where, reason, {})
    says, words = LABELS.get(fields["Label"].strip() if "Label" in fields else "", ("unclear", ""))
    values = {name: plain(value) for name, value in fields.items()}
    what = f"declares it {words}" if words else "does not say whether it is generated"
    by = f', produced by "{values["ContentProducer"]}"' if "ContentProducer" in values else ""
    reason = f"The file carries an AIGC key of GB 45438-2025 ({where}), which {what}{by}."
    return DeclaredLabel("aigc", says, where, reason, _kept(values))


def _xmp(piece: Piece) -> Iterator[DeclaredLabel]:
    found, is_whole = read_xmp(piece.content)
    where = piece.where if is_whole else f"{piece.where}, damaged"
    yield from _source_type(found.get("DigitalSourceType", ()), where)
    for text in found.get("AIGC", ()):
        yield _aigc(text, where)
    for name in ("CreatorTool", "softwareAgent"):
        for text in found.get(name, ()):
            yield from _program(text, f"{where}, {name}")
    for address in found.get("provenance", ()):
        if "c2pa" in address.lower() or "manifest" in address.lower():
            reason = f"The file names a C2PA manifest that lies elsewhere ({where}); nothing was fetched."
            yield DeclaredLabel("c2pa", "unclear", where, reason, {"address": plain(address)}, "not_checked")


def _source_type(values: Sequence[str], where: str) -> Iterator[DeclaredLabel]:
    terms = [term for value in values if (term := find_source_type(value))]
    if term := strongest(terms):
        says, words = SOURCE_TYPES[term]
        reason = f"The file gives itself the digital source type {term} ({where}): {words}."
        yield DeclaredLabel("digital_source_type", says, where, reason, {"digital_source_type": term})


def _program(text: str, where: str) -> Iterator[DeclaredLabel]:
    if found := find_program(text):
        kind, name = found
        what = "generates or changes faces or films" if kind == "generator" else "edits films"
        reason = f'The {where} names {plain(name)}, a program that {what}: "{plain(text)}".'
        says = "perhaps_generated" if kind == "generator" else "edited"
        yield DeclaredLabel("program", says, where, reason, {"program": plain(text)})  # type: ignore[arg-type]


def plain(text: str, most: int = _VALUE_CHARACTERS) -> str:
    """Return a text of a file as one short line without control characters or marks that turn its direction."""
    line = "".join(c if c.isprintable() else " " for c in text[: 4 * most])
    line = " ".join(line.split())
    return line if len(line) <= most else f"{line[: most - 3]}..."


def _kept(values: dict[str, str]) -> dict[str, str]:
    return {name: value[:MAX_LABEL_TEXT] for name, value in values.items() if value}
