"""Read what a C2PA manifest store claims (C2PA 2.2, JUMBF and CBOR).

Its signatures are not checked here, but in `unmask.evidence.signature`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from unmask.evidence.cbor import read_cbor
from unmask.evidence.pieces import jumbf_boxes

MAX_BOXES, MAX_DEPTH, MAX_NAMED = 4000, 8, 16
MAX_MANIFESTS, MAX_ASSERTIONS = 16, 8
"""Earlier manifests, and further assertions of one, are left out."""
_ASSERTIONS = ("c2pa.actions", "c2pa.metadata", "cawg.metadata", "stds.iptc")
"""How the labels of the assertions begin that may tell where a film is from."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What one manifest claims."""

    generator: str = ""
    """The program that made the claim, as it names itself."""
    actions: tuple[str, ...] = ()
    """What was done, such as ``c2pa.created``, at most `MAX_NAMED`."""
    source_types: tuple[str, ...] = ()
    """Its digitalSourceTypes, as they stand there, at most `MAX_NAMED`."""


@dataclass(frozen=True, slots=True)
class Store:
    """The manifests of a file."""

    active: Claims | None
    """The manifest about the file itself; None where it cannot be read."""
    earlier: tuple[Claims, ...] = ()
    """The manifests of what it was made of."""
    is_whole: bool = True
    """Whether all of it could be read."""


@dataclass(slots=True)
class _Box:
    """A superbox: its label, what it holds, and its other superboxes."""

    label: str
    contents: list[tuple[bytes, bytes]] = field(default_factory=list)
    boxes: list[_Box] = field(default_factory=list)


def read_store(content: bytes) -> Store:
    """Read a manifest store; of a damaged one, what can be read of it."""
    tree = _Tree(content)
    top = tree.read(0, len(content), 0)
    manifests = [box for store in top.boxes for box in store.boxes]
    claims = [_claims(manifest) for manifest in manifests[-MAX_MANIFESTS:]]
    is_lost = not claims or (claims[-1] == Claims() and not tree.is_whole)
    return Store(None if is_lost else claims[-1], tuple(claims[:-1]), tree.is_whole)


class _Tree:
    def __init__(self, content: bytes) -> None:
        self._content, self._left, self.is_whole = content, MAX_BOXES, True

    def read(self, at: int, end: int, depth: int) -> _Box:
        found = _Box("")
        try:
            for kind, start, stop in jumbf_boxes(self._content, at, end):
                self._left -= 1
                if self._left < 0 or depth > MAX_DEPTH:
                    raise ValueError("JUMBF that is too long or too deep")
                if kind == b"jumb":
                    found.boxes.append(self.read(start, stop, depth + 1))
                elif kind == b"jumd" and self._content[start + 16] & 2:  # it has a label
                    label = self._content[start + 17 : stop].partition(b"\0")[0]
                    found.label = label[:200].decode("utf-8", "replace")
                elif kind in (b"cbor", b"json"):
                    found.contents.append((kind, self._content[start:stop]))
        except (ValueError, IndexError):
            self.is_whole = False
        return found


def _claims(manifest: _Box) -> Claims:
    claim: dict[str, Any] = {}
    assertions: list[tuple[str, dict[str, Any]]] = []
    for box in manifest.boxes:
        if box.label.startswith("c2pa.claim"):
            claim = claim or _value(box)
        if box.label == "c2pa.assertions":
            telling = [assertion for assertion in box.boxes if assertion.label.startswith(_ASSERTIONS)]
            assertions += [(assertion.label, _value(assertion)) for assertion in telling[:MAX_ASSERTIONS]]
    return claims_of(claim, assertions)


def claims_of(claim: Mapping[str, Any], assertions: Iterable[tuple[str, Any]]) -> Claims:
    """Return what a claim and its assertions, pairs of label and value, say of where a film is from."""
    actions, sources = list[str](), list[str]()
    for label, value in assertions:
        if label.startswith(_ASSERTIONS) and isinstance(value, dict):
            done = list(_dicts(value.get("actions")))
            actions += [_text(action.get("action")) for action in done]
            told = [*done, {"digitalSourceType": value.get("Iptc4xmpExt:DigitalSourceType")}]
            sources += [_text(item.get("digitalSourceType")) for item in told]
    named = [tuple(dict.fromkeys(filter(None, values)))[:MAX_NAMED] for values in (actions, sources)]
    return Claims(_generator(claim), *named)


def _generator(claim: Mapping[str, Any]) -> str:
    info = claim.get("claim_generator_info")
    first = next(_dicts([info] if isinstance(info, dict) else info), {})
    words = " ".join(filter(None, (_text(first.get("name")), _text(first.get("version")))))
    return words or _text(claim.get("claim_generator"))


def _value(box: _Box) -> dict[str, Any]:
    """Return the CBOR or JSON of a box, an empty dict where it is none."""
    for kind, content in box.contents:
        try:
            value = read_cbor(content) if kind == b"cbor" else json.loads(content)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            return value
    return {}


def _dicts(value: object) -> Iterator[dict[str, Any]]:
    return (item for item in value if isinstance(item, dict)) if isinstance(value, list) else iter(())


def _text(value: object) -> str:
    return value[:200] if isinstance(value, str) else ""
